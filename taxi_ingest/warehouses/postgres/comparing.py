"""A month of the table beside the Parquet file it was loaded from: checksums that do not depend on the order of rows.

The file is copied into a temporary table, so that one SQL expression of one server speaks for both sides. The checksum
of a row is a hash of its text, in which columns have their places, null is not "" and 0 is not -0. Sums take the order
out and keep doubled rows in. Two sets of rows that differ have one sum with a probability of about 2^-64.
"""

from __future__ import annotations

from datetime import date

from psycopg import sql

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.catalog.months import first_day
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.capabilities import Compared
from taxi_ingest.warehouses.postgres.connecting import Session, one
from taxi_ingest.warehouses.postgres.copying import copy_rows
from taxi_ingest.warehouses.postgres.marks import partitions
from taxi_ingest.warehouses.postgres.tables import column_definitions, quoted

_FILE = sql.Identifier("pg_temp", "taxi_ingest_file")


def compare(session: Session, table: Table, month: str | None, file: str) -> Compared:
    """The rows of `month`, all rows if it is None, beside those of `file`. Raises WarehouseError without a table."""
    if _oid(session, table) is None:
        raise WarehouseError(f"{session.place} has no table {table.name.lower()}. Run load for this month.")
    with session.db.transaction(force_rollback=True):
        # not LIKE the table, which would be locked while the file is copied
        session.db.execute(sql.SQL("CREATE TEMPORARY TABLE {} ({})").format(_FILE, column_definitions(table)))
        copy_rows(session.db, _FILE, table, file, frozen=False)
        of_month = sql.SQL("WHERE {} = {}").format(
            sql.Identifier(FILE_MONTH), sql.Literal(first_day(month or "1970-01"))
        )
        in_table = sql.SQL("{} {}").format(quoted(session, table.name.lower()), of_month if month else sql.SQL(""))
        return _compared(session, table.column_names, in_table)


def unrecorded(session: Session, table: Table) -> dict[date | None, int]:
    """The values of `file_month` in partitions that no load made, each with its number of rows."""
    parent = _oid(session, table)
    children = partitions(session.db, parent) if parent and table.monthly else []
    found: dict[date | None, int] = {}
    if any(child.mark for child in children):
        count = sql.SQL("SELECT {0}, count(*) FROM {1} GROUP BY 1")
        for child in children:
            if not child.mark:
                found |= session.db.execute(count.format(sql.Identifier(FILE_MONTH), child.quoted)).fetchall()
    return found


def _compared(session: Session, names: tuple[str, ...], in_table: sql.Composable) -> Compared:
    columns = [sql.Identifier(name.lower()) for name in names]
    whole = [sql.SQL("ROW({})").format(sql.SQL(", ").join(columns))]
    (rows, *ours), (rows_now, *theirs) = (_sums(session, whole, source) for source in (_FILE, in_table))
    if (rows, ours) == (rows_now, theirs):
        return Compared(same=True, file_rows=rows, table_rows=rows_now)
    each = [sql.SQL("ROW({})").format(column) for column in columns]
    sums = [_sums(session, each, source)[1:] for source in (_FILE, in_table)]
    changed = tuple(name for name, a, b in zip(names, *sums, strict=True) if a != b)
    return Compared(same=False, file_rows=rows, table_rows=rows_now, columns=changed)


def _sums(session: Session, hashed: list[sql.Composed], source: sql.Composable) -> tuple[int, ...]:
    """The number of rows, and the sum of the hashes of each of the expressions `hashed`."""
    sums = [sql.SQL("sum(hashtextextended(({})::text, 0)::numeric)").format(expression) for expression in hashed]
    row = session.db.execute(sql.SQL("SELECT count(*), {} FROM {}").format(sql.SQL(", ").join(sums), source)).fetchone()
    return row or ()


def _oid(session: Session, table: Table) -> int | None:
    """The oid of the table; None if there is none."""
    name = quoted(session, table.name.lower()).as_string()
    oid = one(session.db, "SELECT to_regclass(%s)::oid", [name])
    return None if oid is None else int(oid)
