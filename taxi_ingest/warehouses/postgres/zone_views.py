"""The views of trips with the names of their zones, in Postgres.

A view hangs on the whole tables, of which a load drops nothing: it exchanges months, and adds columns. So it is never
in the way of one. A view is replaced in place, which keeps what its owner granted on it. One that somebody else
replaced in place keeps our comment; what the server shows of it tells that.
"""

from __future__ import annotations

import contextlib
import secrets

import psycopg
from psycopg import errors as answers
from psycopg import sql

from taxi_ingest.errors import TaxiError
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.postgres.connecting import Session, one
from taxi_ingest.warehouses.postgres.errors import translated_errors
from taxi_ingest.warehouses.postgres.grants import grant_only, grants_on
from taxi_ingest.warehouses.postgres.tables import Relation, quoted, refuse_foreign_table, relation_named
from taxi_ingest.warehouses.zone_views import (
    Tell,
    ZoneView,
    comment_of,
    digest,
    edited,
    foreign,
    not_made,
    signature_of,
    views_over,
)

_KNOWS_INVOKER = 15
"""The major version from which a view gives its readers only what they may read of its tables.

Before, it gives them all that its owner may read, so what ALTER DEFAULT PRIVILEGES grants is taken back.
"""

_SHOWN = """
    SELECT count(DISTINCT c.oid) FROM pg_rewrite r
    JOIN pg_depend d ON d.objid = r.oid AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.ev_class = %(view)s AND n.nspname = %(schema)s AND c.relname = ANY(%(names)s)
"""


def make_zone_views(session: Session, table: Table, tell: Tell) -> None:
    """Make the views over `table` that are missing or out of date; a failure is told and changes nothing else."""
    for view in views_over(table):
        try:
            with translated_errors(session.place):
                _make(session, view, tell)
        except TaxiError as error:
            tell(not_made(session.place, view, error))


def _make(session: Session, view: ZoneView, tell: Tell) -> None:
    select = view.select(lambda name: quoted(session, name.lower()).as_string(), _column)
    found = relation_named(session, view.name)
    signature = signature_of(found.comment) if found and found.kind == "v" else None
    if found and signature is None:
        tell(foreign(session.place, view))
        return
    if found and signature and _shows_present_tables(session, view, found):
        shown = _shown(session, found.oid)
        if found.comment == comment_of(view, select, shown):
            return
        # after an upgrade, the server may word the same view otherwise
        if signature.shown not in {"", digest(shown)} and shown != _shown_of(session, view, select):
            tell(edited(session.place, view))
            return
    if all(_is_ours(session, table) for table in (view.trips, view.zones)):
        _make_in_turn(session, view, select)


def _shows_present_tables(session: Session, view: ZoneView, found: Relation) -> bool:
    """Whether the view shows the tables that have the names now: one that was renamed takes the view along."""
    names = [table.name.lower() for table in (view.trips, view.zones)]
    parameters = {"view": found.oid, "schema": session.schema, "names": names}
    row = session.db.execute(_SHOWN, parameters).fetchone()
    return row == (len(names),)


def _shown(session: Session, oid: int) -> str:
    """The SELECT of a view in the server's words, with the schema of each name, whatever our search_path is."""
    with session.db.transaction():
        session.db.execute("SET LOCAL search_path = pg_catalog")
        return str(one(session.db, "SELECT pg_get_viewdef(%s::oid)", [str(oid)]))


def _shown_of(session: Session, view: ZoneView, select: str) -> str:
    """What the server shows of a view that is made from `select` now; "" if it makes none."""
    name = f"{view.name}__{secrets.token_hex(4)}"
    with contextlib.suppress(psycopg.Error), session.db.transaction(force_rollback=True):
        session.db.execute(sql.SQL(f"CREATE VIEW {quoted(session, name).as_string()} AS {select}"))
        made = relation_named(session, name)
        return _shown(session, made.oid) if made else ""
    return ""


def _column(name: str) -> str:
    return sql.Identifier(name.lower()).as_string()


def _is_ours(session: Session, table: Table) -> bool:
    """Whether the table is there, and is ours."""
    try:
        refuse_foreign_table(session, table)
    except TaxiError:
        return False
    return relation_named(session, table.name.lower()) is not None


def _make_in_turn(session: Session, view: ZoneView, select: str) -> None:
    """Make the view, unless another load is at it: the server lets only one replace a view at a time."""
    if not session.try_turn(view.name):
        return
    try:
        session.in_transaction(lambda: _replace(session, view, select))
    finally:
        session.end_turn(view.name)


def _replace(session: Session, of: ZoneView, select: str) -> None:
    """Make the view or replace it, in the transaction at hand, unless somebody made something of its name meanwhile."""
    found = relation_named(session, of.name)
    if found and signature_of(found.comment) is None:
        return
    db, view = session.db, quoted(session, of.name)
    knows_invoker = db.info.server_version // 10000 >= _KNOWS_INVOKER
    by_invoker = " WITH (security_invoker = true)" if knows_invoker else ""
    definition = sql.SQL(f"{view.as_string()}{by_invoker} AS {select}")  # names of the catalog, quoted
    try:
        with db.transaction():
            db.execute(sql.SQL("CREATE OR REPLACE VIEW {}").format(definition))
    except answers.InvalidTableDefinition:  # a view cannot get a column between others
        _make_anew(session, found, view, definition)
    if found is None and not knows_invoker:
        grant_only(db, view, [])
    made = relation_named(session, of.name)
    comment = comment_of(of, select, _shown(session, made.oid) if made else "")
    db.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(view, sql.Literal(comment)))


def _make_anew(session: Session, found: Relation | None, view: sql.Composable, definition: sql.Composable) -> None:
    """Drop the view and make it with the same grants."""
    grants = grants_on(session.db, found.oid) if found else []
    session.db.execute(sql.SQL("DROP VIEW {}").format(view))
    session.db.execute(sql.SQL("CREATE VIEW {}").format(definition))
    grant_only(session.db, view, grants)
