"""SQL of a user's, answered by a real Postgres server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conformance_of_warehouses import Bench
from postgres_bench import bench
from postgres_server import PASSWORD, ROLE, PostgresServer

from taxi_ingest.errors import InUseError, TransientError, UsageError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options, open_warehouse
from taxi_ingest.warehouses.capabilities import AnswersQueries

__all__ = ["bench"]

VALUES: dict[str, tuple[Any, str]] = {
    "9223372036854775807": (2**63 - 1, "int64"),
    "7::smallint": (7, "int16"),
    "0.1::double precision": (0.1, "double"),
    "1.50::numeric(10, 2)": (Decimal("1.50"), "decimal128(10, 2)"),
    "avg(x)": (Decimal("1.5"), "decimal128(38, 20)"),
    "'é'::text": ("é", "string"),
    "''::varchar": ("", "string"),
    "NULL::bigint": (None, "int64"),
    "true": (True, "bool"),
    "DATE '2021-01-31'": (date(2021, 1, 31), "date32[day]"),
    "TIME '01:02:03.5'": (clock_time(1, 2, 3, 500000), "time64[us]"),
    "TIMESTAMP '2021-01-31 23:59:59.999999'": (datetime(2021, 1, 31, 23, 59, 59, 999999), "timestamp[us]"),
    "TIMESTAMPTZ '2021-01-31 23:59:59+01'": (datetime(2021, 1, 31, 22, 59, 59, tzinfo=UTC), "timestamp[us, tz=UTC]"),
    "TIMESTAMP '2021-01-02 03:04' - TIMESTAMP '2021-01-01'": ("1 day 03:04:00", "string"),
    "ARRAY[1, NULL]": ("{1,NULL}", "string"),
    """'{"a": 1}'::json""": ('{"a": 1}', "string"),
    r"'\x00ff'::bytea": (b"\x00\xff", "binary"),
}


def ask(bench: Bench, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The types and the rows of a query."""
    assert isinstance(bench.warehouse, AnswersQueries)
    with bench.warehouse.query(sql) as answer:
        rows = [tuple(row.values()) for batch in answer.batches for row in batch.to_pylist()]
        return [str(field.type) for field in answer.schema], rows


def test_values_keep_their_types(bench: Bench) -> None:
    columns = ", ".join(f"{expression} AS c{number}" for number, expression in enumerate(VALUES))
    types, rows = ask(bench, f"SELECT {columns} FROM (VALUES (1), (2)) v (x)")
    assert types == [kind for _, kind in VALUES.values()]
    assert rows == [tuple(value for value, _ in VALUES.values())]


@pytest.mark.parametrize(
    "value",
    [
        "10::numeric ^ 30",
        "123e-22::numeric",
        "'NaN'::numeric",
        "TIMESTAMP 'infinity'",
        "DATE '0044-03-15 BC'",
        "TIME '24:00:00'",
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_never_changed(bench: Bench, value: str) -> None:
    with pytest.raises(UsageError, match="refused the query"):
        ask(bench, f"SELECT {value}")


WRITES = {
    "INSERT INTO trips (vendorid) VALUES (1) RETURNING 1": "read-only transaction",
    "WITH gone AS (DELETE FROM trips RETURNING 1) SELECT * FROM gone": "read-only transaction",
    "SELECT nextval('numbers')": "read-only transaction",
    "SELECT set_config('transaction_read_only', 'off', false), nextval('numbers')": "read-write mode",
    "COPY trips TO STDOUT": "gives no rows",
    "DO 'BEGIN COMMIT; END'": "gives no rows",
    "SELECT 1; DROP TABLE trips": "multiple commands",
    "COMMIT": "gives no rows",
}


@pytest.mark.parametrize("sql", WRITES)
def test_nothing_is_written_whatever_the_statement(bench: Bench, sql: str) -> None:
    bench.load("2021-01", [1])
    bench.query("CREATE SEQUENCE numbers")
    with pytest.raises(UsageError, match=WRITES[sql]):
        ask(bench, sql)
    assert (bench.vendors(), bench.query("SELECT is_called FROM numbers")) == ([1], [(False,)])


def test_the_settings_that_a_server_explains_can_be_asked_for(bench: Bench) -> None:
    assert ask(bench, "SHOW transaction_read_only")[1] == [("on",)]
    assert "Result" in ask(bench, "EXPLAIN SELECT 1")[1][0][0]


def test_an_answer_that_is_left_early_ends_in_the_server(bench: Bench) -> None:
    assert isinstance(bench.warehouse, AnswersQueries)
    with bench.warehouse.query("SELECT generate_series(1, 1000000000000)") as answer:
        assert next(answer.batches).num_rows == 1000
    at_work = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT generate%'"
    assert bench.query(at_work) == [(0,)]


def test_tables_are_looked_for_in_the_schema_of_the_url(bench: Bench) -> None:
    there = open_warehouse(Place.parse(f"{bench.warehouse.place.url}?schema=nyc%20taxi"))
    bench.query('CREATE SCHEMA "nyc taxi"')
    bench.query('CREATE TABLE "nyc taxi".trips AS SELECT 5 AS vendorid')
    assert isinstance(there, AnswersQueries)
    with there.query("SELECT vendorid FROM trips") as answer:
        assert [batch.to_pylist() for batch in answer.batches] == [[{"vendorid": 5}]]


def test_limits_meant_for_people_hold_for_queries(bench: Bench, postgres_server: PostgresServer) -> None:
    database = str(bench.warehouse.place).rpartition("/")[2]
    with postgres_server.connect() as db:
        db.execute(f"ALTER DATABASE {database} SET statement_timeout = '50ms'")
    with pytest.raises(TransientError, match="statement timeout"):
        ask(bench, "SELECT pg_sleep(5)")


def test_a_lock_of_others_is_no_fault_of_the_statement(bench: Bench, postgres_server: PostgresServer) -> None:
    bench.load("2021-01", [1])
    impatient = open_warehouse(bench.warehouse.place, Options(lock_timeout=0))
    assert isinstance(impatient, AnswersQueries)
    with postgres_server.connect(str(bench.warehouse.place).rpartition("/")[2]) as db, db.transaction():
        db.execute("LOCK TABLE trips IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(InUseError, match="lock timeout"), impatient.query("SELECT * FROM trips"):
            pass


def test_an_interrupt_ends_a_query_that_waits_for_a_lock(
    bench: Bench, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    bench.load("2021-01", [1])
    asking = [sys.executable, "-m", "taxi_ingest", "query", "SELECT * FROM trips"]
    asking += ["--warehouse", bench.warehouse.place.url]
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with postgres_server.connect(str(bench.warehouse.place).rpartition("/")[2]) as db, db.transaction():
        db.execute("LOCK TABLE trips IN ACCESS EXCLUSIVE MODE")
        with subprocess.Popen(asking, cwd=tmp_path, stderr=subprocess.PIPE) as process:
            try:
                wait_until(lambda: bench.query(waiting) == [(1,)])
                begun = time.monotonic()
                process.send_signal(signal.SIGINT)
                assert (process.wait(20), time.monotonic() - begun < 2) == (130, True)
            finally:
                process.kill()
        assert bench.query(waiting) == [(0,)]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_right_that_is_missing_is_told(bench: Bench, postgres_server: PostgresServer) -> None:
    with postgres_server.connect(str(bench.warehouse.place).rpartition("/")[2]) as db:
        db.execute("CREATE TABLE secrets (a int)")
    with pytest.raises(UsageError, match="permission denied for table secrets"):
        ask(bench, "SELECT * FROM secrets")


def test_what_was_granted_on_a_month_is_granted_on_the_one_that_replaces_it(
    bench: Bench, postgres_server: PostgresServer
) -> None:
    bench.load("2021-01", [1])
    bench.load("2021-02", [2])
    with postgres_server.connect() as db:
        for role in ("analyst", '"Data Team"'):
            db.execute(f"DROP ROLE IF EXISTS {role}")
            db.execute(f"CREATE ROLE {role}")
    bench.query(
        'GRANT SELECT ON trips_2021_01 TO analyst, PUBLIC; GRANT ALL ON trips_2021_01 TO "Data Team" WITH GRANT OPTION'
    )
    rights = "SELECT relname, relacl::text FROM pg_class WHERE relname LIKE 'trips_2021%' ORDER BY 1"
    before = bench.query(rights)
    assert "analyst=r/" in before[0][1]
    bench.load("2021-01", [3], mark="m2")
    bench.load("2021-02", [4], mark="m2")
    assert [(name, _sorted(acl)) for name, acl in bench.query(rights)] == [(name, _sorted(acl)) for name, acl in before]


def _sorted(acl: str | None) -> list[str] | None:
    return acl and sorted(acl.strip("{}").split(","))


def test_a_reader_of_the_whole_table_needs_no_right_on_its_months(
    bench: Bench, postgres_server: PostgresServer
) -> None:
    bench.load("2021-01", [1])
    with postgres_server.connect() as db:
        db.execute("DROP ROLE IF EXISTS reader")
        db.execute("CREATE ROLE reader LOGIN PASSWORD 'r3ader-5ecret'")
    bench.query("GRANT SELECT ON trips TO reader")
    bench.load("2021-01", [2], mark="m2")
    database = str(bench.warehouse.place).rpartition("/")[2]
    with psycopg.connect(postgres_server.url(database, user="reader", password="r3ader-5ecret")) as db:
        assert db.execute("SELECT vendorid FROM trips").fetchall() == [(2,)]


@pytest.mark.parametrize(
    "form", ["postgres://{role}:{password}@{hosts}/{db}", "postgresql://{role}:{password}@{hosts}/{db}"]
)
def test_an_address_may_name_several_hosts_and_use_either_scheme(
    bench: Bench, postgres_server: PostgresServer, form: str
) -> None:
    bench.load("2021-01", [1])
    database = str(bench.warehouse.place).rpartition("/")[2]
    hosts = f"127.0.0.1:1,127.0.0.1:{postgres_server.port}"
    place = Place.parse(form.format(role=ROLE, password=PASSWORD, hosts=hosts, db=database))
    assert str(place) == f"postgresql://{hosts}/{database}"
    assert open_warehouse(place).held("trips")["trips"]["2021-01"].rows == 1
