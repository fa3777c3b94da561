"""How large the DuckDB file is, and what else in it stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from taxi_ingest.catalog import Column
from taxi_ingest.catalog.months import first_day
from taxi_ingest.place import Place
from taxi_ingest.warehouses import HeldMonth, Options, Table, Warehouse, open_warehouse

TABLE = Table("noise", "numbers that compress badly", (Column("n", "int64", "a number", ""),), True, "n")
ROWS = 400_000
RELOADS = 5
LITTLE_MORE_THAN_A_ROW_GROUP = 150_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "w.duckdb"


@pytest.fixture
def warehouse(file: Path) -> Warehouse:
    return open_warehouse(Place.parse(f"duckdb:{file}"), Options(lock_timeout=0))


def load(warehouse: Warehouse, folder: Path, month: str, mark: str = "m1", rows: int = ROWS) -> None:
    numbers = pc.random(rows, initializer=sum(map(ord, month + mark))).cast(pa.float64())
    columns = {"n": pc.multiply(numbers, 2.0**52).cast(pa.int64(), safe=False)}
    columns["file_month"] = pa.array([first_day(month)] * rows, pa.date32())
    pq.write_table(pa.table(columns), folder / "month.parquet")
    warehouse.replace(TABLE, month, file=str(folder / "month.parquet"), rows=rows, mark=mark, source="csv")


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_month_that_is_loaded_again_and_again_does_not_make_the_file_grow(
    warehouse: Warehouse, file: Path, tmp_path: Path, others: int
) -> None:
    for month in range(1, others + 2):
        load(warehouse, tmp_path, f"2021-0{month}")
    first = file.stat().st_size
    for reload in range(RELOADS):
        load(warehouse, tmp_path, "2021-01", mark=f"again {reload}")
        assert file.stat().st_size <= 1.5 * first, f"after {reload + 1} reloads"
    held = warehouse.held("noise")["noise"]
    assert held["2021-01"] == HeldMonth(f"again {RELOADS - 1}", ROWS, ROWS, "csv")
    assert {month: one.rows for month, one in held.items()} == {f"2021-0{m}": ROWS for m in range(1, others + 2)}


def test_months_that_take_turns_in_being_loaded_again_do_not_make_the_file_grow(
    warehouse: Warehouse, file: Path, tmp_path: Path
) -> None:
    months = [f"2021-0{month}" for month in range(1, 4)]
    for month in months:
        load(warehouse, tmp_path, month, rows=LITTLE_MORE_THAN_A_ROW_GROUP)
    first = file.stat().st_size
    for mark in range(2):
        for month in months:
            load(warehouse, tmp_path, month, f"again {mark}", LITTLE_MORE_THAN_A_ROW_GROUP)
            assert file.stat().st_size <= 1.5 * first, f"after {month} again {mark}"


def test_what_else_is_in_the_file_survives_when_its_space_is_given_back(
    warehouse: Warehouse, file: Path, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, "2021-01")
    with duckdb.connect(str(file)) as db:
        db.execute("CREATE TABLE mine AS SELECT range AS id, 'text ' || range AS text FROM range(1000)")
        db.execute("CREATE UNIQUE INDEX by_id ON mine (id)")
        db.execute("CREATE VIEW most AS SELECT max(n) AS n FROM noise")
        db.execute("COMMENT ON TABLE mine IS 'not yours'")
    for mark in ("m2", "m3"):
        load(warehouse, tmp_path, "2021-01", mark)
    with duckdb.connect(str(file)) as db:
        assert db.execute("SELECT count(*), sum(id), max(text) FROM mine").fetchall() == [(1000, 499_500, "text 999")]
        assert db.execute("SELECT n = (SELECT max(n) FROM noise) FROM most").fetchall() == [(True,)]
        assert db.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'mine'").fetchall() == [
            ("not yours",)
        ]
        with pytest.raises(duckdb.ConstraintException):
            db.execute("INSERT INTO mine VALUES (7, 'again')")


def test_a_load_that_is_refused_while_it_replaces_leaves_the_month_as_it_was(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    load(warehouse, tmp_path, "2021-01")
    columns = replace(TABLE, columns=(*TABLE.columns, Column("absent", "int64", "in no file", "")))
    with pytest.raises(Exception, match="absent"):
        warehouse.replace(columns, "2021-01", file=str(tmp_path / "month.parquet"), rows=ROWS, mark="m2", source="csv")
    assert warehouse.held("noise")["noise"] == {"2021-01": HeldMonth("m1", ROWS, ROWS, "csv")}
