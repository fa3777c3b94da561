"""The benchmarks work: their cases run, and candidates that make other rows than we do are told."""

from __future__ import annotations

import gzip
import sqlite3
import sys
from pathlib import Path

import duckdb
import pytest
from conftest import DATA, REPOSITORY, process

SAMPLE = DATA / "yellow_tripdata_2019-06.csv"
CASES = ("whole", "whole-postgres", "load", "load-postgres", "held")


def test_the_cases_of_the_whole_way_run_and_agree(tmp_path: Path) -> None:
    for case in CASES:  # a real sample for input: making one up takes packages that the tests do without
        published = tmp_path / f"{case}-0.001" / "published"
        published.mkdir(parents=True)
        (published / "yellow_tripdata_2019-01.csv.gz").write_bytes(gzip.compress(SAMPLE.read_bytes()))
    asked = ["--rounds", "1", "--scale", "0.001", "--work", str(tmp_path)]
    chosen = [word for case in CASES for word in ("--only", case)]
    ran = process([sys.executable, "tests/benchmarks", *asked, *chosen], REPOSITORY)
    assert ran.code == 0, ran.out + ran.err
    measured = {line.split(" | ")[0].removeprefix("| ") for line in ran.out.splitlines()}
    assert {"taxi-ingest", "DuckDB, table from CSV", "DuckDB, Parquet and table"} <= measured
    assert {"psycopg, COPY of the CSV", "taxi-ingest load", "psycopg, COPY as CSV"} <= measured
    assert {"taxi-ingest load, new file", "DuckDB, CREATE TABLE AS", "a table of 3,001,000 rows"} <= measured


@pytest.mark.parametrize("suffix", [".parquet", ".duckdb", ".sqlite"])
@pytest.mark.parametrize("theirs", ["12:00:01", "12:00:00"])
def test_one_other_time_is_a_difference(tmp_path: Path, suffix: str, theirs: str) -> None:
    ours, other = tmp_path / "ours.parquet", tmp_path / f"theirs{suffix}"
    _write(ours, "2019-01-01 12:00:00")
    _write(other, f"2019-01-01 {theirs}")
    ran = process([sys.executable, "tests/benchmarks/checking.py", str(ours), str(other)], REPOSITORY)
    assert (ran.code, len(ran.out.splitlines())) == (0, int(theirs == "12:00:01")), ran


def _write(path: Path, pickup: str) -> None:
    row = f"SELECT 1 AS VendorID, CAST('{pickup}' AS TIMESTAMP) AS pickup, 'N' AS flag"
    if path.suffix == ".sqlite":
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE yellow_tripdata (VendorID INTEGER, pickup TIMESTAMP, flag TEXT)")
            db.execute("INSERT INTO yellow_tripdata VALUES (1, ?, 'N')", [pickup])
        db.close()
    elif path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as database:
            database.execute(f"CREATE TABLE yellow_tripdata AS {row}")
    else:
        duckdb.execute(f"COPY ({row}) TO '{path}' (FORMAT parquet)")
