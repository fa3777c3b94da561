"""DuckDB as warehouse by the method `external`, where the table is a view: conformance, and what differs."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conformance_of_warehouses import *  # noqa: F403
from conformance_of_warehouses import TRIPS, Bench, refused, write

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import HeldMonth, Options, check_pair, open_warehouse
from taxi_ingest.warehouses.capabilities import AnswersQueries

EXTERNAL = Options(method="external")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    file = tmp_path / "w.duckdb"

    def query(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file)) as db:
            is_view = db.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'trips'").fetchall()
            for statement in for_a_view(sql) if is_view else [sql]:
                result = db.execute(statement)
            return result.fetchall()

    (tmp_path / "text").write_text("no database, but long enough to be read as the beginning of one" * 100)
    return Bench(
        open_warehouse(Place.parse(f"duckdb:{file}"), EXTERNAL),
        hand_over=str,
        query=query,
        folder=tmp_path,
        store=Place.parse(str(tmp_path)),
        unusable=Place.parse(f"duckdb:{tmp_path / 'text'}"),
        options=EXTERNAL,
    )


def for_a_view(sql: str) -> list[str]:
    """The statements that do to a view what one of the suite's statements does to a table."""
    sql = sql.replace("DROP TABLE trips", "DROP VIEW trips")
    anew = ["DROP VIEW trips", "ALTER TABLE anew RENAME TO trips"]
    if rows := re.fullmatch("CREATE OR REPLACE TABLE trips AS (.*)", sql):
        return [f"CREATE TABLE anew AS {rows[1]}", *anew]
    if re.match("(UPDATE|INSERT INTO|DELETE FROM) trips", sql):  # nobody can change a view but by another relation
        return ["CREATE TABLE anew AS FROM trips", sql.replace("trips", "anew"), *anew]
    return [sql]


def files(bench: Bench, month: str) -> list[Path]:
    return list(bench.folder.glob(f"trips_{month}_*.parquet"))


def test_a_month_deleted_behind_our_back_is_not_whole(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.load("2021-02", [4])
    (file,) = files(bench, "2021-01")
    file.unlink()
    assert bench.warehouse.held("trips")["trips"] == {
        "2021-01": HeldMonth("m1", 0, 3, "csv"),
        "2021-02": HeldMonth("m1", 1, 1, "csv"),
    }


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all, but long enough to be taken for some"])
def test_a_file_that_cannot_be_read_has_no_rows(bench: Bench, content: bytes) -> None:
    bench.load("2021-01", [1, 2, 3])
    (file,) = files(bench, "2021-01")
    file.write_bytes(content)
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m1", 0, 3, "csv")}
    (failed,) = [check for check in bench.warehouse.checks(bench.store) if not check.ok]
    assert failed.sentence == "trips shows files that are gone or changed: 2021-01. Run them again."


def test_a_file_with_other_rows_has_no_mark(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    (file,) = files(bench, "2021-01")
    write(file, TRIPS, "2021-01", [7, 8, 9])
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("", 3, 3, "csv")}


def test_a_query_that_may_need_a_missing_file_fails_and_names_it(bench: Bench) -> None:
    for number in (1, 2, 3):
        bench.load(f"2021-0{number}", [number])
    (file,) = files(bench, "2021-02")
    file.unlink()
    with pytest.raises(duckdb.Error, match=re.escape(str(file))):
        bench.query("SELECT count(*) FROM trips")
    bench.load("2021-03", [30], mark="m2")
    for condition in ("true", "VendorID > 5", "flag IS NULL", "fare_amount IN (9)", "year(file_month) = 2021"):
        with pytest.raises(duckdb.Error, match=f"2021-02: its file {re.escape(str(file))} is gone"):
            bench.query(f"SELECT count(*) FROM trips WHERE {condition}")
    assert bench.query("SELECT VendorID FROM trips WHERE file_month = DATE '2021-03-01'") == [(30,)]
    bench.load("2021-02", [20])
    assert bench.vendors() == [1, 20, 30]


def test_a_month_that_was_only_uploaded_is_not_shown(bench: Bench) -> None:
    bench.load("2021-01", [1])
    write(bench.folder / "trips_2021-02_m1.parquet", TRIPS, "2021-02", [2])
    assert bench.vendors() == [1]


def test_the_months_of_a_dropped_view_do_not_come_back(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.query("DROP TABLE trips")
    bench.load("2021-02", [2])
    assert bench.vendors() == [2]
    assert bench.warehouse.held("trips")["trips"] == {
        "2021-01": HeldMonth("m1", 0, 1, "csv"),
        "2021-02": HeldMonth("m1", 1, 1, "csv"),
    }


def test_a_load_takes_as_much_of_this_disk_as_the_traits_say(bench: Bench) -> None:
    bench.load("2021-02", [1])
    before = (bench.folder / "w.duckdb").stat().st_size
    bench.load("2021-01", list(range(1_000_000)))
    (file,) = files(bench, "2021-01")
    assert bench.warehouse.traits.disk_per_parquet == 0
    assert ((bench.folder / "w.duckdb").stat().st_size - before) * 2 < file.stat().st_size


def test_columns_of_the_user_stay_and_are_null_in_new_rows(bench: Bench) -> None:
    """No file has them, so their table does not become a view."""
    table = open_warehouse(bench.warehouse.place)
    bench.load("2021-01", [1])
    write(bench.folder / "again.parquet", TRIPS, "2021-01", [1])
    bench.query("CREATE OR REPLACE TABLE trips AS SELECT *, 'mine' AS note FROM trips")
    table.replace(TRIPS, "2021-02", file=str(bench.folder / "again.parquet"), rows=0, mark="m1", source="csv")
    assert "it has columns that no file has: note" in refused(bench)
    assert bench.query("SELECT VendorID, note FROM trips WHERE note IS NOT NULL") == [(1, "mine")]


def test_a_table_that_becomes_a_view_gives_its_room_back(bench: Bench) -> None:
    bench.load("2021-01", random.Random(1).sample(range(10**12), 1_000_000))
    (file,) = files(bench, "2021-01")
    sizes = []
    for options in (Options(), EXTERNAL):
        there = open_warehouse(bench.warehouse.place, options)
        there.replace(TRIPS, "2021-01", file=str(file), rows=1_000_000, mark="m1", source="csv")
        sizes.append((bench.folder / "w.duckdb").stat().st_size)
    assert sizes[1] * 2 < sizes[0]


def test_comments_are_those_of_a_table(bench: Bench) -> None:
    bench.load("2021-01", [1])
    query = "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = 'trips'"
    described = bench.query(query)
    open_warehouse(bench.warehouse.place).replace(
        TRIPS, "2021-01", file=str(files(bench, "2021-01")[0]), rows=1, mark="m1", source="csv"
    )
    assert described == bench.query(query)
    assert ("VendorID", "BIGINT", "who's meter [code]") in described


def test_a_view_that_somebody_made_anew_is_refused_and_holds_nothing(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("CREATE OR REPLACE VIEW trips AS SELECT 7 AS VendorID")
    assert bench.warehouse.held("trips") == {"trips": {}}
    assert "has a view trips that taxi-ingest did not make" in refused(bench)
    assert bench.vendors() == [7]


def test_a_store_that_is_no_folder_is_refused_with_what_is_possible(bench: Bench) -> None:
    with pytest.raises(UsageError) as raised:
        check_pair(Place.parse("gs://bucket/lake"), bench.warehouse.place, EXTERNAL)
    assert str(raised.value) == (
        f"{bench.warehouse.place} cannot load from the store gs://bucket/lake. Use a store it reads: a folder. "
        "Or copy the rows: load.method = table."
    )


def test_a_kind_that_cannot_show_objects_names_its_methods() -> None:
    with pytest.raises(UsageError) as raised:
        open_warehouse(Place.parse("postgresql://host/taxi"), EXTERNAL)
    assert str(raised.value) == (
        "postgresql://host/taxi cannot show the store's objects as a table (load.method = external). "
        "Possible: load.method = table."
    )


@pytest.mark.parametrize("folder", ["taxi [12]", "a*b", "t?x", "VendorID=7", "{a,b}", 'it\'s "quoted"', "100%25 #1 é"])
def test_only_the_file_named_is_shown(bench: Bench, folder: str) -> None:
    for name in (folder, "taxi 1", "aXb", "tax", "a"):
        (bench.folder / name).mkdir()
        write(bench.folder / name / "f.parquet", TRIPS, "2021-01", [1, 2] if name == folder else [99])
    file = str(bench.folder / folder / "f.parquet")
    bench.warehouse.replace(TRIPS, "2021-01", file=file, rows=2, mark="m1", source="csv")
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m1", 2, 2, "csv")}
    assert bench.vendors() == [1, 2]


def test_a_query_reads_the_view_whatever_its_files_are_called(bench: Bench) -> None:
    bench = replace(bench, folder=bench.folder / "a=1 [b] * 'c'")
    bench.folder.mkdir()
    bench.load("2021-01", [1, 2])
    bench.load("2021-02", [3])
    assert isinstance(bench.warehouse, AnswersQueries)
    with bench.warehouse.query("SELECT VendorID FROM trips ORDER BY 1") as answer:
        assert [batch.column(0).to_pylist() for batch in answer.batches] == [[1, 2, 3]]


def test_a_query_names_the_missing_file_of_a_view(bench: Bench) -> None:
    bench.load("2021-01", [1])
    (file,) = files(bench, "2021-01")
    file.unlink()
    assert isinstance(bench.warehouse, AnswersQueries)
    with pytest.raises(UsageError, match=re.escape(str(file))), bench.warehouse.query("FROM trips") as answer:
        list(answer.batches)


def test_a_query_cannot_write_a_file_of_a_view(bench: Bench) -> None:
    bench.load("2021-01", [1])
    (file,) = files(bench, "2021-01")
    before = file.read_bytes()
    assert isinstance(bench.warehouse, AnswersQueries)
    copy = f"COPY (PIVOT (SELECT 1 a, 2 b) ON a USING sum(b)) TO '{file}'"
    with pytest.raises(UsageError, match="only read"), bench.warehouse.query(copy):
        pass
    assert file.read_bytes() == before
