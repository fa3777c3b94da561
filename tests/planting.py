"""Faults planted in a data directory: flipped bits in files, and rows of a table changed behind our back."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from taxi_ingest.catalog import Part
from taxi_ingest.graph import STEPS
from taxi_ingest.layout import Layout, object_name
from taxi_ingest.stores.marks import folder_of_marks, path_of

TABLE = "yellow_tripdata"


class Tree:
    """A healthy data directory that is spoilt and put back, again and again."""

    def __init__(self, data: Path, pristine: Path) -> None:
        self.layout = Layout(data)
        self._pristine = pristine
        shutil.copytree(data, pristine)

    def reset(self, *, linked: bool = False) -> None:
        """Everything as it was; the object shares its bytes with the Parquet file only when `linked`."""
        data = self.layout.data_dir
        shutil.rmtree(data)
        shutil.copytree(self._pristine, data)
        if linked:
            for stored in data.glob("lake/*/*.parquet"):
                stored.unlink()
                os.link(data / "parquet" / stored.parent.name / stored.name, stored)

    def raw(self, part: Part) -> Path:
        return self.layout.raw(part, ".csv")

    def parquet(self, part: Part) -> Path:
        return self.layout.parquet(part)

    def stored(self, part: Part) -> Path:
        return self.layout.lake / object_name(part)

    def mark(self, part: Part) -> Path:
        return path_of(object_name(part), folder_of_marks(self.layout.lake))

    def receipts(self, part: Part) -> list[Path]:
        return [Path(self.layout.receipt(part, step)) for step in STEPS]

    def sql(self, *statements: str) -> None:
        """Change the DuckDB file."""
        with duckdb.connect(str(self.layout.duckdb)) as db:
            for statement in statements:
                db.execute(statement)


@dataclass(frozen=True)
class Fault:
    """One fault of one part: how it is planted, and the copies it spoils."""

    name: str
    spoils: frozenset[str]
    plant: Callable[[Tree, Part], None]
    linked: bool = False


def flip(path: Path, bit: int, *, keep_time: bool) -> None:
    """Flip one bit in place, as a failing disk does (the time of the file is kept) or as a program does."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def faults(chance: random.Random) -> Iterator[Fault]:
    """Faults without end: every kind in turn, each at random places."""
    while True:
        yield _flip("raw", chance, lambda tree, part: tree.raw(part))
        yield _flip("parquet", chance, lambda tree, part: tree.parquet(part))
        yield _flip("object", chance, lambda tree, part: tree.stored(part))
        yield _flip("parquet and object", chance, lambda tree, part: tree.parquet(part), linked=True)
        for step in range(len(STEPS)):
            yield _flip("receipt", chance, lambda tree, part, step=step: tree.receipts(part)[step])
        yield from row_faults(chance)


def row_faults(chance: random.Random) -> Iterator[Fault]:
    """Each way to spoil the rows of a month, every column among them."""
    for name, type_name in columns():
        changed = _CHANGED[type_name].format(column=f'"{name}"')
        yield _in_table(f"{name} changed", chance, f'UPDATE {TABLE} SET "{name}" = {changed} WHERE rowid = {{row}}')
    yield _in_table("row added", chance, _COPY.format(replaced="trip_distance + 1 AS trip_distance"))
    yield _in_table("row doubled", chance, f"INSERT INTO {TABLE} FROM {TABLE} WHERE rowid = {{row}}")
    yield _in_table("row removed", chance, f"DELETE FROM {TABLE} WHERE rowid = {{row}}")
    yield _in_table(
        "row removed and another doubled",
        chance,
        f"INSERT INTO {TABLE} FROM {TABLE} WHERE rowid = {{other}}",
        f"DELETE FROM {TABLE} WHERE rowid = {{row}}",
    )
    for column in ("tpep_pickup_datetime", "tpep_dropoff_datetime"):
        yield _in_table(f"{column} exchanged by two rows", chance, _EXCHANGED.format(column=column))
    yield _in_table(
        "two columns exchanged by all rows", chance,
        f"UPDATE {TABLE} SET tpep_pickup_datetime = tpep_dropoff_datetime, "
        "tpep_dropoff_datetime = tpep_pickup_datetime WHERE file_month = {month}",
    )  # fmt: skip
    yield _in_table(  # in two steps: DuckDB leaves a value that is equal to the new one as it is
        "0.0 became -0.0",
        chance,
        _ONE.format(column="tolls_amount", value="-777", was="tolls_amount = 0"),
        f"UPDATE {TABLE} SET tolls_amount = '-0.0'::DOUBLE WHERE tolls_amount = -777",
    )
    yield _in_table("0.0 became null", chance, _ONE.format(column="tolls_amount", value="NULL", was="tolls_amount = 0"))
    yield _in_table("null became 0", chance, _ONE.format(column="Airport_fee", value="0", was="Airport_fee IS NULL"))
    yield _in_table("mark lost", chance, "UPDATE _loads SET mark = 'other' WHERE file_month = {month}")
    yield _in_table("rows of the record", chance, "UPDATE _loads SET rows = rows + 1 WHERE file_month = {month}")
    yield _in_table("record removed", chance, "DELETE FROM _loads WHERE file_month = {month}")


_CHANGED = {
    "BIGINT": "coalesce({column} + 1, 0)",
    "DOUBLE": "coalesce({column} + 0.01, 0)",
    "VARCHAR": "coalesce({column} || ' ', '')",
    "TIMESTAMP": "coalesce({column} + INTERVAL 1 MICROSECOND, TIMESTAMP '2020-01-01')",
    "DATE": "CASE WHEN {column} = DATE '2020-01-01' THEN DATE '2020-03-01' ELSE DATE '2020-01-01' END",
}
"""The least change of a value, by type; of null, to what is most like it."""

_COPY = f"INSERT INTO {TABLE} SELECT * REPLACE ({{replaced}}) FROM {TABLE} WHERE rowid = {{{{row}}}}"
_ONE = (
    f"UPDATE {TABLE} SET {{column}} = {{value}} "
    f"WHERE rowid = (SELECT min(rowid) FROM {TABLE} WHERE file_month = {{{{month}}}} AND {{was}})"
)
_EXCHANGED = (
    f"UPDATE {TABLE} SET {{column}} = (SELECT t.{{column}} FROM {TABLE} t WHERE t.rowid = "
    f"CASE WHEN {TABLE}.rowid = {{{{row}}}} THEN {{{{other}}}} ELSE {{{{row}}}} END) "
    f"WHERE rowid IN ({{{{row}}}}, {{{{other}}}})"
)


def columns() -> list[tuple[str, str]]:
    """Name and SQL type of every column of the table."""
    from taxi_ingest.catalog.reading import dataset
    from taxi_ingest.warehouses.duckdb.sql import SQL_TYPES

    return [(column.name, SQL_TYPES[column.type]) for column in dataset("yellow").columns] + [("file_month", "DATE")]


def _flip(name: str, chance: random.Random, path: Callable[[Tree, Part], Path], *, linked: bool = False) -> Fault:
    place, keep_time = chance.random(), chance.random() < 0.5

    def plant(tree: Tree, part: Part) -> None:
        file = path(tree, part)
        flip(file, int(place * file.stat().st_size * 8), keep_time=keep_time)

    return Fault(f"{name} at {place:.3f}", frozenset(name.split(" and ")), plant, linked)


def _in_table(name: str, chance: random.Random, *statements: str) -> Fault:
    place, beside = chance.random(), chance.randrange(1, 300)

    def plant(tree: Tree, part: Part) -> None:
        month = f"DATE '{part.month}-01'"
        with duckdb.connect(str(tree.layout.duckdb)) as db:
            rows = db.execute(f"SELECT rowid FROM {TABLE} WHERE file_month = {month} ORDER BY rowid").fetchall()
            at = int(place * len(rows))
            (row,), (other,) = rows[at], rows[(at + beside) % len(rows)]
            before = db.execute(f"FROM {TABLE} ORDER BY ALL").fetchall(), db.execute("FROM _loads").fetchall()
            for statement in statements:
                db.execute(statement.format(row=row, other=other, month=month))
            after = db.execute(f"FROM {TABLE} ORDER BY ALL").fetchall(), db.execute("FROM _loads").fetchall()
            assert repr(before) != repr(after), f"{name} changed nothing"  # repr tells 0.0 from -0.0

    return Fault(name, frozenset({"table"}), plant)
