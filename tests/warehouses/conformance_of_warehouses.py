"""What every warehouse must do. A kind's test module imports these tests and brings a fixture `warehouse`.

The fixture gives a `Bench`: the warehouse, a way to hand it a Parquet file, and a way to ask it with SQL.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_ingest.catalog import Column
from taxi_ingest.errors import TaxiError
from taxi_ingest.warehouses import HeldMonth, Table, Warehouse

COLUMNS = (
    Column("VendorID", "int64", "code", "who's meter"),
    Column("pickup_datetime", "timestamp", "New York wall clock", "start"),
    Column("fare_amount", "double", "USD", "fare"),
    Column("flag", "string", "Y/N", "a flag"),
)
TRIPS = Table("trips", "Trips, made up", COLUMNS, monthly=True, cluster_by="pickup_datetime")
ZONES = Table("zones", "Zones, made up", COLUMNS[:1], monthly=False, cluster_by="")
TYPES = {"int64": pa.int64(), "timestamp": pa.timestamp("us"), "double": pa.float64(), "string": pa.string()}


@dataclass
class Bench:
    """A warehouse under test."""

    warehouse: Warehouse
    hand_over: Callable[[Path], str]
    query: Callable[[str], list[tuple[Any, ...]]]
    folder: Path

    def load(self, month: str | None, vendors: list[int], mark: str = "m1", table: Table = TRIPS, **more: Any) -> int:
        """Load a month with one row a vendor."""
        path = self.folder / f"{table.name}_{month}_{mark}_{threading.get_ident()}.parquet"
        write(path, table, month, vendors)
        arguments = {"rows": len(vendors), "mark": mark, "source": "csv", **more}
        return self.warehouse.replace(table, month, file=self.hand_over(path), **arguments)

    def vendors(self, table: str = "trips") -> list[int]:
        """VendorID of every row, sorted."""
        return sorted(vendor for (vendor,) in self.query(f"SELECT VendorID FROM {table}"))


def write(path: Path, table: Table, month: str | None, vendors: list[int]) -> None:
    values: dict[str, Any] = {
        "int64": vendors,
        "timestamp": [datetime(2021, 1, 2, 3, 4, 5)] * len(vendors),
        "double": [1.5] * len(vendors),
        "string": ["Y", *[None] * (len(vendors) - 1)][: len(vendors)],
    }
    columns = {c.name: pa.array(values[c.type], TYPES[c.type]) for c in table.columns}
    if month:
        columns["file_month"] = pa.array([date.fromisoformat(f"{month}-01")] * len(vendors), pa.date32())
    pq.write_table(pa.table(columns), path)


def test_nothing_is_held_before_the_first_load(bench: Bench) -> None:
    assert bench.warehouse.held("trips")["trips"] == {}


def test_a_month_is_loaded_whole_with_its_mark(bench: Bench) -> None:
    assert bench.load("2021-01", [1, 2, 3]) == 3
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m1", 3, 3, "csv")}
    assert bench.vendors() == [1, 2, 3]


def test_values_come_through_as_they_are(bench: Bench) -> None:
    bench.load("2021-01", [1])
    assert bench.query("SELECT VendorID, pickup_datetime, fare_amount, flag, file_month FROM trips") == [
        (1, datetime(2021, 1, 2, 3, 4, 5), 1.5, "Y", date(2021, 1, 1))
    ]


def test_the_same_month_three_times_is_the_same_table(bench: Bench) -> None:
    for _ in range(3):
        bench.load("2021-01", [1, 2, 3])
    assert bench.vendors() == [1, 2, 3]


def test_other_content_replaces_exactly_its_month(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.load("2021-02", [4])
    bench.load("2021-01", [7, 8], mark="m2")
    assert bench.vendors() == [4, 7, 8]
    assert {month: held.mark for month, held in bench.warehouse.held("trips")["trips"].items()} == {
        "2021-01": "m2",
        "2021-02": "m1",
    }


def test_a_month_deleted_behind_our_back_is_not_whole(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.load("2021-02", [4])
    bench.query("DELETE FROM trips WHERE file_month = DATE '2021-01-01'")
    held = bench.warehouse.held("trips")["trips"]
    assert "2021-01" not in held or held["2021-01"].rows != held["2021-01"].loaded
    assert held["2021-02"] == HeldMonth("m1", 1, 1, "csv")


def test_a_dropped_table_holds_nothing(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.query("DROP TABLE trips")
    assert bench.warehouse.held("trips")["trips"] == {}
    assert bench.load("2021-01", [1, 2, 3]) == 3


def test_a_file_that_is_not_there_leaves_the_old_month(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    missing = bench.hand_over(bench.folder / "missing.parquet")
    with pytest.raises(TaxiError):
        bench.warehouse.replace(TRIPS, "2021-01", file=missing, rows=3, mark="m2", source="csv")
    assert bench.vendors() == [1, 2, 3]


def test_other_rows_than_promised_do_not_count_as_held(bench: Bench) -> None:
    with pytest.raises(TaxiError):
        bench.load("2021-01", [1, 2, 3], rows=4)
    held = bench.warehouse.held("trips")["trips"].get("2021-01")
    assert held is None or held.rows != held.loaded


def test_a_new_column_joins_an_old_table(bench: Bench) -> None:
    bench.load("2021-01", [1], table=replace(TRIPS, columns=COLUMNS[:3]))
    bench.load("2021-02", [2])
    assert sorted(bench.query("SELECT VendorID, flag FROM trips"), key=str) == [(1, None), (2, "Y")]


def test_a_table_without_months_is_replaced_whole(bench: Bench) -> None:
    bench.load(None, [1, 2], table=ZONES)
    bench.load(None, [3], mark="m2", table=ZONES)
    assert bench.vendors("zones") == [3]
    assert bench.warehouse.held("zones")["zones"] == {None: HeldMonth("m2", 1, 1, "csv")}


def test_two_writers_of_different_months_both_succeed(bench: Bench) -> None:
    bench.load("2021-01", [0])
    threads = [threading.Thread(target=bench.load, args=(f"2021-0{n}", [n])) for n in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.vendors() == [0, 2, 3]


def test_two_writers_of_one_month_leave_one_of_them(bench: Bench) -> None:
    threads = [threading.Thread(target=bench.load, args=("2021-01", [n, n], f"m{n}")) for n in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = bench.warehouse.held("trips")["trips"]["2021-01"]
    assert (bench.vendors(), held.mark) in [([2, 2], "m2"), ([3, 3], "m3")]
