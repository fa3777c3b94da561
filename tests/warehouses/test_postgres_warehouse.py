"""Postgres as warehouse, on a real server: conformance, and what is special to it."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conformance_of_warehouses import *  # noqa: F403
from conformance_of_warehouses import COLUMNS, TRIPS, ZONES, Bench, refused, write
from postgres_bench import bench, is_whole
from postgres_server import PostgresServer

from taxi_ingest.catalog import Column
from taxi_ingest.errors import InUseError, UsageError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import HeldMonth, Options, open_warehouse
from taxi_ingest.warehouses.capabilities import Compared, ComparesContent

__all__ = ["bench"]


def tables(bench: Bench) -> list[str]:
    found = bench.query(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    return sorted(name for (name,) in found)


def whole(bench: Bench) -> dict[str | None, bool]:
    return {month: is_whole(held) for month, held in bench.warehouse.held("trips")["trips"].items()}


def test_columns_are_described_by_meaning_and_unit(bench: Bench) -> None:
    bench.load("2021-01", [1])
    comments = bench.query(
        "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'trips'::regclass"
    )
    assert dict(comments)["vendorid"] == "who's meter [code]"


def test_a_month_is_a_partition_that_queries_of_other_months_leave_out(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.load("2021-02", [2])
    plan = bench.query("EXPLAIN SELECT * FROM trips WHERE file_month = DATE '2021-02-01'")
    assert ("trips_2021_02" in str(plan), "trips_2021_01" in str(plan)) == (True, False)
    assert tables(bench) == ["trips", "trips_2021_01", "trips_2021_02"]


CHANGES = {
    "DELETE FROM trips WHERE vendorid = 1": False,
    "DELETE FROM trips_2021_01": False,
    "UPDATE trips SET fare_amount = 0 WHERE vendorid = 1": False,
    "TRUNCATE trips_2021_01": False,
    "DELETE FROM trips WHERE vendorid = 1; INSERT INTO trips (vendorid, file_month) VALUES (9, '2021-01-01')": False,
    "TRUNCATE trips_2021_01; INSERT INTO trips (vendorid, file_month) VALUES (1, '2021-01-01')": False,
    "INSERT INTO trips (vendorid, file_month) VALUES (9, '2021-01-01')": False,
    "BEGIN; DELETE FROM trips WHERE vendorid = 1; ROLLBACK": True,
    "VACUUM FULL trips_2021_01": True,
    "CREATE INDEX ON trips (vendorid)": True,
    "ANALYZE trips": True,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_behind_our_back_is_noticed_in_its_month_alone(bench: Bench, change: str) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.load("2021-02", [4])
    bench.query(change)
    assert whole(bench) == {"2021-01": CHANGES[change], "2021-02": True}
    bench.load("2021-01", [1, 2, 3])
    assert (whole(bench), bench.vendors()) == ({"2021-01": True, "2021-02": True}, [1, 2, 3, 4])


@pytest.mark.parametrize("gone", ["DROP TABLE trips_2021_01", "ALTER TABLE trips DETACH PARTITION trips_2021_01"])
def test_a_partition_that_is_gone_is_not_held(bench: Bench, gone: str) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.load("2021-02", [4])
    bench.query(gone)
    assert whole(bench) == {"2021-02": True}


def test_updates_of_columns_of_the_owner_are_no_changes_of_ours(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.query("ALTER TABLE trips ADD COLUMN note text")
    bench.query("UPDATE trips SET note = 'mine'")
    assert whole(bench) == {"2021-01": True}


def test_only_a_month_that_somebody_wrote_to_is_read(bench: Bench) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.load("2021-02", [4])
    scans = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname LIKE 'trips_2021%'"
    bench.query("UPDATE trips_2021_02 SET vendorid = 5")
    before = dict(bench.query(scans))
    bench.warehouse.held("trips")
    deadline = time.monotonic() + 5
    while (after := dict(bench.query(scans))) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {name: after[name] - before[name] for name in after} == {"trips_2021_01": 0, "trips_2021_02": 1}


def test_a_month_copied_by_a_dump_stays_held(bench: Bench, postgres_server: PostgresServer) -> None:
    bench.load("2021-01", [1, 2, 3])
    bench.query("CREATE TABLE again (LIKE trips INCLUDING ALL) PARTITION BY RANGE (file_month)")
    ((comment,),) = bench.query("SELECT obj_description('trips_2021_01'::regclass)")
    bench.query("CREATE TABLE again_2021_01 PARTITION OF again FOR VALUES FROM ('2021-01-01') TO ('2021-02-01')")
    bench.query("INSERT INTO again SELECT * FROM trips")
    bench.query(f"COMMENT ON TABLE again_2021_01 IS '{comment}'")
    assert bench.warehouse.held("again")["again"] == {"2021-01": HeldMonth("m1", 3, 3, "csv")}


def test_a_reader_with_an_older_snapshot_sees_the_new_month_whole(
    bench: Bench, postgres_server: PostgresServer
) -> None:
    bench.load("2021-01", [1, 2])
    with psycopg.connect(bench.warehouse.place.url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM pg_class")  # takes the snapshot
        bench.load("2021-01", [3, 4, 5], mark="m2")
        bench.load("2021-02", [6], mark="m2")
        assert reader.execute("SELECT vendorid FROM trips ORDER BY 1").fetchall() == [(3,), (4,), (5,), (6,)]


def test_readers_see_only_whole_months_while_they_are_replaced(bench: Bench) -> None:
    bench.load("2021-01", [1] * 1000)
    seen: list[int] = []
    stopped = threading.Event()

    def read() -> None:
        with psycopg.connect(bench.warehouse.place.url, autocommit=True) as reader:
            while not stopped.is_set():
                row = reader.execute("SELECT count(*) FROM trips").fetchone()
                seen.append(row[0] if row else -1)

    thread = threading.Thread(target=read)
    thread.start()
    for rows in (2000, 1000, 2000):
        bench.load("2021-01", [1] * rows, mark=f"m{rows}")
    stopped.set()
    thread.join()
    assert set(seen) <= {1000, 2000}


def test_zones_are_never_seen_empty(bench: Bench) -> None:
    bench.load(None, [1, 2], table=ZONES)
    with psycopg.connect(bench.warehouse.place.url) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM pg_class")
        bench.load(None, [3], mark="m2", table=ZONES)
        assert reader.execute("SELECT vendorid FROM zones ORDER BY 1").fetchall() == [(1,), (2,)]


def test_a_reader_of_the_table_is_waited_for_and_then_named(bench: Bench) -> None:
    bench.load("2021-01", [1])
    said: list[str] = []
    impatient = replace(
        bench, warehouse=open_warehouse(bench.warehouse.place, Options(lock_timeout=1, announce=said.append))
    )
    with psycopg.connect(bench.warehouse.place.url, application_name="long report") as reader:
        reader.execute("SELECT * FROM trips")
        with pytest.raises(InUseError, match=rf"by process {reader.info.backend_pid} of the server, long report"):
            impatient.load("2021-01", [2, 3], mark="m2")
        assert (bench.vendors(), tables(bench)) == ([1], ["trips", "trips_2021_01"])
        impatient.load("2021-02", [4])  # a month that is new is in nobody's way
    assert said == [f"waiting up to 1 s for {bench.warehouse.place}, where another session uses the table"]
    impatient.load("2021-01", [2, 3], mark="m2")
    assert bench.vendors() == [2, 3, 4]


def test_another_load_of_the_month_is_waited_for(bench: Bench) -> None:
    bench.load("2021-01", [1])
    impatient = replace(bench, warehouse=open_warehouse(bench.warehouse.place, Options(lock_timeout=0.3)))
    with psycopg.connect(bench.warehouse.place.url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('taxi-ingest'), hashtext('public trips 2021-01'))")
        with pytest.raises(InUseError, match="another load of the same month"):
            impatient.load("2021-01", [2], mark="m2")
        impatient.load("2021-02", [4])
    assert bench.vendors() == [1, 4]


def test_what_a_killed_load_left_is_dropped_by_the_next_of_any_month(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.query("CREATE TABLE trips_2021_01__0123abcd (LIKE trips)")
    bench.query("COMMENT ON TABLE trips_2021_01__0123abcd IS 'Loaded by taxi-ingest: {}'")
    bench.query("CREATE TABLE trips_2021_01__0123abce (LIKE trips)")
    bench.load("2021-02", [2])
    assert tables(bench) == ["trips", "trips_2021_01", "trips_2021_01__0123abce", "trips_2021_02"]


def test_a_view_that_hangs_on_a_month_is_named_and_left(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.query("CREATE VIEW january AS SELECT * FROM trips_2021_01")
    with pytest.raises(WarehouseError, match=r"view january depends on table trips_2021_01.*whole table"):
        bench.load("2021-01", [2], mark="m2")
    assert (bench.vendors("january"), tables(bench)) == ([1], ["trips", "trips_2021_01"])


def test_a_view_of_the_whole_table_is_in_nobodys_way(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.query("CREATE VIEW january AS SELECT * FROM trips WHERE file_month = DATE '2021-01-01'")
    bench.load("2021-01", [2], mark="m2")
    assert bench.vendors("january") == [2]


def test_an_index_of_the_owner_is_there_in_every_month(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.query("CREATE INDEX mine ON trips (vendorid)")
    bench.load("2021-01", [2], mark="m2")
    found = bench.query("SELECT count(*) FROM pg_index WHERE indrelid = 'trips_2021_01'::regclass AND indisvalid")
    assert found == [(1,)]


def test_a_table_of_somebody_elses_with_the_name_of_a_month_is_refused(bench: Bench) -> None:
    bench.query("CREATE TABLE trips_2021_01 AS SELECT 7 AS vendorid")
    assert "a table trips_2021_01 that is no partition" in refused(bench)
    assert bench.query("SELECT * FROM trips_2021_01") == [(7,)]


def test_a_partition_of_the_owner_in_the_way_is_named(bench: Bench) -> None:
    bench.load("2020-01", [1])
    bench.query("CREATE TABLE of_2021 PARTITION OF trips FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')")
    with pytest.raises(WarehouseError, match=r"of_2021.*Detach"):
        bench.load("2021-03", [2])
    assert tables(bench) == ["of_2021", "trips", "trips_2020_01"]


def test_a_table_of_the_name_that_is_not_partitioned_is_refused(bench: Bench) -> None:
    columns = "vendorid bigint, pickup_datetime timestamp, fare_amount double precision, flag text, file_month date"
    bench.query(f"CREATE TABLE trips ({columns})")
    assert "a table trips that taxi-ingest did not make" in refused(bench)


def test_the_schema_of_the_url_is_made_and_used(bench: Bench, postgres_server: PostgresServer) -> None:
    there = replace(bench, warehouse=open_warehouse(Place.parse(f"{bench.warehouse.place.url}?schema=nyc%20taxi")))
    there.load("2021-01", [1])
    assert (there.vendors('"nyc taxi".trips'), there.warehouse.held("trips")["trips"]["2021-01"].rows) == ([1], 1)
    assert (bench.warehouse.held("trips"), tables(bench)) == ({"trips": {}}, [])
    assert str(there.warehouse.place) == f"{bench.warehouse.place}?schema=nyc+taxi"


@pytest.mark.parametrize("encoder", ["pgpq", "csv"])
def test_odd_values_come_through_either_encoder(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoder: str
) -> None:
    if encoder == "csv":
        monkeypatch.setitem(sys.modules, "pgpq", None)  # as if it were not installed
    values = {
        "VendorID": [-(2**63), 2**63 - 1, None, 0],
        "pickup_datetime": [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), None, datetime(1970, 1, 1)],
        "fare_amount": [1.7976931348623157e308, -5e-324, None, float("inf")],
        "flag": ["", 'a "quoted", \\N\nline\té', None, "\\."],
        "file_month": [date(2021, 1, 1)] * 4,
    }
    pq.write_table(pa.table(values), tmp_path / "odd.parquet")
    bench.warehouse.replace(TRIPS, "2021-01", file=str(tmp_path / "odd.parquet"), rows=4, mark="m", source="csv")
    names = ", ".join(values)
    assert bench.query(f"SELECT {names} FROM trips") == [tuple(row) for row in zip(*values.values(), strict=True)]


def test_a_text_that_postgres_cannot_hold_is_a_sentence(bench: Bench, tmp_path: Path) -> None:
    bench.load("2021-01", [1])
    values = {"VendorID": [1], "pickup_datetime": [datetime(2021, 1, 1)], "fare_amount": [1.0], "flag": ["a\0b"]}
    pq.write_table(pa.table({**values, "file_month": [date(2021, 1, 1)]}), tmp_path / "nul.parquet")
    with pytest.raises(WarehouseError, match="takes no NUL characters"):
        bench.warehouse.replace(TRIPS, "2021-01", file=str(tmp_path / "nul.parquet"), rows=1, mark="m", source="csv")
    assert (bench.vendors(), tables(bench)) == ([1], ["trips", "trips_2021_01"])


def test_a_row_of_another_month_is_refused(bench: Bench, tmp_path: Path) -> None:
    bench.load("2021-01", [1])
    with pytest.raises(WarehouseError, match="left as it was"):
        bench.warehouse.replace(
            TRIPS, "2021-02", file=str(next(tmp_path.glob("trips_2021-01*"))), rows=1, mark="m", source="csv"
        )
    assert (bench.vendors(), tables(bench)) == ([1], ["trips", "trips_2021_01"])


def test_a_file_without_a_column_is_refused(bench: Bench) -> None:
    write(bench.folder / "narrow.parquet", replace(TRIPS, columns=COLUMNS[:2]), "2021-01", [1])
    with pytest.raises(WarehouseError, match="cannot be loaded"):
        bench.warehouse.replace(
            TRIPS, "2021-01", file=str(bench.folder / "narrow.parquet"), rows=1, mark="m", source="csv"
        )


def test_zero_with_the_other_sign_is_other_content(bench: Bench) -> None:
    numbers = replace(ZONES, name="numbers", columns=(Column("Zero", "double", "", "a zero"),))
    file = bench.folder / "zeros.parquet"
    pq.write_table(pa.table({"Zero": [0.0]}), file)
    bench.warehouse.replace(numbers, None, file=str(file), rows=1, mark="m1", source="csv")
    bench.query("UPDATE numbers SET zero = '-0.0'")
    assert isinstance(bench.warehouse, ComparesContent)
    assert bench.warehouse.compare(numbers, None, file=str(file)) == Compared(False, 1, 1, ("Zero",))


def test_external_tables_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot show the store's objects as a table"):
        open_warehouse(Place.parse("postgresql://host/db"), Options(method="external"))


@pytest.mark.parametrize("microseconds", [-(2**63) + 1, -210_866_803_200_000_001])
def test_a_time_that_postgres_cannot_store_is_refused_in_a_sentence(bench: Bench, microseconds: int) -> None:
    path = bench.folder / "far.parquet"
    write(path, TRIPS, "2021-01", [1])
    times = pa.array([microseconds], pa.int64()).view(pa.timestamp("us"))
    pq.write_table(pq.read_table(path).set_column(1, "pickup_datetime", times), path)
    with pytest.raises(WarehouseError, match="The table was left as it was"):
        bench.warehouse.replace(TRIPS, "2021-01", file=str(path), rows=1, mark="m1", source="csv")
