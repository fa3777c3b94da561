"""The month in the table beside its receipt, and all of its values beside the Parquet they were loaded from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from taxi_ingest.catalog import Dataset, Part
from taxi_ingest.catalog.months import first_day
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import InUseError, WarehouseError
from taxi_ingest.state.receipts import Loaded
from taxi_ingest.verification import Checked, Verdict
from taxi_ingest.warehouses import HeldMonth, Warehouse, table_of
from taxi_ingest.warehouses.capabilities import Compared, ComparesAtCost, ComparesContent, CountsUnrecorded

_NOT_COMPARABLE = "the table was only counted: this warehouse compares no values"
_NO_PARQUET = "the table was only counted: no intact copy of the Parquet it was loaded from is on this disk"
_NO_OBJECT = "the table was only counted: the object it was loaded from is not intact in the store"
_NOT_ASKED = "the table was only counted: --content compares its values, too, for which BigQuery bills"

Comparison = Callable[[], Compared]


@dataclass(frozen=True)
class Original:
    """What a month was loaded from: an intact copy as `file` on this disk and as object at `url`, each "" if none."""

    file: str = ""
    url: str = ""


def comparison(
    warehouse: Warehouse, part: Part, original: Original, *, most_bytes: int | None = None
) -> Comparison | str:
    """A comparison of the month with what it was loaded from, or why there can be none.

    Where it costs something it may be billed for `most_bytes`; None: nobody asked for it.
    """
    table, month = table_of(dataset_named(part.dataset)), part.month
    if isinstance(warehouse, ComparesContent):
        file = original.file
        return functools.partial(warehouse.compare, table, month, file=file) if file else _NO_PARQUET
    if not isinstance(warehouse, ComparesAtCost):
        return _NOT_COMPARABLE
    if most_bytes is None:
        return _NOT_ASKED
    if not original.url:
        return _NO_OBJECT
    return functools.partial(warehouse.compare_billed, table, month, file=original.url, most_bytes=most_bytes)


def check_month(
    warehouse: Warehouse,
    part: Part,
    held: HeldMonth | None,
    expected: Loaded | None,
    compare: Comparison | str,
    *,
    must_exist: bool,
) -> Checked:
    """The month that is `held` beside the receipt of its load, and its values as `compare` finds them.

    Without a comparison, rows are only counted.
    """
    where = table_in(warehouse, part)
    if held is None:
        return Checked.absent("table", where, must_exist=must_exist)
    if wrong := _wrong_with_record(held, expected):
        return Checked.present("table", where, wrong)
    if isinstance(compare, str):
        return Checked("table", "counted", "load", where, note=compare)
    compared = compare()
    return Checked.present("table", where, "" if compared.same else _difference(compared))


def table_in(warehouse: Warehouse, part: Part) -> str:
    """The table of a part and where it is, for people."""
    return f"{dataset_named(part.dataset).table} in {warehouse.place}"


def unusable(warehouse: Warehouse, part: Part, error: WarehouseError) -> Checked:
    """A table that cannot be looked at; a damaged file is beyond what a load can mend."""
    where = table_in(warehouse, part)
    said = str(error).rstrip(".")
    if isinstance(error, InUseError):
        remedy = "then verify again"
    elif warehouse.traits.needs_network:
        remedy = "verify again when that is mended"
    else:
        remedy = "restore it from a backup, or move it away: `run` then loads every month anew"
    return Checked("table", "changed", None, where, f"cannot be verified: {said}", remedy)


def _wrong_with_record(held: HeldMonth, expected: Loaded | None) -> str:
    if expected is not None and held.mark != expected.mark:
        return "has the mark of other rows"
    if held.rows != held.loaded:
        return f"has {held.rows:,} rows, and {held.loaded:,} were loaded"
    if expected is not None and held.rows != expected.rows:
        return f"has {held.rows:,} rows, not {expected.rows:,}"
    return ""


def _difference(compared: Compared) -> str:
    if compared.table_rows != compared.file_rows:
        return f"has {compared.table_rows:,} rows, and the Parquet {compared.file_rows:,}"
    if not compared.columns:
        return "has the values of the Parquet in other rows"
    return f"has other values than the Parquet in {', '.join(compared.columns)}"


def stray_rows(warehouse: Warehouse, known: Dataset, parts: Sequence[Part]) -> Verdict | None:
    """Rows in the table of a dataset that are of no loaded month, and of none of `parts`, which are judged apart.

    No step removes them: whose they are is not known.
    """
    if not isinstance(warehouse, CountsUnrecorded):
        return None
    judged = {first_day(part.month) for part in parts if part.month and part.dataset == known.name}
    found = {day: rows for day, rows in warehouse.unrecorded(table_of(known)).items() if day not in judged}
    return Verdict(Part(known.name), tuple(_strays(warehouse, known, found))) if found else None


def _strays(warehouse: Warehouse, known: Dataset, found: Mapping[date | None, int]) -> Iterator[Checked]:
    where = f"{known.table} in {warehouse.place}"
    for day, rows in found.items():
        condition = f"file_month = DATE '{day}'" if day else "file_month IS NULL"
        wrong = f"has {rows:,} rows that no load recorded, with {condition}"
        remedy = f"remove them: DELETE FROM {known.table} WHERE {condition}"  # noqa: S608 - to be read by a person
        yield Checked("table", "changed", None, where, wrong, remedy)
