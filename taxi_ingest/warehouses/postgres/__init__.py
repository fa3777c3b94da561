"""PostgreSQL as warehouse: `postgresql://host/database?schema=…`, by psycopg, with libpq's own ways to connect.

In this folder: `address` (the URL), `connecting` (sessions, patience), `errors` (sentences), `tables` (whose they are,
what they lack), `marks` (what was loaded and is there), `copying` (rows), `replacing` (a month, whole), `grants` (on a
month), `losses` (what a replacement would lose), `zone_views` (the names of zones beside trips), `comparing` (a month
beside its Parquet file), `querying` (SQL of a user's).
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from datetime import date

from psycopg import sql
from psycopg.conninfo import make_conninfo

from taxi_ingest.errors import TransientError, UsageError, WarehouseError
from taxi_ingest.place import Check, Place
from taxi_ingest.warehouses import Months, Options, Table, Traits
from taxi_ingest.warehouses.capabilities import Answer, Compared
from taxi_ingest.warehouses.postgres import comparing, marks
from taxi_ingest.warehouses.postgres.address import parse_address
from taxi_ingest.warehouses.postgres.connecting import Session, Sessions
from taxi_ingest.warehouses.postgres.copying import has_pgpq
from taxi_ingest.warehouses.postgres.querying import answer
from taxi_ingest.warehouses.postgres.replacing import Load, drop_leftovers, replace_month, replace_whole
from taxi_ingest.warehouses.postgres.tables import refuse_foreign_table
from taxi_ingest.warehouses.postgres.zone_views import make_zone_views
from taxi_ingest.warehouses.zone_views import told_once


class Postgres:
    """One table per dataset, partitioned by month, in one schema of a database; what is missing is created."""

    traits = Traits(reads=(), needs_network=True)

    def __init__(self, place: Place, options: Options) -> None:
        self.place = place
        self._address = parse_address(place)
        self._sessions = Sessions(place, self._address, options)
        self._tell = told_once(options.announce)

    def held(self, *tables: str) -> dict[str, Months]:
        """Every loaded month of `tables`; its rows are counted only where the server saw that somebody wrote to it."""
        with self._sessions.open() as session:
            return {table: marks.held(session, table.lower()) for table in tables}

    def replace(
        self,
        table: Table,
        month: str | None,
        *,
        file: str,
        rows: int,
        mark: str,
        source: str,
        record: Callable[[str], None] | None = None,
    ) -> int:
        """Replace one month; see the contract, `Warehouse.replace`.

        `record` is never called: when this process is killed, the server undoes what it had begun.
        """
        load = Load(table, file, rows, mark, source)
        with self._sessions.open() as session:
            counted = replace_month(session, load, month) if month else replace_whole(session, load)
            make_zone_views(session, table, self._tell)
        return counted

    def make_views(self, table: Table) -> None:
        """Make the views with the names of zones that are missing; see the contract, `Warehouse.make_views`."""
        with self._sessions.open() as session:
            make_zone_views(session, table, self._tell)

    def compare(self, table: Table, month: str | None, *, file: str) -> Compared:
        """Compare a month with a Parquet file by checksums; see the contract, `ComparesContent.compare`.

        The file is copied into a temporary table, for which the role needs the right TEMPORARY on the database.
        """
        with self._sessions.open() as session:
            return comparing.compare(session, table, month, file)

    def unrecorded(self, table: Table) -> dict[date | None, int]:
        """Rows that no load recorded, by `file_month`; see the contract, `CountsUnrecorded.unrecorded`."""
        with self._sessions.open() as session:
            return comparing.unrecorded(session, table)

    def refusal(self, table: Table) -> str:
        """Why a load into `table` would be refused; see the contract, `TellsForeignTables.refusal`."""
        with self._sessions.open() as session:
            try:
                refuse_foreign_table(session, table)
            except WarehouseError as refused:
                return str(refused)
        return ""

    def sweep(self, *tables: str) -> None:
        """Drop the tables that loads made which were killed before they swapped them in."""
        with self._sessions.open() as session:
            for table in tables:
                drop_leftovers(session, table.lower())

    @contextlib.contextmanager
    def query(self, sql: str) -> Iterator[Answer]:
        """Answer SQL in a transaction that can only read; see the contract, `AnswersQueries.query`."""
        with self._sessions.open(for_queries=True) as session, answer(session, sql) as answered:
            yield answered

    def preview_command(self, table: str) -> str:
        """A `psql`, without the password."""
        names = [name for name in (self._address.schema, table.lower()) if name]
        query = sql.SQL("SELECT * FROM {} LIMIT 10").format(sql.Identifier(*names)).as_string()
        return shlex.join(["psql", make_conninfo(**self._address.public_parameters), "-c", query])

    def checks(self, store: Place) -> Iterator[Check]:
        """The server and its version, TLS, and the right to make tables; `store` does not matter."""
        try:
            with self._sessions.open() as session:
                yield Check(True, f"{self.place} is {_version(session)}")
                yield _schema_check(session)
        except (UsageError, WarehouseError, TransientError) as error:
            yield Check(False, str(error))
            return
        if not has_pgpq():
            yield Check(True, "pgpq is not installed; with it, loads take half the time: pip install pgpq")


def _version(session: Session) -> str:
    version = session.db.info.parameter_status("server_version")
    return f"PostgreSQL {version}, {'with' if session.db.pgconn.ssl_in_use else 'without'} TLS"


def _schema_check(session: Session) -> Check:
    """Whether tables may be made in the schema, or the schema itself where it is missing."""
    rights = """
        SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s),
            (SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')
             FROM pg_namespace WHERE nspname = %(schema)s),
            has_database_privilege(current_database(), 'CREATE'), quote_ident(%(schema)s)
    """
    found = session.db.execute(rights, {"schema": session.schema}).fetchone()
    exists, may_use, may_create, typed = found or (False, False, False, session.schema)
    if exists and may_use:
        return Check(True, f"tables may be made in schema {session.schema}")
    if exists:
        return Check(
            False,
            f"this role may not make tables in schema {session.schema}. Let its owner run GRANT CREATE, USAGE ON "
            f"SCHEMA {typed} TO this role, or name another: --warehouse 'postgresql://…?schema=NAME'.",
        )
    if may_create:
        return Check(True, f"schema {session.schema} does not exist yet; the first load creates it")
    return Check(
        False,
        f"schema {session.schema} does not exist, and this role may not create it. Let the owner of the database run "
        f"CREATE SCHEMA {typed} AUTHORIZATION this role.",
    )
