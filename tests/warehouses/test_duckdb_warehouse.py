"""DuckDB as warehouse: conformance, and what is special to a file."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conformance_of_warehouses import *  # noqa: F403
from conformance_of_warehouses import TRIPS, ZONES, Bench, refused, write

from taxi_ingest.catalog import Column
from taxi_ingest.errors import InUseError, UsageError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import HeldMonth, Options, open_warehouse
from taxi_ingest.warehouses.capabilities import Compared, ComparesContent


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


@contextlib.contextmanager
def holding(file: Path, seconds: float = 600, *, read_only: bool = False) -> Iterator[int]:
    """Another program that has the file open; yields its process id."""
    code = (
        f"import duckdb, time; c = duckdb.connect({str(file)!r}, read_only={read_only}); print('held', flush=True); "
        f"time.sleep({seconds})"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder.pid
        holder.terminate()


def test_a_file_that_another_program_holds_is_waited_for_once_and_then_named(bench: Bench) -> None:
    bench.load("2021-01", [1])
    said: list[str] = []
    impatient = open_warehouse(bench.warehouse.place, Options(lock_timeout=1.5, announce=said.append))
    with holding(bench.folder / "w.duckdb") as holder:
        begun = time.monotonic()
        for _ in range(5):
            with pytest.raises(InUseError, match=f"held by another program.*{holder}"):
                impatient.held(TRIPS.name)
        assert 1.4 < time.monotonic() - begun < 3
    (sentence,) = said
    assert sentence.startswith(f"waiting up to 2 s for {bench.folder / 'w.duckdb'}, which another program has open")
    assert str(holder) in sentence
    assert impatient.held(TRIPS.name) == {"trips": {"2021-01": HeldMonth("m1", 1, 1, "csv")}}


def test_a_reader_holds_up_a_load_only(bench: Bench) -> None:
    bench.load("2021-01", [1])
    with holding(bench.folder / "w.duckdb", read_only=True):
        impatient = replace(bench, warehouse=open_warehouse(bench.warehouse.place, Options(lock_timeout=0)))
        assert impatient.warehouse.held(TRIPS.name)["trips"]["2021-01"].rows == 1
        with pytest.raises(InUseError):
            impatient.load("2021-02", [2])


def test_checks_do_not_wait_for_another_program(bench: Bench) -> None:
    bench.load("2021-01", [1])
    with holding(bench.folder / "w.duckdb"):
        begun = time.monotonic()
        (check,) = bench.warehouse.checks(bench.store)
        assert (check.ok, "held by another program" in check.sentence) == (False, True)
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("folder", ["locks", "Could not set lock on file", "Conflicting lock is held in"])
@pytest.mark.parametrize("spoilt", ["no database", "a folder", "below a file"])
def test_a_path_with_the_word_lock_is_no_lock(tmp_path: Path, folder: str, spoilt: str) -> None:
    file = tmp_path / folder / "w.duckdb"
    file.parent.mkdir()
    if spoilt == "a folder":
        file.mkdir()
    else:
        file.write_text("no database, but long enough to be read as the beginning of one" * 100)
    place = Place.parse(f"duckdb:{file / 'x.duckdb' if spoilt == 'below a file' else file}")
    begun = time.monotonic()
    with pytest.raises((WarehouseError, OSError)) as raised:
        open_warehouse(place).replace(TRIPS, "2021-01", file="x", rows=1, mark="m1", source="csv")
    assert not isinstance(raised.value, InUseError)
    assert time.monotonic() - begun < 5


def test_a_file_that_is_no_database_is_named(bench: Bench) -> None:
    (bench.folder / "w.duckdb").write_text("no database, but long enough to be read as the beginning of one" * 100)
    with pytest.raises(WarehouseError, match="cannot be opened as a DuckDB file"):
        bench.warehouse.held(TRIPS.name)


def test_a_table_of_the_same_name_elsewhere_does_not_matter(bench: Bench) -> None:
    bench.query("CREATE SCHEMA prod")
    bench.query("CREATE TABLE prod.trips AS SELECT 'theirs' AS VendorID")
    bench.query("CREATE TABLE prod._loads AS SELECT 'theirs' AS load")
    bench.load("2021-01", [1])
    bench.load("2021-01", [2, 3], mark="m2")
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m2", 2, 2, "csv")}
    assert (bench.vendors(), bench.vendors("prod.trips")) == ([2, 3], ["theirs"])


def test_a_table_whose_case_differs_is_the_same_to_duckdb_and_refused(bench: Bench) -> None:
    bench.query("CREATE TABLE Trips AS SELECT 7 AS vendorid")
    assert "did not make" in refused(bench)
    assert bench.query("SELECT * FROM trips") == [(7,)]


def test_a_table_of_ours_that_lost_its_comments_gains_columns(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.query("CREATE OR REPLACE TABLE trips AS SELECT * EXCLUDE (flag) FROM trips")
    bench.load("2021-02", [2])
    assert bench.vendors() == [1, 2]


def test_an_empty_file_is_no_database_yet(bench: Bench) -> None:
    (bench.folder / "w.duckdb").touch()
    (check,) = bench.warehouse.checks(Place.parse("lake"))
    assert check.ok
    bench.load("2021-01", [1])
    assert bench.vendors() == [1]


@pytest.mark.parametrize("made", ["TABLE", "VIEW"])
def test_somebody_elses_table_of_loads_does_not_disturb(bench: Bench, made: str) -> None:
    bench.query(f"CREATE {made} _loads AS SELECT 'truck' AS load, 7 AS tons")
    assert bench.warehouse.held("trips")["trips"] == {}
    bench.load("2021-01", [1])
    bench.load("2021-02", [2, 3])
    bench.load("2021-01", [4])
    held = bench.warehouse.held("trips")["trips"]
    assert ({month: one.rows for month, one in held.items()}, bench.vendors()) == (
        {"2021-01": 1, "2021-02": 2},
        [2, 3, 4],
    )
    assert bench.query("SELECT * FROM _loads") == [("truck", 7)]


def test_a_refused_table_gets_no_table_of_loads(bench: Bench) -> None:
    bench.query("CREATE TABLE trips (VendorID INTEGER, fare_amount INTEGER)")
    assert refused(bench) == (
        f"{bench.warehouse.place} has a table trips that taxi-ingest did not make (VendorID is INTEGER instead of "
        "BIGINT, fare_amount is INTEGER instead of DOUBLE, it has no pickup_datetime, flag, file_month). "
        "It was left as it is. "
        "Rename or drop it, or name another file: --warehouse duckdb:FILE."
    )
    assert bench.query("SELECT table_name FROM duckdb_tables()") == [("trips",)]


def test_a_broken_view_beside_our_table_does_not_matter(bench: Bench) -> None:
    bench.query("CREATE TABLE gone AS SELECT 1 AS x")
    bench.query("CREATE VIEW broken AS SELECT x FROM gone")
    bench.query("DROP TABLE gone")
    bench.load("2021-01", [1])
    assert bench.vendors() == [1]


NEIGHBOURS = [
    ("taxi [12]", "taxi 1"),
    ("a*b", "aXb"),
    ("t?x", "tax"),
    ("[!a]", "b"),
    ("**", "deep"),
    ("[[]", "["),
    ("VendorID=7", "other"),
    ("file_month=2020-01-01", "other"),
    ("{a,b}", "a"),
    ('it\'s "quoted"', "its"),
    ("100%25 #1 é", "100% #1 é"),
    ("back\\slash", "backslash"),
]


@pytest.mark.parametrize(("folder", "neighbour"), NEIGHBOURS)
def test_only_the_file_named_is_read_and_written(tmp_path: Path, folder: str, neighbour: str) -> None:
    for name, vendor in ((neighbour, 99), (folder, 1)):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "f.parquet", TRIPS, "2021-01", [vendor, vendor + 1])
    home = tmp_path if "?" in folder or "\\" in folder else tmp_path / folder
    place = Place.parse(f"duckdb:{home / 'w.duckdb'}")
    file = str(tmp_path / folder / "f.parquet")
    open_warehouse(place).replace(TRIPS, "2021-01", file=file, rows=2, mark="m1", source="csv")
    assert open_warehouse(place).held("trips")["trips"] == {"2021-01": HeldMonth("m1", 2, 2, "csv")}
    with duckdb.connect(str(home / "w.duckdb")) as db:
        assert db.execute("SELECT VendorID, file_month FROM trips ORDER BY 1").fetchall() == [
            (1, date(2021, 1, 1)),
            (2, date(2021, 1, 1)),
        ]
    assert [path.name for path in (tmp_path / neighbour).iterdir()] == ["f.parquet"]


@pytest.mark.parametrize("name", ["t?x/w.duckdb", "w?.duckdb", "back\\slash.duckdb"])
def test_a_path_that_duckdb_misreads_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="DuckDB itself misreads"):
        open_warehouse(Place.parse(f"duckdb:{tmp_path / name}"))


@pytest.mark.parametrize("name", ["~w.duckdb", "md:w.duckdb", "100% #1 [a] 'é'.duckdb", "--help", "memory.csv"])
def test_a_relative_path_is_a_file_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "f.parquet", TRIPS, "2021-01", [1])
    there = open_warehouse(Place.parse(f"duckdb:{name}"))
    there.replace(TRIPS, "2021-01", file="f.parquet", rows=1, mark="m1", source="csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "f.parquet"])
    shown = subprocess.run(["sh", "-c", there.preview_command("trips")], capture_output=True, text=True, check=False)
    assert (shown.returncode, "file_month" in shown.stdout) == (0, True), shown.stderr


def test_zero_with_the_other_sign_is_other_content(bench: Bench) -> None:
    bench.query("CREATE TABLE source AS SELECT 0.0::DOUBLE AS zero")
    file = bench.folder / "zeros.parquet"
    numbers = replace(ZONES, name="numbers", columns=(Column("zero", "double", "", "a zero"),))
    bench.query(f"COPY source TO '{file}'")
    bench.warehouse.replace(numbers, None, file=str(file), rows=1, mark="m1", source="csv")
    bench.query("DELETE FROM numbers")
    bench.query("INSERT INTO numbers VALUES ('-0.0'::DOUBLE)")
    assert isinstance(bench.warehouse, ComparesContent)
    assert bench.warehouse.compare(numbers, None, file=str(file)) == Compared(False, 1, 1, ("zero",))
