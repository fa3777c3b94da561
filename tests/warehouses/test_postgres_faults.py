"""Postgres as warehouse when something goes wrong: what cannot be reached or may not be done, and kills."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conformance_of_warehouses import TRIPS, Bench, write
from postgres_bench import bench, is_whole
from postgres_server import PASSWORD, ROLE, PostgresServer, serving_postgres

from taxi_ingest.errors import TaxiError, TransientError, UsageError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import HeldMonth, Options, open_warehouse, sweep

__all__ = ["bench"]


def said(url: str) -> str:
    """What a warehouse that cannot be used says when it is asked what it holds; its checks say the same."""
    warehouse = open_warehouse(Place.parse(url))
    with pytest.raises(TaxiError) as raised:
        warehouse.held("trips")
    checked = [check.sentence for check in warehouse.checks(Place.parse("lake")) if not check.ok]
    assert checked == [str(raised.value)]
    return str(raised.value)


def test_without_psycopg_the_remedy_is_told() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None; from taxi_ingest.place import Place; "
        "from taxi_ingest.warehouses import open_warehouse; open_warehouse(Place.parse('postgresql://host/db'))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UsageError: postgresql://host/db needs psycopg" in ran.stderr
    assert "pip install 'taxi-ingest[postgres]'" in ran.stderr


def test_a_parameter_that_libpq_does_not_know_is_refused_without_its_value() -> None:
    with pytest.raises(UsageError, match="something that libpq does not understand") as raised:
        open_warehouse(Place.parse("postgresql://host/db?sslmoed=hunter2-secret"))
    assert "hunter2" not in str(raised.value)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_does_not_run_is_a_sentence() -> None:
    assert "nothing listens there. Start the server" in said(f"postgresql://u:pw@127.0.0.1:{free_port()}/db")


def test_a_socket_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    assert "nothing listens there. Start the server" in said(f"postgresql:///db?host={tmp_path}")


def test_a_missing_database_is_a_sentence(postgres_server: PostgresServer) -> None:
    assert "There is no such database. Create it" in said(
        postgres_server.url("nothing-here", user="admin", password="admin-5ecret")
    )


def test_a_wrong_password_is_a_sentence_without_it(postgres_server: PostgresServer) -> None:
    sentence = said(postgres_server.url("postgres", user="admin", password="wr0ng-5ecret"))
    assert ("the password is wrong" in sentence, "wr0ng-5ecret" in sentence) == (True, False)


def test_no_password_is_a_sentence(postgres_server: PostgresServer) -> None:
    assert "the server wants a password" in said(postgres_server.url("postgres", password=""))


def test_a_missing_service_is_a_sentence() -> None:
    assert "there is no such service" in said("postgresql:///?service=nothing-here")


def test_tls_that_the_server_lacks_is_a_sentence(postgres_server: PostgresServer) -> None:
    assert "the server has no TLS" in said(postgres_server.url("postgres", more="?sslmode=require"))


@pytest.fixture(scope="module")
def tls_server() -> Iterator[PostgresServer]:
    """A server with a certificate for localhost that signs itself."""
    with serving_postgres() as server:
        server.database()  # makes the role
        request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        files = ["-keyout", server.folder / "server.key", "-out", server.folder / "server.crt"]
        subprocess.run([*request, *files], check=True, capture_output=True)
        owner = (server.folder / "data").stat()
        os.chown(server.folder / "server.key", owner.st_uid, owner.st_gid)
        (server.folder / "server.key").chmod(0o600)
        with server.connect() as db:
            db.execute(f"ALTER SYSTEM SET ssl_cert_file = '{server.folder}/server.crt'")
            db.execute(f"ALTER SYSTEM SET ssl_key_file = '{server.folder}/server.key'")
            db.execute("ALTER SYSTEM SET ssl = on")
            db.execute("SELECT pg_reload_conf()")
        yield server


TLS = {
    "sslmode=disable": "without TLS",
    "sslmode=prefer": "with TLS",
    "sslmode=require": "with TLS",
    "sslmode=verify-full&sslrootcert={certificate}": "with TLS",
    "sslmode=verify-full&sslrootcert={other}": "the certificate is not accepted",
}


@pytest.mark.parametrize("parameters", TLS)
def test_the_ways_of_tls_are_those_of_libpq(tls_server: PostgresServer, tmp_path: Path, parameters: str) -> None:
    other = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    if "{other}" in parameters:
        made = ["-keyout", tmp_path / "other.key", "-out", tmp_path / "other.crt"]
        subprocess.run([*other, *made], check=True, capture_output=True)
    named = parameters.format(certificate=tls_server.folder / "server.crt", other=tmp_path / "other.crt")
    url = tls_server.url("postgres", more=f"?{named}&hostaddr=127.0.0.1").replace("@127.0.0.1", "@localhost")
    said = [check.sentence for check in open_warehouse(Place.parse(url)).checks(Place.parse("lake"))]
    assert TLS[parameters] in said[0]


def test_a_search_path_without_a_schema_is_a_sentence(postgres_server: PostgresServer) -> None:
    database = postgres_server.database()
    assert "no schema of the search_path" in said(
        postgres_server.url(database, more="?options=-csearch_path%3Dnothing")
    )


@contextlib.contextmanager
def server_of_version(version: str) -> Iterator[int]:
    """A server that lets everybody in, says its version, and answers nothing more; yields its port."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    def serve() -> None:
        while True:
            with contextlib.suppress(OSError), listener.accept()[0] as client:
                while struct.unpack("!ii", client.recv(8))[1] != 196608:  # TLS or GSS is asked for first
                    client.sendall(b"N")
                client.recv(4096)
                hello = message(b"R", struct.pack("!i", 0))
                for name, value in (("server_version", version), ("client_encoding", "UTF8")):
                    hello += message(b"S", f"{name}\0{value}\0".encode())
                client.sendall(hello + message(b"Z", b"I"))
                client.recv(4096)
            if listener.fileno() < 0:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_server_that_is_too_old_is_a_sentence() -> None:
    with server_of_version("12.22") as port:
        sentence = said(f"postgresql://u@127.0.0.1:{port}/db?sslmode=disable&gssencmode=disable")
    assert "is PostgreSQL 12, which is too old: 13 or newer is needed" in sentence


def test_a_role_without_the_right_to_make_tables_is_told_what_it_lacks(
    bench: Bench, postgres_server: PostgresServer
) -> None:
    database = str(bench.warehouse.place).rpartition("/")[2]
    with postgres_server.connect(database) as db:
        db.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        db.execute(f"ALTER DATABASE {database} OWNER TO admin")
        db.execute("ALTER SCHEMA public OWNER TO admin")
    with pytest.raises(WarehouseError, match=r"lacks a right.*GRANT CREATE, USAGE ON SCHEMA"):
        bench.load("2021-01", [1])
    failed = [check.sentence for check in bench.warehouse.checks(bench.store) if not check.ok]
    assert ["may not make tables in schema public" in sentence for sentence in failed] == [True]
    elsewhere = open_warehouse(Place.parse(f"{bench.warehouse.place.url}?schema=mine"))
    failed = [check.sentence for check in elsewhere.checks(bench.store) if not check.ok]
    assert ["CREATE SCHEMA mine AUTHORIZATION" in sentence for sentence in failed] == [True]
    oddly = open_warehouse(Place.parse(f"{bench.warehouse.place.url}?schema=mine;%20drop%20table%20yours"))
    failed = [check.sentence for check in oddly.checks(bench.store) if not check.ok]
    assert ['CREATE SCHEMA "mine; drop table yours" AUTHORIZATION' in sentence for sentence in failed] == [True]


def test_a_table_that_another_role_made_is_told(bench: Bench, postgres_server: PostgresServer) -> None:
    bench.load("2021-01", [1])
    with postgres_server.connect(str(bench.warehouse.place).rpartition("/")[2]) as db:
        db.execute(
            "ALTER TABLE trips OWNER TO admin; GRANT ALL ON trips TO PUBLIC; GRANT ALL ON trips_2021_01 TO PUBLIC"
        )
    with pytest.raises(WarehouseError, match="only by the role that made it"):
        bench.load("2021-01", [2], mark="m2")
    assert bench.vendors() == [1]


def test_a_database_that_can_only_be_read_is_told(bench: Bench, postgres_server: PostgresServer) -> None:
    bench.load("2021-01", [1])
    with postgres_server.connect() as db:
        db.execute(
            f"ALTER DATABASE {str(bench.warehouse.place).rpartition('/')[2]} SET default_transaction_read_only = on"
        )
    with pytest.raises(WarehouseError, match="can only be read"):
        bench.load("2021-01", [2], mark="m2")
    assert is_whole(bench.warehouse.held("trips")["trips"]["2021-01"])


ANSWERS: dict[str, tuple[type[TaxiError], str]] = {
    "disk_full": (WarehouseError, "the server's disk is full.*Make room there"),
    "out_of_memory": (TransientError, "cannot do this now"),
    "insufficient_privilege": (WarehouseError, "lacks a right"),
    "serialization_failure": (TransientError, "cannot do this now"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_the_server_answers_in_the_middle_of_a_load_is_a_sentence(
    bench: Bench, postgres_server: PostgresServer, answer: str
) -> None:
    bench.load("2021-01", [1])
    with postgres_server.connect(str(bench.warehouse.place).rpartition("/")[2]) as db:
        db.execute(
            "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE obj_description(objid) LIKE '%\"rows\":2%') "
            f"THEN RAISE '{answer} it is' USING ERRCODE = '{answer}'; END IF; END $$"
        )
        db.execute("CREATE EVENT TRIGGER refusing ON ddl_command_end WHEN TAG IN ('COMMENT') EXECUTE FUNCTION refuse()")
    kind, sentence = ANSWERS[answer]
    with pytest.raises(kind, match=sentence) as raised:
        bench.load("2021-01", [2, 3], mark="m2")
    assert f"{answer} it is" in str(raised.value)
    assert (bench.vendors(), tables(bench)) == ([1], ["trips_2021_01"])


def test_limits_meant_for_people_do_not_end_a_load(bench: Bench, postgres_server: PostgresServer) -> None:
    with postgres_server.connect() as db:
        for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
            db.execute(f"ALTER DATABASE {str(bench.warehouse.place).rpartition('/')[2]} SET {limit} = '50ms'")
    bench.load("2021-01", [1] * 200_000)
    assert is_whole(bench.warehouse.held("trips")["trips"]["2021-01"])


LOADER = """
import sys
from conformance_of_warehouses import TRIPS
from taxi_ingest.place import Place
from taxi_ingest.warehouses import open_warehouse
url, file, rows, mark = sys.argv[1:]
print("begun", flush=True)
open_warehouse(Place.parse(url)).replace(TRIPS, "2021-01", file=file, rows=int(rows), mark=mark, source="csv")
print("ended", flush=True)
"""


COMPARER = """
import sys
from conformance_of_warehouses import TRIPS
from taxi_ingest.place import Place
from taxi_ingest.warehouses import open_warehouse
url, file = sys.argv[1:]
print("begun", flush=True)
open_warehouse(Place.parse(url)).compare(TRIPS, "2021-01", file=file)
print("ended", flush=True)
"""


@contextlib.contextmanager
def running(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs `program`; it has begun when the block does, and is dead when it ends."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield process
        finally:
            process.kill()


def loader(url: str, file: Path, rows: int, mark: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """Another process that loads 2021-01."""
    return running(LOADER, url, str(file), str(rows), mark)


def wait_until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.002)


def tables(bench: Bench) -> list[str]:
    return [
        name for (name,) in bench.query("SELECT relname FROM pg_class WHERE relname LIKE 'trips%' AND relkind = 'r'")
    ]


FILLED = """
    SELECT 1 FROM pg_class WHERE relname LIKE 'trips_2021_01__%' AND obj_description(oid, 'pg_class') LIKE '%"rows"%'
"""


def test_a_load_killed_while_it_copies_leaves_the_old_month_and_the_next_one_cleans_up(bench: Bench) -> None:
    bench.load("2021-01", [1])
    write(bench.folder / "large.parquet", TRIPS, "2021-01", list(range(400_000)))
    copying = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY%'"
    with loader(bench.warehouse.place.url, bench.folder / "large.parquet", 400_000, "m2") as process:
        wait_until(lambda: bench.query(copying))
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not bench.query(copying))
    assert bench.vendors() == [1]
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m1", 1, 1, "csv")}
    sweep(bench.warehouse, "trips")
    assert tables(bench) == ["trips_2021_01"]


@pytest.mark.parametrize("other", ["load", "compare"])
def test_a_month_is_replaced_while_the_file_of_another_is_copied(bench: Bench, other: str) -> None:
    bench.load("2021-01", [1])
    bench.load("2021-02", [2])
    url, large = bench.warehouse.place.url, bench.folder / "large.parquet"
    write(large, TRIPS, "2021-01", [7] * 400_000)
    beside = replace(bench, warehouse=open_warehouse(bench.warehouse.place, Options(lock_timeout=1)))
    copying = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY%'"
    with loader(url, large, 400_000, "m2") if other == "load" else running(COMPARER, url, str(large)) as process:
        wait_until(lambda: bench.query(copying))
        process.send_signal(signal.SIGSTOP)
        assert bench.query(copying)
        beside.load("2021-02", [3, 4], mark="m2")
        assert (bench.vendors(), len(bench.query(copying))) == ([1, 3, 4], 1)
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.readline() == "ended\n"
    first = (7, 400_000) if other == "load" else (1, 1)
    assert bench.query("SELECT vendorid, count(*) FROM trips GROUP BY 1 ORDER BY 1") == sorted([first, (3, 1), (4, 1)])


def test_a_load_killed_between_its_transactions_leaves_the_old_month_and_the_next_one_cleans_up(bench: Bench) -> None:
    bench.load("2021-01", [1])
    write(bench.folder / "new.parquet", TRIPS, "2021-01", [2, 3])
    with psycopg.connect(bench.warehouse.place.url) as reader:
        reader.execute("SELECT * FROM trips")  # in the way of the last transaction
        with loader(bench.warehouse.place.url, bench.folder / "new.parquet", 2, "m2") as process:
            wait_until(lambda: bench.query(FILLED))
            process.send_signal(signal.SIGKILL)
    assert (bench.vendors(), len(tables(bench))) == ([1], 2)
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m1", 1, 1, "csv")}
    bench.load("2021-01", [4], mark="m3")
    assert (bench.vendors(), tables(bench)) == ([4], ["trips_2021_01"])


KILLS = int(os.environ.get("TAXI_INGEST_TEST_KILLS", "3"))


@pytest.mark.timeout(120 + 30 * KILLS)
@pytest.mark.parametrize("victim", ["client", "server"])
def test_kills_between_the_transactions_lose_and_double_nothing(tmp_path: Path, victim: str) -> None:
    write(tmp_path / "old.parquet", TRIPS, "2021-01", [1])
    write(tmp_path / "new.parquet", TRIPS, "2021-01", [2, 3])
    staged = "SELECT count(*) FROM pg_class WHERE relname LIKE 'trips_2021_01__%'"
    with serving_postgres() as server:
        place = Place.parse(server.url(server.database()))
        warehouse = open_warehouse(place)
        for number in range(KILLS):
            mark = f"m{number}"
            warehouse.replace(TRIPS, "2021-01", file=str(tmp_path / "old.parquet"), rows=1, mark=mark, source="csv")
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(place.url) as reader:
                reader.execute("SELECT * FROM trips")  # in the way of the last transaction
                with loader(place.url, tmp_path / "new.parquet", 2, "new") as process:
                    wait_until(lambda: _left(place, FILLED) > 0)
                    if victim == "server":
                        server.kill()
                        server.start()
                    process.kill()
            assert warehouse.held("trips")["trips"] == {"2021-01": HeldMonth(mark, 1, 1, "csv")}
            with psycopg.connect(place.url) as db:
                assert db.execute("SELECT vendorid FROM trips").fetchall() == [(1,)]
            sweep(warehouse, "trips")
            wait_until(lambda: _left(place, staged) == 0 or sweep(warehouse, "trips"))  # until the server notices


def _left(place: Place, staged: str) -> int:
    with psycopg.connect(place.url) as db:
        return int((db.execute(staged).fetchone() or (0,))[0])


def test_a_server_killed_during_loads_loses_and_doubles_nothing(tmp_path: Path) -> None:
    write(tmp_path / "m.parquet", TRIPS, "2021-01", list(range(30_000)))
    with serving_postgres() as server:
        place = Place.parse(server.url(server.database()))
        warehouse = open_warehouse(place)

        def load(mark: str) -> int:
            file = str(tmp_path / "m.parquet")
            return warehouse.replace(TRIPS, "2021-01", file=file, rows=30_000, mark=mark, source="csv")

        load("m0")
        for number, delay in enumerate((0.0, 0.05, 0.1, 0.2)):
            killer = threading.Timer(delay, server.kill)
            killer.start()
            with contextlib.suppress(TransientError):
                load(f"m{number + 1}")
            killer.join()
            server.start()
            held = warehouse.held("trips")["trips"]["2021-01"]
            assert (held.rows, is_whole(held), held.mark in {"m0", f"m{number}", f"m{number + 1}"}) == (
                30_000,
                True,
                True,
            )
        assert load("last") == 30_000
        with psycopg.connect(place.url) as db:
            assert db.execute("SELECT count(*), count(DISTINCT vendorid) FROM trips").fetchall() == [(30_000, 30_000)]


def test_a_row_deleted_before_the_server_crashed_is_missed(tmp_path: Path) -> None:
    write(tmp_path / "m.parquet", TRIPS, "2021-01", [1, 2, 3])
    with serving_postgres() as server:
        place = Place.parse(server.url(server.database()))
        warehouse = open_warehouse(place)
        warehouse.replace(TRIPS, "2021-01", file=str(tmp_path / "m.parquet"), rows=3, mark="m1", source="csv")
        with psycopg.connect(place.url) as db:
            db.execute("DELETE FROM trips WHERE vendorid = 2")
        server.kill()
        server.start()
        assert warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m1", 2, 3, "csv")}


WAYS = {
    "a socket": "postgresql:///{database}?host={folder}&user={role}&port={port}",
    "variables": "postgresql://",
    "a service": "postgresql://?service=taxi",
    "a service with a path": "postgresql:///?service=taxi",
}


@pytest.mark.parametrize("way", WAYS)
def test_it_connects_by_every_way_of_libpq(
    bench: Bench, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    database, server = str(bench.warehouse.place).rpartition("/")[2], postgres_server
    bench.load("2021-01", [1])
    if way == "variables":
        for name, value in (("HOST", "127.0.0.1"), ("PORT", str(server.port)), ("DATABASE", database), ("USER", ROLE)):
            monkeypatch.setenv(f"PG{name}", value)
    (tmp_path / "services").write_text(
        f"[taxi]\nhost=127.0.0.1\nport={server.port}\ndbname={database}\nuser={ROLE}\npassword={PASSWORD}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    url = WAYS[way].format(database=database, folder=server.folder, role=ROLE, port=server.port)
    assert open_warehouse(Place.parse(url)).held("trips")["trips"]["2021-01"].rows == 1
