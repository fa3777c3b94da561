"""The pipeline to a Postgres server, through the command line."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from conftest import ALL_UP_TO_DATE, DATA, Command, PostgresServer, Ran, only, process
from postgres_server import PASSWORD

CANONICAL: dict[str, dict[str, str]] = json.loads((DATA.parent / "canonical_columns.json").read_text())
DUCKDB_TYPES = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP", "date": "DATE"}
TABLES = {dataset: f"{dataset}_tripdata" for dataset in CANONICAL if dataset != "zones"}
MONTHS = {
    dataset: sorted(path.stem.rpartition("_")[2] for path in DATA.glob(f"{dataset}_tripdata_*.csv"))
    for dataset in TABLES
}
TEMPLATE = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
ZONES = DATA.as_uri() + "/taxi_zone_lookup.csv"


def part(dataset: str) -> list[str]:
    """The options for all samples of a dataset."""
    if dataset not in TABLES:
        return ["--dataset", "zones", "--source", ZONES]
    return ["--dataset", dataset, "--month", ",".join(MONTHS[dataset]), "--source", TEMPLATE]


class Both:
    """Every sample, loaded from the same Parquet into a DuckDB file and into Postgres."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        for dataset in (*TABLES, "zones"):
            for where in ([], ["--warehouse", url]):
                ran = process([sys.executable, "-m", "taxi_ingest", "run", *part(dataset), "--quiet", *where], folder)
                assert ran.code == 0, ran.err

    def in_duckdb(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.folder / "data" / "taxi.duckdb"), read_only=True) as db:
            return db.execute(sql).fetchall()

    def in_postgres(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as db:
            return db.execute(sql).fetchall()  # type: ignore[arg-type]

    def csv(self, table: str, columns: str) -> tuple[Path, Path]:
        """The table as each of the two writes it as CSV."""
        ours, theirs = self.folder / f"{table}.duckdb.csv", self.folder / f"{table}.postgres.csv"
        self.in_duckdb(f"COPY (SELECT {columns} FROM {table}) TO '{ours}' (FORMAT csv, HEADER false, FORCE_QUOTE *)")
        with (
            psycopg.connect(self.url) as db,
            theirs.open("wb") as file,
            db.cursor().copy(f"COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT csv)") as copy,  # type: ignore[arg-type]
        ):
            for block in copy:
                file.write(block)
        return ours, theirs


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Both:
    return Both(tmp_path_factory.mktemp("both"), postgres_server.url(postgres_server.database()))


@pytest.mark.parametrize("dataset", [*TABLES, "zones"])
def test_every_row_of_every_sample_is_that_of_duckdb(both: Both, dataset: str) -> None:
    table = TABLES.get(dataset, "taxi_zone_lookup")
    types = {
        name: str(kind) for name, kind in both.in_duckdb(f"SELECT column_name, column_type FROM (DESCRIBE {table})")
    }
    files = both.csv(table, ", ".join(types))
    with duckdb.connect() as db:
        for name, file in zip(("ours", "theirs"), files, strict=True):
            db.execute(f"CREATE TABLE {name} AS FROM read_csv('{file}', header = false, columns = {types})")
        differences = [
            db.execute(f"SELECT count(*) FROM (FROM {a} EXCEPT ALL FROM {b})").fetchall()
            for a, b in (("ours", "theirs"), ("theirs", "ours"))
        ]
        assert (db.execute("SELECT count(*) > 0 FROM theirs").fetchall(), differences) == ([(True,)], [[(0,)], [(0,)]])


@pytest.mark.parametrize("dataset", TABLES)
def test_counts_and_sums_of_every_month_are_those_of_duckdb(both: Both, dataset: str) -> None:
    numbers = [name for name, kind in CANONICAL[dataset].items() if kind in {"int64", "double"}]
    sums = ", ".join(f"sum({name})" for name in numbers)
    sql = f"SELECT file_month, count(*), {sums} FROM {TABLES[dataset]} GROUP BY 1 ORDER BY 1"
    ours, theirs = both.in_duckdb(sql), both.in_postgres(sql)
    assert [row[:2] for row in theirs] == [row[:2] for row in ours]
    assert [f"{row[0]:%Y-%m}" for row in theirs] == MONTHS[dataset]
    for row, other in zip(ours, theirs, strict=True):
        for number, same in zip(row[2:], other[2:], strict=True):
            assert (number is None) == (same is None)
            assert number is None or math.isclose(number, float(same), rel_tol=1e-12)


def test_three_loads_make_the_same_table(both: Both) -> None:
    sql = "SELECT * FROM green_tripdata"
    before = sorted(map(str, both.in_postgres(sql)))
    again = ["--dataset", "green", "--month", "2019-02,2019-10", "--source", TEMPLATE, "--force", "--quiet"]
    for _ in range(2):
        ran = process([sys.executable, "-m", "taxi_ingest", "load", *again, "--warehouse", both.url], both.folder)
        assert ran.code == 0, ran.err
    assert sorted(map(str, both.in_postgres(sql))) == before


@dataclass
class Loaded:
    """One month and the zones in a database of their own."""

    taxi: Command
    url: str
    folder: Path

    def run(self, verb: str, *more: str, url: str = "", **environment: str) -> Ran:
        month = ["--dataset", "green", "--month", "2019-02,2019-10", "--source", TEMPLATE]
        return self.taxi(verb, *month, "--warehouse", url or self.url, "--json", *more, **environment)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as db:
            found = db.execute(sql)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []


@pytest.fixture
def loaded(taxi: Command, postgres_server: PostgresServer, tmp_path: Path) -> Loaded:
    there = Loaded(taxi, postgres_server.url(postgres_server.database()), tmp_path)
    ran = there.run("run")
    assert ran.code == 0, ran.err
    return there


@pytest.mark.parametrize("gone", ["DROP TABLE green_tripdata_2019_02", "UPDATE green_tripdata_2019_02 SET extra = 0"])
def test_work_undone_behind_our_back_is_exactly_what_is_done_again(loaded: Loaded, gone: str) -> None:
    assert loaded.run("run").steps == [ALL_UP_TO_DATE] * 2
    loaded.query(gone)
    planned = loaded.run("plan").document["parts"]
    assert [p["month"] for p in planned for step in p["steps"].values() if step["action"] == "run"] == ["2019-02"]
    assert loaded.run("run").steps == [only("load"), ALL_UP_TO_DATE]
    assert loaded.run("run").steps == [ALL_UP_TO_DATE] * 2


def test_verify_finds_what_the_servers_counters_cannot_tell(loaded: Loaded) -> None:
    loaded.query("ALTER TABLE green_tripdata ADD COLUMN note text")  # whose owner may update what he likes
    loaded.query("UPDATE green_tripdata_2019_02 SET extra = extra + 1")
    assert loaded.run("run").steps == [ALL_UP_TO_DATE] * 2
    ran = loaded.taxi("verify", "--dataset", "green", "--month", "2019-02,2019-10", "--warehouse", loaded.url)
    assert (ran.code, "other values than the Parquet in extra" in ran.out) == (1, True), ran.out + ran.err
    assert "green-2019-10: intact" in ran.out
    assert loaded.run("run").steps == [only("load"), ALL_UP_TO_DATE]


def test_a_foreign_table_fails_its_load_and_stays(loaded: Loaded) -> None:
    loaded.query("DROP TABLE green_tripdata; CREATE TABLE green_tripdata AS SELECT 'mine' AS vendorid")
    ran = loaded.run("run")
    assert (ran.code, "that taxi-ingest did not make" in ran.err) == (1, True)
    assert loaded.query("SELECT * FROM green_tripdata") == [("mine",)]


def test_a_foreign_table_is_foreseen_by_plan_and_doctor(loaded: Loaded) -> None:
    assert loaded.run("plan").document["refusals"] == []
    loaded.query("DROP TABLE green_tripdata; CREATE VIEW green_tripdata AS SELECT 'mine' AS vendorid")
    (sentence,) = loaded.run("plan").document["refusals"]
    assert "has a view green_tripdata that taxi-ingest did not make" in sentence
    shown = loaded.taxi("plan", "--dataset", "green", "--month", "2019-02", "--warehouse", loaded.url)
    assert f"The load will be refused: {sentence}" in shown.out
    checked = loaded.taxi("doctor", "--warehouse", loaded.url)
    assert (checked.code, f"wrong {sentence}" in checked.out) == (1, True)


def test_what_a_killed_load_left_goes_with_a_run_that_has_nothing_to_load(loaded: Loaded) -> None:
    loaded.query("CREATE TABLE green_tripdata_2019_02__0123abcd (LIKE green_tripdata)")
    loaded.query("COMMENT ON TABLE green_tripdata_2019_02__0123abcd IS 'Loaded by taxi-ingest: {}'")
    assert loaded.run("run").steps == [ALL_UP_TO_DATE] * 2
    assert loaded.query("SELECT to_regclass('green_tripdata_2019_02__0123abcd')") == [(None,)]


def test_doctor_tells_the_server_and_the_right_to_make_tables(loaded: Loaded) -> None:
    ran = loaded.taxi("doctor", "--warehouse", loaded.url)
    assert (ran.code, "is PostgreSQL" in ran.out, "tables may be made in schema public" in ran.out) == (0, True, True)
    assert loaded.taxi("doctor", "--warehouse", loaded.url + "x").code == 1


def test_a_query_is_answered_with_the_warehouse_in_force(loaded: Loaded) -> None:
    asked = "SELECT file_month, count(*), sum(passenger_count) AS p FROM green_tripdata GROUP BY 1 ORDER BY 1"
    ran = loaded.taxi("query", asked, TAXI_INGEST_GLOBAL__WAREHOUSE=loaded.url)
    counted = [[str(value) for value in row] for row in loaded.query(asked)]
    assert [line.split(",") for line in ran.out.splitlines()[1:]] == counted
    refused = loaded.taxi("query", "DELETE FROM green_tripdata", "--warehouse", loaded.url)
    assert (refused.code, "is only read by a query" in refused.err, PASSWORD in refused.err) == (2, True, False)
    months = loaded.taxi("rows", "--warehouse", loaded.url, "--json").document["months"]
    assert [(m["month"], m["rows"]) for m in months] == [(f"{m:%Y-%m}", n) for m, n, _ in loaded.query(asked)]


def test_a_server_that_is_gone_is_told_in_a_sentence(loaded: Loaded) -> None:
    gone = "postgresql://u@127.0.0.1:9/db"
    ran = loaded.run("run", url=gone, TAXI_INGEST_LOAD__TRIES="1")
    assert (ran.code, ran.err.count("nothing listens there")) == (1, 1)  # and not once a step and month
    assert "download" not in ran.err
    last = loaded.taxi("history", "latest", "--json").document
    assert (last["run"]["exit"], last["outcomes"]) == (1, [])
    assert "nothing listens there" in last["notes"][0]["note"]


@pytest.mark.parametrize("by", ["url", "url with a wrong password", "PGPASSWORD", "parameter"])
def test_the_password_is_shown_and_stored_nowhere(loaded: Loaded, by: str) -> None:
    secret = "wr0ng-5ecret" if "wrong" in by else PASSWORD
    bare = loaded.url.replace(f":{PASSWORD}@", "@")
    url = {"PGPASSWORD": bare, "parameter": f"{bare}?password={secret}"}.get(by, bare.replace("@", f":{secret}@"))
    environment = {"PGPASSWORD": secret} if by == "PGPASSWORD" else {}
    ran = [
        loaded.run("load", "--force", url=url, TAXI_INGEST_LOAD__TRIES="1", **environment),
        loaded.run("plan", url=url, **environment),
        loaded.taxi("doctor", "--warehouse", url, **environment),
        loaded.taxi("cron", "--warehouse", url, **environment),
        loaded.taxi("config", "--json", **environment, TAXI_INGEST_GLOBAL__WAREHOUSE=url),
        *(loaded.taxi(*looked) for looked in (["history", "latest", "--json"], ["history"], ["logs"], ["status"])),
    ]
    assert (ran[0].code != 0) == ("wrong" in by)
    stored = {str(path): path.read_bytes() for path in loaded.folder.rglob("*") if path.is_file()}
    printed = {f"printed {n}": (one.out + one.err).encode() for n, one in enumerate(ran)}
    assert [name for name, text in (stored | printed).items() if secret.encode() in text] == []


def test_no_process_is_given_the_password_as_an_argument(loaded: Loaded) -> None:
    template = DATA.as_uri() + "/{dataset}_tripdata_{month}.parquet"  # what is published as Parquet has its own process
    options = ["--dataset", "green", "--month", "2025-01", "--source", template, "--quiet"]
    environment = {**os.environ, "TAXI_INGEST_GLOBAL__WAREHOUSE": loaded.url}
    seen: set[bytes] = set()
    command = [sys.executable, "-m", "taxi_ingest", "run", *options]
    with subprocess.Popen(command, cwd=loaded.folder, env=environment) as running:
        while running.poll() is None:
            for arguments in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(arguments.read_bytes())
    assert running.returncode == 0
    assert any(b"taxi_ingest" in arguments for arguments in seen)
    assert [arguments for arguments in seen if PASSWORD.encode() in arguments] == []


@pytest.mark.parametrize("warehouse", ["postgres", "duckdb"])
def test_parquet_that_is_only_in_the_bucket_is_fetched_for_the_load(
    loaded: Loaded, gcs_server: str, tmp_path: Path, warehouse: str
) -> None:
    where = ["--store", f"gs://demo-bucket/{uuid.uuid4().hex}", "--data-dir", "lean"]
    environment = {"STORAGE_EMULATOR_HOST": gcs_server, "TAXI_INGEST_GLOBAL__KEEP": ""}
    url = loaded.url if warehouse == "postgres" else f"duckdb:{tmp_path / 'other.duckdb'}"
    assert loaded.run("run", *where, url=url, **environment).code == 0
    for path in (*(tmp_path / "lean" / "parquet").rglob("*.parquet"), *(tmp_path / "lean" / "raw").rglob("*.csv")):
        path.unlink()
    if warehouse == "postgres":
        loaded.query("DROP TABLE green_tripdata_2019_02")
    else:
        with duckdb.connect(str(tmp_path / "other.duckdb")) as db:
            db.execute("DELETE FROM green_tripdata WHERE file_month = DATE '2019-02-01'")
    ran = loaded.run("run", *where, url=url, **environment)
    assert ran.steps == [only("load"), ALL_UP_TO_DATE], ran.err
    assert list((tmp_path / "lean" / "parquet").rglob("*.*")) == []
