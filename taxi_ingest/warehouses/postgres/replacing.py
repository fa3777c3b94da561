"""Replacing: a month in three transactions, a table without months in one.

The first transaction makes a table that nobody looks at; the second copies the month into it, counts and marks it; the
third makes it the month's partition. Only the first and the third lock the whole table, for milliseconds, so loads of
other months go on beside the second. Readers find the old month or the new one. The rows are frozen: otherwise a
transaction that began before would find the new partition, and no row in it.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.catalog.months import first_day, next_month
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.postgres.connecting import Session, one
from taxi_ingest.warehouses.postgres.copying import copy_rows
from taxi_ingest.warehouses.postgres.grants import Grants, grant_only, grants_on, revoke_all
from taxi_ingest.warehouses.postgres.losses import refuse_loss
from taxi_ingest.warehouses.postgres.marks import SIGNATURE, LoadedTable, Mark, partitions
from taxi_ingest.warehouses.postgres.tables import columns_of, prepare, quoted, refuse_stranger

_CHECK = sql.Identifier("taxi_ingest_month")
"""The constraint that proves to the server, without another look at the rows, that a table fits as a partition."""

_BEING_LOADED = f"{SIGNATURE}: {{}}"
"""The comment of a table that is not filled yet: a signature with no mark of a load."""

_LEFTOVERS = """
    SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND relkind = 'r' AND NOT relispartition AND starts_with(relname, %s)
        AND starts_with(obj_description(c.oid, 'pg_class'), %s)
"""
_MADE_FOR_A_LOAD = re.compile(r"_(\d{4})_(\d\d)__[0-9a-f]{8}")


@dataclass(frozen=True)
class Load:
    """What is to be loaded: the `rows` rows of `file`."""

    table: Table
    file: str
    rows: int
    mark: str
    source: str

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.table.name.lower()


@dataclass(frozen=True)
class _Staged:
    """A table that nobody may see but its owner, and what others may do with it once it is a month's."""

    name: str
    grants: Grants


def replace_month(session: Session, load: Load, month: str) -> int:
    """Replace one month; returns the rows counted in it. Raises WarehouseError when they are not those promised."""
    with session.turn(load.name, month):
        parent = session.in_transaction(lambda: prepare(session, load.table))
        drop_leftovers(session, load.name)
        present = _partitions_of_month(session, parent, month)
        for old in present:
            refuse_loss(session, old)
        if not present:
            refuse_stranger(session, _partition_name(load.name, month))
        with _staged(session, load, parent, month) as staged:
            counted = _filled(session, load, staged.name)
            session.in_transaction(lambda: _swap(session, load.name, parent, month, staged), table=parent)
    return counted


def replace_whole(session: Session, load: Load) -> int:
    """Replace all rows of a table without months; returns the rows counted in it, or raises as `replace_month`."""
    with session.turn(load.name):
        return session.in_transaction(lambda: _fill(session, load))


def _fill(session: Session, load: Load) -> int:
    prepare(session, load.table)
    target = quoted(session, load.name)
    session.db.execute(sql.SQL("DELETE FROM {}").format(target))
    return _copied(session, load, target, title=f"{load.table.title}. ", frozen=False)


@contextlib.contextmanager
def _staged(session: Session, load: Load, parent: int, month: str) -> Iterator[_Staged]:
    """A new, empty table that can become the month's partition; dropped if the block fails."""
    name = f"{_partition_name(load.name, month)}__{secrets.token_hex(4)}"
    grants = session.in_transaction(lambda: _create(session, load, name, month), table=parent)
    try:
        yield _Staged(name, grants)
    except BaseException:
        with contextlib.suppress(psycopg.Error):  # what stays is dropped by the next load
            session.db.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(quoted(session, name)))
        raise


def _create(session: Session, load: Load, name: str, month: str) -> Grants:
    """Create the table in the transaction at hand, signed, so that the next load drops it if this one is killed.

    What ALTER DEFAULT PRIVILEGES grants on it is taken back until it is filled, and returned.
    """
    target = quoted(session, name)
    create = sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY, CONSTRAINT {} CHECK ({}))")
    session.db.execute(create.format(target, quoted(session, load.name), _CHECK, _is_of_month(month)))
    session.db.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(target, sql.Literal(_BEING_LOADED)))
    return revoke_all(session.db, target)


def _filled(session: Session, load: Load, staged: str) -> int:
    """Copy the month into the table `staged`, in a transaction that locks no other; returns the rows counted in it."""
    target = quoted(session, staged)
    with session.db.transaction():
        session.db.execute(sql.SQL("TRUNCATE {}").format(target))  # which FREEZE asks for in the same transaction
        counted = _copied(session, load, target, frozen=True)
        session.db.execute(sql.SQL("ANALYZE {}").format(target))
    return counted


def _copied(session: Session, load: Load, target: sql.Composable, *, title: str = "", frozen: bool) -> int:
    """Copy and count the rows and sign the table, in the transaction at hand. Raises unless all rows are there."""
    db = session.db
    copy_rows(db, target, load.table, load.file, frozen=frozen)
    counted = int(one(db, sql.SQL("SELECT count(*) FROM {}").format(target)))
    if counted != load.rows:
        raise WarehouseError(
            f"{load.name} would have {counted:,} rows of {load.file}, which should hold {load.rows:,}. The table was "
            "left as it was. Run parquetize --force for this month."
        )
    transaction = int(one(db, "SELECT pg_current_xact_id()::xid::text"))
    mark = Mark(load.mark, load.rows, load.source, transaction, len(columns_of(load.table)))
    db.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(target, sql.Literal(title + mark.signed())))
    return counted


def _swap(session: Session, parent_name: str, parent: int, month: str, staged: _Staged) -> None:
    """Make the table `staged` the partition of its month, in place of the one there is; in a transaction at hand."""
    db, table, name = session.db, quoted(session, parent_name), _partition_name(parent_name, month)
    db.execute(sql.SQL("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE").format(table))
    grants = staged.grants
    for old in _partitions_of_month(session, parent, month):
        # in the order of readers, so that nobody puts anything on the month from here on
        db.execute(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(table))
        db.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(old.quoted))
        refuse_loss(session, old)
        grants = grants_on(db, old.oid)
        db.execute(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(table, old.quoted))
        db.execute(sql.SQL("DROP TABLE {}").format(old.quoted))
    refuse_stranger(session, name)
    db.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(quoted(session, staged.name), sql.Identifier(name)))
    grant_only(db, quoted(session, name), grants)
    attach = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})")
    begin, end = sql.Literal(first_day(month)), sql.Literal(first_day(next_month(month)))
    db.execute(attach.format(table, quoted(session, name), begin, end))
    db.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(quoted(session, name), _CHECK))


def _partitions_of_month(session: Session, parent: int, month: str) -> list[LoadedTable]:
    return [partition for partition in partitions(session.db, parent) if partition.month == month]


def _partition_name(table: str, month: str) -> str:
    return f"{table}_{month.replace('-', '_')}"


def _is_of_month(month: str) -> sql.Composable:
    condition = sql.SQL("{day} IS NOT NULL AND {day} >= {begin} AND {day} < {end}")
    begin, end = sql.Literal(first_day(month)), sql.Literal(first_day(next_month(month)))
    return condition.format(day=sql.Identifier(FILE_MONTH), begin=begin, end=end)


def drop_leftovers(session: Session, table: str) -> None:
    """Drop what loads left that were killed between their transactions; those at work have the turn of their month."""
    names = [session.schema, f"{table}_", f"{SIGNATURE}: "]
    for (name,) in session.db.execute(_LEFTOVERS, names).fetchall():
        found = _MADE_FOR_A_LOAD.fullmatch(name.removeprefix(table))
        if not found:
            continue
        month = f"{found[1]}-{found[2]}"
        if session.try_turn(table, month):
            session.db.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(quoted(session, name)))
            session.end_turn(table, month)
