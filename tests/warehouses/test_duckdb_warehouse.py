"""DuckDB as warehouse: conformance, and what is special to a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conformance_of_warehouses import *  # noqa: F403
from conformance_of_warehouses import TRIPS, Bench

from taxi_ingest.errors import TransientError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options, open_warehouse


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(tmp_path / "w.duckdb")) as db:
            return db.execute(sql).fetchall()

    (tmp_path / "text").write_text("no database, but long enough to be read as the beginning of one" * 100)
    return Bench(
        open_warehouse(Place.parse(f"duckdb:{tmp_path / 'w.duckdb'}")),
        hand_over=str,
        query=query,
        folder=tmp_path,
        store=Place.parse(str(tmp_path)),
        unusable=Place.parse(f"duckdb:{tmp_path / 'text'}"),
    )


def test_columns_are_described_by_meaning_and_unit(bench: Bench) -> None:
    bench.load("2021-01", [1])
    comments = dict(bench.query("SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'trips'"))
    assert comments["VendorID"] == "who's meter [code]"


def test_a_file_that_another_program_holds_is_waited_for_and_then_named(
    bench: Bench,
) -> None:
    bench.load("2021-01", [1])
    impatient = open_warehouse(bench.warehouse.place, Options(lock_timeout=0.5))
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb, sys; c = duckdb.connect({str(bench.folder / 'w.duckdb')!r}); print('held', flush=True); "
            "sys.stdin.read()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TransientError, match=f"held by another program.*{holder.pid}"):
            impatient.held(TRIPS.name)
        holder.terminate()


def test_a_file_that_is_no_database_is_named(bench: Bench) -> None:
    (bench.folder / "w.duckdb").write_text("no database, but long enough to be read as the beginning of one" * 100)
    with pytest.raises(WarehouseError, match="cannot be opened as a DuckDB file"):
        bench.warehouse.held(TRIPS.name)
