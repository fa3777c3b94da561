"""The views of trips with the names of their zones, in a DuckDB file.

A view finds its tables by name, so it outlives a table that becomes a view over files, and the other way round.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from taxi_ingest.errors import WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.duckdb.connecting import transaction
from taxi_ingest.warehouses.duckdb.loads import name_of_loads
from taxi_ingest.warehouses.duckdb.sql import quoted, relation_types, text, view_comment
from taxi_ingest.warehouses.duckdb.tables import check_relation
from taxi_ingest.warehouses.zone_views import Tell, ZoneView, comment_of, foreign, not_made, signature_of, views_over

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def make_zone_views(db: DuckDBPyConnection, table: Table, place: Place, tell: Tell) -> None:
    """Make the views over `table` that are missing or out of date; a failure is told and changes nothing else."""
    import duckdb

    for view in views_over(table):
        try:
            _make(db, view, place, tell)
        except duckdb.Error as error:
            tell(not_made(place, view, error))


def lack_zone_views(db: DuckDBPyConnection, table: Table, place: Place) -> bool:
    """Whether a view over `table` is to be made."""
    return any(_is_to_be_made(db, view, place) for view in views_over(table))


def _make(db: DuckDBPyConnection, view: ZoneView, place: Place, tell: Tell) -> None:
    if _is_foreign(db, view):
        tell(foreign(place, view))
    elif _is_to_be_made(db, view, place):
        select = view.select(quoted, quoted)
        with transaction(db):
            db.execute(f"CREATE OR REPLACE VIEW {quoted(view.name)} AS {select}")
            db.execute(f"COMMENT ON VIEW {quoted(view.name)} IS {text(comment_of(view, select))}")


def _is_foreign(db: DuckDBPyConnection, view: ZoneView) -> bool:
    """Whether something of the view's name is there that is not ours; one that somebody replaced has no comment."""
    is_ours = signature_of(view_comment(db, view.name) or "") is not None
    return not is_ours and bool(relation_types(db, view.name))


def _is_to_be_made(db: DuckDBPyConnection, view: ZoneView, place: Place) -> bool:
    """Whether the view is missing or out of date, and both of its tables are there."""
    if view_comment(db, view.name) == comment_of(view, view.select(quoted, quoted)) or _is_foreign(db, view):
        return False
    return all(_is_ours(db, table, place) for table in (view.trips, view.zones))


def _is_ours(db: DuckDBPyConnection, table: Table, place: Place) -> bool:
    """Whether the table or view is there, and is ours."""
    with contextlib.suppress(WarehouseError):
        return bool(check_relation(db, table, place, name_of_loads(db)))
    return False
