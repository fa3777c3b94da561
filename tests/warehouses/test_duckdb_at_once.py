"""Two processes that find no DuckDB file, and each make it: what both write is there."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import duckdb

from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options
from taxi_ingest.warehouses.duckdb.connecting import Connections

FILES = 20


def make_tables(folder: Path, name: str, start: Barrier) -> None:
    """Make a table called `name` in every file, each at the moment at which the other process does."""
    for number in range(FILES):
        path = folder / f"{number}.duckdb"
        start.wait(60)
        with Connections(Place.parse(f"duckdb:{path}"), path, Options()).open(read_only=False) as db:
            db.execute(f"CREATE TABLE {name} AS SELECT 1")


def test_two_processes_that_make_the_file_at_once_lose_nothing(tmp_path: Path) -> None:
    for number in range(FILES // 2):
        (tmp_path / f"{number}.duckdb").touch()  # as a process leaves it that is killed while it makes the file
    spawning = multiprocessing.get_context("spawn")
    start = spawning.Barrier(2)
    both = [spawning.Process(target=make_tables, args=(tmp_path, name, start)) for name in ("one", "two")]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    for number in range(FILES):
        with duckdb.connect(str(tmp_path / f"{number}.duckdb")) as db:
            assert db.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall() == [("one",), ("two",)]
