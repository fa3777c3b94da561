"""What its owner put on the table of a month of Postgres is never lost by a reload without a word."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from conformance_of_warehouses import TRIPS, Bench, write
from postgres_bench import bench

from taxi_ingest.errors import WarehouseError

__all__ = ["bench"]

FUNCTION = "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
TRIGGER = FUNCTION + "CREATE TRIGGER noting AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION noted()"

PUT_ON_A_MONTH = {
    "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY": "row security",
    "ALTER TABLE {table} FORCE ROW LEVEL SECURITY": "row security",
    "CREATE POLICY mine ON {table} USING (vendorid = 1)": "policy mine",
    TRIGGER: "trigger noting",
    "CREATE RULE kept AS ON DELETE TO {table} DO ALSO NOTHING": "rule kept",
    "GRANT SELECT (vendorid) ON {table} TO PUBLIC": "privileges on column vendorid",
    "ALTER TABLE {table} ADD CONSTRAINT positive CHECK (vendorid > 0)": "constraint positive",
    "ALTER TABLE {table} ADD CONSTRAINT single UNIQUE (vendorid)": "constraint single",
    "CREATE INDEX by_vendor ON {table} (vendorid)": "index by_vendor",
    "CREATE PUBLICATION everywhere FOR TABLE {table}": "publication everywhere",
}


@pytest.mark.parametrize("statement", PUT_ON_A_MONTH)
def test_what_a_reload_of_the_month_would_lose_is_named_before_any_work(bench: Bench, statement: str) -> None:
    bench.load("2021-01", [1, 2])
    bench.query(statement.format(table="trips_2021_01"))
    with pytest.raises(WarehouseError, match=f"trips_2021_01 has {PUT_ON_A_MONTH[statement]}.*Put that on the whole"):
        # a file that is not there: it is refused before the file is opened
        bench.warehouse.replace(TRIPS, "2021-01", file="missing.parquet", rows=1, mark="m2", source="csv")
    bench.load("2021-02", [3])
    assert bench.vendors() == [1, 2, 3]


@pytest.mark.parametrize("statement", [one for one in PUT_ON_A_MONTH if "UNIQUE" not in one])
def test_the_same_on_the_whole_table_is_in_nobodys_way(bench: Bench, statement: str) -> None:
    bench.load("2021-01", [1, 2])
    bench.query(statement.replace("FORCE ROW", "ENABLE ROW").format(table="trips"))
    for mark in ("m2", "m3"):
        bench.load("2021-01", [1, 2, 3], mark=mark)
    assert bench.vendors("trips_2021_01") == [1, 2, 3]


def test_a_key_of_the_whole_table_is_in_nobodys_way(bench: Bench) -> None:
    bench.load("2021-01", [1])
    bench.query("ALTER TABLE trips ADD CONSTRAINT single UNIQUE (vendorid, file_month)")
    for mark in ("m2", "m3"):
        bench.load("2021-01", [1, 2], mark=mark)
    assert bench.vendors() == [1, 2]


def test_row_security_that_is_put_on_a_month_during_its_reload_is_not_lost(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    write(bench.folder / "new.parquet", TRIPS, "2021-01", [3])
    raised: list[Any] = []

    def reload() -> None:
        try:
            bench.warehouse.replace(
                TRIPS, "2021-01", file=str(bench.folder / "new.parquet"), rows=1, mark="m2", source="csv"
            )
        except WarehouseError as error:
            raised.append(str(error))

    staged = "SELECT count(*) FROM pg_class WHERE relname LIKE 'trips_2021_01__%' AND relkind = 'r' AND relpages > 0"
    with psycopg.connect(bench.warehouse.place.url) as reader:
        reader.execute("SELECT * FROM trips")  # in the way of the swap
        thread = threading.Thread(target=reload)
        thread.start()
        while bench.query(staged) == [(0,)]:
            assert thread.is_alive()
        reader.execute("ALTER TABLE trips_2021_01 ENABLE ROW LEVEL SECURITY")
    thread.join()
    assert ["has row security of its own" in sentence for sentence in raised] == [True]
    assert bench.vendors() == [1, 2]


def test_a_reload_gives_nobody_a_right_that_its_owner_took_from_the_month(bench: Bench) -> None:
    bench.query("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
    bench.load("2021-01", [1])
    bench.query("REVOKE SELECT ON trips_2021_01 FROM PUBLIC")
    bench.load("2021-01", [2], mark="m2")
    granted = "SELECT count(*) FROM pg_class c, aclexplode(relacl) WHERE relname = 'trips_2021_01' AND grantee = 0"
    assert bench.query(granted) == [(0,)]


def test_nobody_may_read_a_month_that_is_not_swapped_in_yet(bench: Bench) -> None:
    bench.query("ALTER DEFAULT PRIVILEGES GRANT SELECT, UPDATE ON TABLES TO PUBLIC")
    bench.load("2021-01", [1])
    others = "SELECT count(*) FROM pg_class c, aclexplode(relacl) WHERE {} AND grantee <> relowner"
    staged = r"relname LIKE 'trips\_2021\_01\_\_%'"
    with psycopg.connect(bench.warehouse.place.url) as reader:
        reader.execute("SELECT * FROM trips")  # in the way of the swap
        thread = threading.Thread(target=lambda: bench.load("2021-01", [2], mark="m2"))
        thread.start()
        while bench.query(f"SELECT count(*) FROM pg_class WHERE {staged}") == [(0,)]:
            assert thread.is_alive()
        seen = bench.query(others.format(staged))
    thread.join()
    assert seen == [(0,)]
    assert bench.query(others.format("relname = 'trips_2021_01'")) == [(2,)]
    assert bench.vendors() == [2]
