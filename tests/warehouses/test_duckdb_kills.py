"""A load that is killed at any moment leaves the month as it was before or as it is afterwards, mark and all."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_ingest.catalog import Column
from taxi_ingest.catalog.months import first_day
from taxi_ingest.files import scratch_files_of
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Table, open_warehouse, sweep

KILLS = int(os.environ.get("TAXI_INGEST_TEST_KILLS", "12"))
MONTHS = {"a": 300_000, "b": 200_000}
"""Rows by mark. Loads of the one and the other take turns."""

FILES = {"a.parquet", "b.parquet", "w.duckdb"}
TABLE = Table("trips", "title", (Column("n", "int64", "a number", ""),), True, "n")

LOADING = """
import itertools, sys
from taxi_ingest.catalog import Column
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Table, open_warehouse, sweep

table = Table("trips", "title", (Column("n", "int64", "a number", ""),), True, "n")
warehouse = open_warehouse(Place.parse(sys.argv[1]))
print("ready", flush=True)
for mark, rows in itertools.cycle(eval(sys.argv[2]).items()):
    warehouse.replace(table, "2021-01", file=mark + ".parquet", rows=rows, mark=mark, source="csv")
    print("loaded", flush=True)
"""


def test_a_load_killed_at_any_moment_leaves_the_month_before_or_after_and_nothing_else(tmp_path: Path) -> None:
    write_files(tmp_path)
    moments = random.Random(17)
    database = tmp_path / "w.duckdb"
    seen = set()
    for kill in range(KILLS):
        killed_loading(tmp_path, kill % 3, moments.uniform(0.0, 0.2))
        held = open_warehouse(Place.parse(f"duckdb:{database}")).held("trips")["trips"]
        marks = {one.mark: one.rows for one in held.values()}
        assert marks in ({}, *({mark: rows} for mark, rows in MONTHS.items())), f"kill {kill}"
        seen |= marks.keys()
        if database.exists():  # else the kill came before, and to connect would make it
            with duckdb.connect(str(database)) as db:
                tables = {name for (name,) in db.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
                assert tables == ({"trips", "_loads"} if held else set())
                if held:
                    assert db.execute("SELECT count(*), count(DISTINCT n) FROM trips").fetchall() == [
                        (*marks.values(),) * 2
                    ]
        settled_by_the_next_load = {"w.duckdb.wal", *(path.name for path in scratch_files_of(database))}
        assert (names(tmp_path) | {database.name}) - settled_by_the_next_load == FILES, f"kill {kill}"
    assert seen == MONTHS.keys()
    killed_loading(tmp_path, 3, 0)
    loaded(tmp_path, "a")
    assert names(tmp_path) == FILES


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
@pytest.mark.parametrize("write", range(1, 6))
def test_a_load_killed_while_duckdb_makes_its_file_is_followed_by_one_that_works(tmp_path: Path, write: int) -> None:
    write_files(tmp_path)
    kill = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject=pwrite64:signal=KILL:when={write}"]
    command = [*kill, sys.executable, "-c", LOADING, f"duckdb:{tmp_path / 'w.duckdb'}", repr(MONTHS)]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert loaded(tmp_path, "a") == MONTHS["a"]
    assert names(tmp_path) == FILES


def loaded(folder: Path, mark: str) -> int:
    """Load a month; the number of its rows."""
    warehouse = open_warehouse(Place.parse(f"duckdb:{folder / 'w.duckdb'}"))
    file = str(folder / f"{mark}.parquet")
    return warehouse.replace(TABLE, "2021-01", file=file, rows=MONTHS[mark], mark=mark, source="csv")


def write_files(folder: Path) -> None:
    for mark, rows in MONTHS.items():
        days = pa.array([first_day("2021-01")] * rows, pa.date32())
        pq.write_table(pa.table({"n": pa.array(range(rows)), "file_month": days}), folder / f"{mark}.parquet")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def killed_loading(folder: Path, loads: int, seconds: float) -> None:
    """Load again and again in another process, and kill it so many seconds after so many loads."""
    command = [sys.executable, "-c", LOADING, f"duckdb:{folder / 'w.duckdb'}", repr(MONTHS)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for word in ("ready", *["loaded"] * loads):
            assert process.stdout.readline() == f"{word}\n"
        time.sleep(seconds)
        process.kill()


@pytest.mark.parametrize("cut", [0, 5, 60])
def test_the_log_that_a_killed_load_left_is_swept_with_its_rows(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "w.duckdb"
    dying = f"import duckdb, os; db = duckdb.connect({str(path)!r}); db.execute('CREATE TABLE t AS SELECT 7 AS n')"
    subprocess.run([sys.executable, "-c", f"{dying}; os._exit(0)"], check=True)
    assert names(tmp_path) == {"w.duckdb", "w.duckdb.wal"}
    log = tmp_path / "w.duckdb.wal"
    os.truncate(log, log.stat().st_size - cut)
    sweep(open_warehouse(Place.parse(f"duckdb:{path}")), "trips")
    assert names(tmp_path) == {"w.duckdb"}
    with duckdb.connect(str(path)) as db:
        assert db.execute("SELECT table_name FROM duckdb_tables()").fetchall() == ([] if cut else [("t",)])
        assert cut or db.execute("FROM t").fetchall() == [(7,)]
