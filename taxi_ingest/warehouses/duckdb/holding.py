"""What a DuckDB file holds of a table, in one question whose cost does not grow with rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.warehouses import HeldMonth, Months, month_key
from taxi_ingest.warehouses.duckdb.loads import Load, recorded
from taxi_ingest.warehouses.duckdb.sql import number, quoted, view_comment
from taxi_ingest.warehouses.duckdb.tables import is_our_view
from taxi_ingest.warehouses.duckdb.views import as_it_is

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_IS_A_TABLE = "the table is to become a view over the store's files (load.method = external)"
_IS_A_VIEW = "the view is to become a table (load.method = table)"


def held_months(db: DuckDBPyConnection, table: str, *, makes_views: bool) -> Months:
    """The recorded months of a table or view, with the rows that are there now; none of a view that is not ours.

    Months are stale where the table is a view and should be none, or the other way round.
    """
    loads = recorded(db, table)
    if not loads:
        return {}
    view = view_comment(db, table)
    if view is None:
        return _held_in_table(db, table, loads, stale=_IS_A_TABLE if makes_views else "")
    if not is_our_view(db, table):
        return {}
    stale = "" if makes_views else _IS_A_VIEW
    return {month_key(load.day): _held_month(load, as_it_is(db, load), stale) for load in loads}


def _held_month(load: Load, now: Load, stale: str) -> HeldMonth:
    return HeldMonth(now.mark, now.rows, load.rows, load.source, stale, load.file.path if load.file else "")


def _held_in_table(db: DuckDBPyConnection, table: str, loads: Sequence[Load], stale: str) -> Months:
    rows = _rows_now(db, table, loads)
    if rows is None:
        return {}
    return {
        month_key(load.day): HeldMonth(load.mark, rows.get(load.day, 0), load.rows, load.source, stale)
        for load in loads
    }


def _rows_now(db: DuckDBPyConnection, table: str, loads: Sequence[Load]) -> dict[date | None, int] | None:
    """Rows now in a table by month. Counting all takes no time, counting by month grows with the table.

    So months are counted only where the total is not what was loaded; that a month holds as many other rows escapes.
    """
    import duckdb

    try:
        total = number(db.execute(f"SELECT count(*) FROM {quoted(table)}"))  # noqa: S608
    except duckdb.CatalogException:
        return None
    if total == sum(load.rows for load in loads):
        return {load.day: load.rows for load in loads}
    return rows_by_month(db, table)


def rows_by_month(db: DuckDBPyConnection, table: str) -> dict[date | None, int] | None:
    """Rows now in a table, by month, under None for a table without months; None if there is no such table."""
    import duckdb

    for month in (FILE_MONTH, "NULL"):
        query = f"SELECT {month}, count(*) FROM {quoted(table)} GROUP BY ALL"  # noqa: S608
        try:
            return dict(db.execute(query).fetchall())
        except duckdb.BinderException:
            continue
        except duckdb.CatalogException:
            break
    return None
