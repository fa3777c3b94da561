"""A DuckDB file in which somebody else has tables of our names, and folders whose names look like patterns."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from conftest import MONTH, Command, Publisher, query


@pytest.fixture
def run(taxi: Command, publisher: Publisher) -> list[str]:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    return ["run", "--month", "2020-01", "--source", publisher.template, "--json"]


def contents(file: Path) -> list[tuple[str, str, str, int]]:
    with duckdb.connect(str(file), read_only=True) as db:
        return db.execute("SELECT schema_name, table_name, sql, estimated_size FROM duckdb_tables()").fetchall()


@pytest.mark.parametrize(
    ("made_by_hand", "difference"),
    [
        (f"CREATE TABLE yellow_tripdata AS FROM read_csv('{MONTH}')", "file_month)"),
        (
            "CREATE TABLE yellow_tripdata (VendorID BIGINT, fare_amount INTEGER)",
            "fare_amount is INTEGER instead of DOU",
        ),
        ("CREATE VIEW yellow_tripdata AS SELECT 1 AS VendorID", "has a view yellow_tripdata that taxi-ingest did not"),
    ],
    ids=["read_csv", "types", "view"],
)
def test_what_somebody_else_made_is_refused_and_stays(
    taxi: Command, run: list[str], tmp_path: Path, made_by_hand: str, difference: str
) -> None:
    file = tmp_path / "w.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute(made_by_hand)
    before = contents(file)
    ran = taxi(*run, "--warehouse", f"duckdb:{file}")
    assert (ran.code, ran.steps) == (
        1,
        [{"download": "done", "parquetize": "done", "upload": "done", "load": "failed"}],
    )
    assert difference in ran.err
    assert "Rename or drop it, or name another file" in ran.err
    assert "Try 2 of" not in ran.err
    assert contents(file) == before


def test_a_table_in_another_schema_stays_and_ours_is_loaded(taxi: Command, run: list[str], tmp_path: Path) -> None:
    file = tmp_path / "w.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute("CREATE SCHEMA prod; CREATE TABLE prod.yellow_tripdata AS SELECT 7 AS VendorID")
    for _ in range(2):
        assert taxi(*run, "--warehouse", f"duckdb:{file}", "--force").code == 0
    assert query(file, "FROM prod.yellow_tripdata") == [(7,)]
    assert query(file, "SELECT count(*) FROM main.yellow_tripdata") == [(999,)]


@pytest.mark.parametrize(("folder", "neighbour"), [("taxi [12]", "taxi 1"), ("a*b", "aXb"), ("t?x", "tax")])
def test_a_data_directory_that_looks_like_a_pattern_reads_only_itself(
    taxi: Command, publisher: Publisher, run: list[str], tmp_path: Path, folder: str, neighbour: str
) -> None:
    lines = MONTH.read_bytes().splitlines(keepends=True)
    where = ["--warehouse", f"duckdb:{tmp_path / 'w.duckdb'}"]
    publisher.files["/yellow_tripdata_2020-01.csv"] = b"".join(lines[:100])
    assert taxi(*run, "--data-dir", neighbour).code == 0
    publisher.files["/yellow_tripdata_2020-01.csv"] = b"".join(lines)
    leftover = tmp_path / folder / "raw" / "yellow" / ".yellow_tripdata_2020-01.csv.abcdefgh.tmp"
    theirs = tmp_path / neighbour / "raw" / "yellow" / leftover.name
    for scratch in (leftover, theirs):
        scratch.parent.mkdir(parents=True, exist_ok=True)
        scratch.touch()
    for _ in range(2):
        ran = taxi(*run, "--data-dir", folder, *where)
        assert ran.code == 0, ran.err
    assert set(ran.steps[0].values()) == {"up_to_date"}
    assert query(tmp_path / "w.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]
    assert (leftover.exists(), theirs.exists()) == (False, True)
    status = taxi("status", "--data-dir", folder, "--json", TAXI_INGEST_GLOBAL__WAREHOUSE=where[1]).document
    assert [part["load"]["state"] for part in status["parts"]] == ["done"]


def test_a_default_warehouse_that_duckdb_would_misread_is_refused(
    taxi: Command, run: list[str], tmp_path: Path
) -> None:
    ran = taxi(*run, "--data-dir", "t?x")
    assert (ran.code, "DuckDB itself misreads" in ran.err, list(tmp_path.iterdir())) == (2, True, [])
