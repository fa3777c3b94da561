"""What every warehouse must do. A kind's test module imports these tests and defines the fixture `bench`.

The fixture returns a `Bench`: the warehouse, a way to hand it a Parquet file, and a way to query it with SQL.
"""

from __future__ import annotations

import re
import socket
import subprocess
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
from taxi_ingest.errors import TaxiError, UsageError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import (
    HeldMonth,
    Options,
    Table,
    Warehouse,
    bill,
    check_pair,
    foresee,
    foreseen_refusals,
    open_warehouse,
    settle,
    sweep,
)
from taxi_ingest.warehouses.capabilities import (
    AnswersQueries,
    Compared,
    ComparesAtCost,
    ComparesContent,
    CountsUnrecorded,
    Foresees,
    SettlesJobs,
    TellsForeignTables,
)

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
class UnfinishedJob:
    """A running job, by the reference that `replace` would have recorded; `warehouse` is where it runs."""

    warehouse: Warehouse
    reference: str
    is_running: Callable[[], bool]


@dataclass
class Bench:
    """A warehouse under test.

    `hand_over` makes a Parquet file readable for it and returns what `replace` takes. `store` is a place it can load
    from, `unusable` a place of the same kind that cannot be used. `start_job` starts a job that does not end by
    itself; None for a warehouse without jobs. `options` are those that the warehouse was opened with. `connections`
    counts those a server has seen; None for a client that connects by Python's own sockets.
    """

    warehouse: Warehouse
    hand_over: Callable[[Path], str]
    query: Callable[[str], list[tuple[Any, ...]]]
    folder: Path
    store: Place
    unusable: Place
    start_job: Callable[[], UnfinishedJob] | None = None
    options: Options | None = None
    connections: Callable[[], int] | None = None

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


def test_a_query_gives_every_row_exactly_once(bench: Bench) -> None:
    assert isinstance(bench.warehouse, AnswersQueries)
    bench.load("2021-01", list(range(2500)))
    with bench.warehouse.query("SELECT VendorID FROM trips") as answer:
        vendors = [vendor for batch in answer.batches for vendor in batch.column(0).to_pylist()]
    assert sorted(vendors) == list(range(2500))


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


def test_its_place_opens_the_same_warehouse(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    assert open_warehouse(bench.warehouse.place, bench.options).held("trips") == bench.warehouse.held("trips")


def test_held_answers_for_every_table_it_is_given(bench: Bench) -> None:
    bench.load("2021-01", [1])
    held = bench.warehouse.held("trips", "zones")
    assert {table: len(months) for table, months in held.items()} == {"trips": 1, "zones": 0}


def test_held_connects_somewhere_only_if_it_needs_a_network(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, addresses = socket.socket.connect, []

    def recorded(self: socket.socket, address: object) -> None:
        addresses.append(address)
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", recorded)
    seen = bench.connections or (lambda: len(addresses))
    before = seen()
    open_warehouse(bench.warehouse.place).held("trips")
    assert (seen() > before) == bench.warehouse.traits.needs_network


def test_a_load_takes_as_much_of_this_disk_as_the_traits_say(bench: Bench) -> None:
    """Within a factor of ten, because rows that are all alike compress better than trips."""

    def used() -> int:
        return sum(path.stat().st_size for path in bench.folder.rglob("*") if path.suffix != ".parquet")

    before = used()
    bench.load("2021-01", list(range(100_000)))
    (parquet,) = bench.folder.glob("trips_2021-01*.parquet")
    expected = bench.warehouse.traits.disk_per_parquet
    assert expected / 10 <= (used() - before) / parquet.stat().st_size <= expected * 10


def test_it_is_paired_only_with_stores_it_reads(bench: Bench) -> None:
    check_pair(bench.store, bench.warehouse.place, bench.options)
    unknown = Place.parse("unknown://store")
    if bench.warehouse.traits.reads:
        with pytest.raises(UsageError, match="Use a store it reads"):
            check_pair(unknown, bench.warehouse.place, bench.options)
    else:
        check_pair(unknown, bench.warehouse.place, bench.options)


@pytest.mark.parametrize("loaded", [False, True])
def test_a_usable_warehouse_passes_every_check(bench: Bench, loaded: bool) -> None:
    if loaded:
        bench.load("2021-01", [1])
    checks = list(bench.warehouse.checks(bench.store))
    assert [check for check in checks if not (check.ok and check.sentence)] == []
    assert checks


def test_checks_change_nothing(bench: Bench) -> None:
    before = sorted(bench.folder.rglob("*"))
    list(bench.warehouse.checks(bench.store))
    assert (sorted(bench.folder.rglob("*")), bench.warehouse.held("trips")) == (before, {"trips": {}})


def test_a_warehouse_that_cannot_be_used_fails_a_check_with_a_sentence(bench: Bench) -> None:
    failed = [check for check in open_warehouse(bench.unusable).checks(bench.store) if not check.ok]
    assert [bool(check.sentence) for check in failed] == [True]


def test_the_preview_command_shows_the_first_rows(bench: Bench) -> None:
    bench.load("2021-01", [424242])
    shown = subprocess.run(
        bench.warehouse.preview_command("trips"), shell=True, capture_output=True, text=True, check=False, timeout=60
    )
    assert (shown.returncode, "424242" in shown.stdout) == (0, True), shown.stderr


def test_every_recorded_job_can_be_settled_after_the_load(bench: Bench) -> None:
    jobs: list[str] = []
    bench.load("2021-01", [1, 2], record=jobs.append)
    for job in [*jobs, "never-sent"]:
        settle(bench.warehouse, job)
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m1", 2, 2, "csv")}
    assert bool(jobs) == isinstance(bench.warehouse, SettlesJobs)


def test_a_recorded_job_that_is_unfinished_is_settled(bench: Bench) -> None:
    assert (bench.start_job is not None) == isinstance(bench.warehouse, SettlesJobs)
    if bench.start_job is not None:
        job = bench.start_job()
        assert job.is_running()
        settle(job.warehouse, job.reference)
        assert not job.is_running()


def compared(bench: Bench, *changes: str) -> Compared:
    """Two months are loaded, the table is changed, and the first is compared with its file."""
    bench.load("2021-01", [1, 2, 3])
    bench.load("2021-02", [4])
    for change in changes:
        bench.query(change)
    (file,) = bench.folder.glob("trips_2021-01_m1_*.parquet")
    if isinstance(bench.warehouse, ComparesContent):
        return bench.warehouse.compare(TRIPS, "2021-01", file=str(file))
    assert isinstance(bench.warehouse, ComparesAtCost), "values are compared nowhere"
    most_bytes = bench.warehouse.comparison_bytes(TRIPS, "2021-01")
    return bench.warehouse.compare_billed(TRIPS, "2021-01", file=bench.hand_over(file), most_bytes=most_bytes)


def test_a_month_as_it_was_loaded_has_the_content_of_its_file(bench: Bench) -> None:
    assert compared(bench) == Compared(same=True, file_rows=3, table_rows=3)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trips SET VendorID = 7 WHERE VendorID = 2",
        "UPDATE trips SET flag = '' WHERE VendorID = 2",
        "UPDATE trips SET fare_amount = NULL WHERE VendorID = 1",
        "UPDATE trips SET VendorID = 2 WHERE VendorID = 3",
        "UPDATE trips SET flag = CASE VendorID WHEN 2 THEN 'Y' ELSE NULL END WHERE VendorID < 3",
        "DELETE FROM trips WHERE VendorID = 2",
        "INSERT INTO trips SELECT * FROM trips WHERE VendorID = 2",
        "UPDATE trips SET file_month = DATE '2021-02-01' WHERE VendorID = 2",
    ],
)
def test_other_content_shows(bench: Bench, change: str) -> None:
    assert not compared(bench, change).same


def test_values_that_rows_exchanged_are_other_content_in_no_column(bench: Bench) -> None:
    changed = compared(bench, "UPDATE trips SET VendorID = 3 - VendorID WHERE VendorID < 3")
    assert changed == Compared(False, 3, 3, ())


def test_rows_that_no_load_recorded_are_counted(bench: Bench) -> None:
    assert isinstance(bench.warehouse, CountsUnrecorded)
    bench.load("2021-01", [1, 2])
    bench.query("INSERT INTO trips (VendorID, file_month) VALUES (9, DATE '2021-05-01')")
    bench.query("INSERT INTO trips (VendorID) VALUES (9)")
    assert bench.warehouse.unrecorded(TRIPS) == {date(2021, 5, 1): 1, None: 1}
    assert bench.warehouse.unrecorded(ZONES) == {}


def refused(bench: Bench, *, table: Table = TRIPS, month: str | None = "2021-01") -> str:
    """What a load is refused with."""
    with pytest.raises(WarehouseError, match="left as it is") as raised:
        bench.load(month, [1], table=table)
    return str(raised.value)


def test_a_table_we_did_not_make_is_refused_and_left_as_it_is(bench: Bench) -> None:
    bench.load(None, [9], table=ZONES)
    bench.query("CREATE TABLE trips AS SELECT 7 AS VendorID, 'mine' AS note")
    assert "table trips" in refused(bench).replace(f"{bench.warehouse.place}", "")
    assert bench.query("SELECT * FROM trips") == [(7, "mine")]
    assert bench.warehouse.held("trips", "zones") == {"trips": {}, "zones": {None: HeldMonth("m1", 1, 1, "csv")}}


def test_a_table_of_ours_made_anew_with_other_types_is_refused(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("CREATE OR REPLACE TABLE trips AS SELECT CAST(VendorID AS STRING) AS VendorID, file_month FROM trips")
    sentence = refused(bench)
    assert ("VendorID is" in sentence, "file_month is" in sentence) == (True, False)
    assert sorted(bench.query("SELECT VendorID FROM trips")) == [("1",), ("2",)]


def test_a_table_of_ours_made_anew_without_the_month_is_refused(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("CREATE OR REPLACE TABLE trips AS SELECT VendorID FROM trips")
    sentence = refused(bench)
    assert ("it has no" in sentence, "file_month" in sentence) == (True, True)
    assert bench.vendors() == [1, 2]


def test_a_table_in_place_of_ours_that_has_the_month_is_refused(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("CREATE OR REPLACE TABLE trips AS SELECT file_month, 'precious' AS note FROM trips")
    assert "it has no VendorID" in refused(bench)
    assert bench.query("SELECT note FROM trips") == [("precious",), ("precious",)]


def test_a_view_in_place_of_our_table_is_refused(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("CREATE TABLE kept AS SELECT * FROM trips")
    bench.query("DROP TABLE trips")
    bench.query("CREATE VIEW trips AS SELECT * FROM kept")
    assert "has a view trips" in refused(bench).replace("trips that", "trips that")
    assert bench.vendors("kept") == [1, 2]


def test_our_table_may_be_made_anew_with_its_columns_in_another_order(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    order = "file_month, flag, VendorID, fare_amount, pickup_datetime"
    bench.query(f"CREATE OR REPLACE TABLE trips AS SELECT {order} FROM trips")
    bench.load("2021-01", [3], mark="m2")
    assert bench.query("SELECT VendorID, fare_amount, flag, file_month FROM trips") == [(3, 1.5, "Y", date(2021, 1, 1))]


def test_columns_of_the_user_stay_and_are_null_in_new_rows(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.query("CREATE OR REPLACE TABLE trips AS SELECT *, 'mine' AS note FROM trips")
    bench.load("2021-02", [2])
    assert sorted(bench.query("SELECT VendorID, note FROM trips")) == [(1, "mine"), (2, None)]


def answered(bench: Bench, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    assert isinstance(bench.warehouse, AnswersQueries)
    with bench.warehouse.query(sql) as answer:
        return [tuple(row.values()) for batch in answer.batches for row in batch.to_pylist()]


def test_a_query_finds_tables_by_name_and_gives_their_values(bench: Bench) -> None:
    bench.load("2021-01", [3, 1, 2])
    assert answered(bench, "SELECT vendorid, file_month FROM trips ORDER BY 1") == [
        (number, date(2021, 1, 1)) for number in (1, 2, 3)
    ]


def test_a_query_tells_its_columns_also_when_it_has_no_rows(bench: Bench) -> None:
    bench.load("2021-01", [1])
    assert isinstance(bench.warehouse, AnswersQueries)
    with bench.warehouse.query("SELECT vendorid AS a, 1 AS b FROM trips WHERE vendorid > 9") as answer:
        assert (answer.schema.names, [batch.num_rows for batch in answer.batches if batch.num_rows]) == (["a", "b"], [])


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM trips WHERE true",
        "INSERT INTO trips (vendorid) VALUES (7)",
        "CREATE TABLE mine AS SELECT 1 AS a",
        "DROP TABLE trips",
    ],
)
def test_a_query_changes_nothing(bench: Bench, sql: str) -> None:
    bench.load("2021-01", [1])
    with pytest.raises(UsageError, match="is only read by a query"):
        answered(bench, sql)
    assert bench.vendors() == [1]
    assert bench.warehouse.held("trips", "mine")["mine"] == {}


def test_a_query_that_is_wrong_is_refused_in_one_line_of_the_warehouse(bench: Bench) -> None:
    bench.load("2021-01", [1])
    for wrong in ("SELEC 1", "SELECT nothing_such FROM trips", "SELECT * FROM nothing_such"):
        with pytest.raises(UsageError, match=f"^{re.escape(str(bench.warehouse.place))} refused the query: .+") as told:
            answered(bench, wrong)
        assert "\n" not in str(told.value)


def test_a_refusal_is_foreseen_in_the_words_of_the_load(bench: Bench) -> None:
    if not isinstance(bench.warehouse, TellsForeignTables):
        assert foreseen_refusals(bench.warehouse, [TRIPS]) == []
        return
    assert foreseen_refusals(bench.warehouse, [TRIPS, ZONES]) == []
    bench.load(None, [9], table=ZONES)
    bench.query("CREATE TABLE trips AS SELECT 7 AS VendorID, 'mine' AS note")
    assert foreseen_refusals(bench.warehouse, [TRIPS, ZONES]) == [bench.warehouse.refusal(TRIPS)] == [refused(bench)]


def test_what_a_load_costs_is_told_beforehand(bench: Bench) -> None:
    if not isinstance(bench.warehouse, Foresees):
        assert (foresee(bench.warehouse, bench.store), bill(bench.warehouse, TRIPS, 10)) == ([], None)
        return
    once, twice = bench.warehouse.bill(TRIPS, 1_000_000), bill(bench.warehouse, TRIPS, 2_000_000)
    assert twice is not None
    assert (twice.stored, twice.billed >= once.billed) == (2 * once.stored, True)
    assert bench.warehouse.foresee(bench.store) == foresee(bench.warehouse, bench.store) == []
    assert bench.warehouse.held("trips") == {"trips": {}}


def test_sweeping_leaves_what_was_loaded(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    before = bench.warehouse.held("trips")
    sweep(bench.warehouse, "trips", "zones")
    assert (bench.vendors(), bench.warehouse.held("trips")) == ([1, 2], before)


def test_making_views_leaves_what_was_loaded(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    before = bench.warehouse.held("trips")
    bench.warehouse.make_views(TRIPS)
    assert (bench.vendors(), bench.warehouse.held("trips")) == ([1, 2], before)
