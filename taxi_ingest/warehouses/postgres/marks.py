"""What we note of a load in the comment of the table it made, and what is there of it now.

The server counts the rows that were ever inserted, updated and deleted in a table. Where that is just the load itself,
the rows are there as they were loaded, and nothing is read. Otherwise they are counted: each row tells the transaction
that wrote it, so what somebody else wrote is told from what we did.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec
from psycopg import sql

from taxi_ingest.catalog.months import next_month
from taxi_ingest.warehouses import HeldMonth, Months
from taxi_ingest.warehouses.postgres.connecting import Database, Session

SIGNATURE = "Loaded by taxi-ingest"
"""What the comment of every table of ours says."""

CHANGED = "rows of the month were changed in the table"

_BOUNDS = re.compile(r"FOR VALUES FROM \('(\d{4}-\d\d)-01'\) TO \('(\d{4}-\d\d)-01'\)")

_TABLES = """
    SELECT c.oid, n.nspname, c.relname, coalesce(pg_get_expr(c.relpartbound, c.oid), ''),
        coalesce(obj_description(c.oid, 'pg_class'), ''), pg_relation_size(c.oid),
        ARRAY[pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)],
        (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
"""
_PARTITIONS_OF = _TABLES + "JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = %s AND c.relispartition"
_TABLE = _TABLES + "WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r' AND NOT c.relispartition"


@dataclass(frozen=True)
class Mark:
    """What is noted of a load.

    `transaction` wrote all of its `rows`; `columns` is how many columns are ours, not the owner's.
    """

    mark: str
    rows: int
    source: str
    transaction: int
    columns: int

    def signed(self) -> str:
        """The comment that says so."""
        return f"{SIGNATURE}: {msgspec.json.encode(self).decode()}"


@dataclass(frozen=True)
class LoadedTable:
    """A table that holds one month, or all rows of a table without months, as the server describes it.

    `bounds` is "" for no partition; `size` is in bytes; `changes` counts rows inserted, updated and deleted, ever.
    """

    oid: int
    schema: str
    name: str
    bounds: str
    comment: str
    size: int
    changes: list[int]
    columns: int

    @property
    def month(self) -> str | None:
        """The month whose rows it takes as a partition; None if it takes others."""
        found = _BOUNDS.fullmatch(self.bounds)
        return found[1] if found and next_month(found[1]) == found[2] else None

    @property
    def mark(self) -> Mark | None:
        """What we noted of the load; None if it is not ours."""
        try:
            return msgspec.json.decode(self.comment.partition(f"{SIGNATURE}: ")[2], type=Mark)
        except (RecursionError, msgspec.MsgspecError):
            return None

    @property
    def quoted(self) -> sql.Composable:
        """Its name, as SQL takes it."""
        return sql.Identifier(self.schema, self.name)


def partitions(db: Database, parent: int) -> list[LoadedTable]:
    """The partitions of the table whose oid is `parent`."""
    return [LoadedTable(*row) for row in db.execute(_PARTITIONS_OF, [parent]).fetchall()]


def held(session: Session, table: str) -> Months:
    """The months of a table, or the one load of a table without months; none if it is missing or not ours."""
    parent = session.db.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'p'",
        [session.schema, table],
    ).fetchone()
    if parent is None:
        row = session.db.execute(_TABLE, [session.schema, table]).fetchone()
        whole = LoadedTable(*row) if row else None
        return {None: _held(session.db, whole, whole.mark)} if whole and whole.mark else {}
    return {
        one.month: _held(session.db, one, one.mark)
        for one in partitions(session.db, parent[0])
        if one.mark and one.month
    }


def _held(db: Database, table: LoadedTable, mark: Mark) -> HeldMonth:
    if _is_untouched(table, mark):
        return HeldMonth(mark.mark, mark.rows, mark.rows, mark.source)
    count = sql.SQL("SELECT count(*), count(*) FILTER (WHERE xmin = {}::xid) FROM {}")
    row = db.execute(count.format(sql.Literal(str(mark.transaction)), table.quoted)).fetchone()
    rows, ours = row or (0, 0)
    # an owner who added columns to the table fills them by updates
    has_columns_of_its_owner = table.columns > mark.columns
    stale = CHANGED if ours < rows and not has_columns_of_its_owner else ""
    return HeldMonth(mark.mark, rows, mark.rows, mark.source, stale)


def _is_untouched(table: LoadedTable, mark: Mark) -> bool:
    """Whether nobody but the load wrote to the table. TRUNCATE is not counted, but leaves no byte.

    After a crash the server has no counts, and the rows have to be counted.
    """
    return table.changes == [mark.rows, 0, 0] and (table.size > 0) == (mark.rows > 0)
