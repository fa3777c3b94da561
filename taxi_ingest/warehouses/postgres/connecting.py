"""Sessions on the server: opened for each operation, with patience for the locks of others."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import errors as answers
from psycopg import sql
from psycopg.rows import TupleRow

from taxi_ingest.errors import InUseError, UsageError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options
from taxi_ingest.warehouses.postgres.address import Address
from taxi_ingest.warehouses.postgres.errors import translated_errors

OLDEST = 13
"""The oldest major version of PostgreSQL that is used."""

_SETTINGS = """
    SET DateStyle = ISO; SET extra_float_digits = 1;
    SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6
"""
"""Dates and numbers as they are parsed and compared here; and the server finds out within two minutes that this machine
is gone, and lets its locks go."""

_NO_LIMITS = {
    0: "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0",
    17: "SET transaction_timeout = 0",
}
"""Servers may limit the queries of people, and a load is none. By the major version that knows the setting."""

_QUEUE_MILLISECONDS = 200
"""How long one try waits for a lock: as long, others who want the table wait behind it."""

_HOLDER = """
    SELECT a.pid, coalesce(nullif(a.application_name, ''), 'no name')
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
    WHERE l.granted AND l.pid <> pg_backend_pid() AND l.database = (
            SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        AND l.relation IN (SELECT %(table)s::oid UNION
            SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = %(table)s::oid)
    ORDER BY a.xact_start LIMIT 1
"""

# what it says of a connection that was lost is said by the error; without a handler it would be printed
logging.getLogger("psycopg").addHandler(logging.NullHandler())

_Result = TypeVar("_Result")
Database = psycopg.Connection[TupleRow]


@dataclass
class _Patience:
    """Seconds that are left to wait for others, in all."""

    seconds: float
    announce: Callable[[str], None]
    announced: bool = False

    def tell(self, what: str) -> None:
        """Say once what is waited for."""
        if not self.announced and self.seconds > 0:
            self.announced = True
            self.announce(f"waiting up to {self.seconds:.0f} s for {what}")

    @contextlib.contextmanager
    def spent(self) -> Iterator[None]:
        """Take the time of the block from what is left."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds -= time.monotonic() - begun


@dataclass(frozen=True)
class Session:
    """One connection, outside of any transaction unless said otherwise, and the schema that tables are in."""

    place: Place
    db: Database
    schema: str
    patience: _Patience

    def in_transaction(self, work: Callable[[], _Result], *, table: int = 0) -> _Result:
        """What `work` returns, done in a transaction of its own; again while others hold a lock that it needs.

        Raises InUseError, naming who uses `table` (its oid), when our patience is used up.
        """
        while True:
            with self.patience.spent():
                try:
                    with self.db.transaction():
                        self.db.execute(f"SET LOCAL lock_timeout = {_QUEUE_MILLISECONDS}")
                        return work()
                except (answers.LockNotAvailable, answers.DeadlockDetected) as error:
                    if self.patience.seconds <= 0:
                        raise InUseError(
                            f"{self.place}: the table is in use{self._holder(table)}. It was left as it was. Let that "
                            "session finish, or end it (SELECT pg_terminate_backend(…)), and run again."
                        ) from error
                self.patience.tell(f"{self.place}, where another session uses the table")
                time.sleep(random.uniform(0.1, 0.3))  # noqa: S311 - no secret

    @contextlib.contextmanager
    def turn(self, *names: str) -> Iterator[None]:
        """Be the only load with these `names` in this schema; others, of other processes too, wait their turn.

        The server lets go when this process is killed. Raises InUseError when our patience is used up.
        """
        key = ["taxi-ingest", " ".join((self.schema, *names))]
        if not self.try_turn(*names):
            self.patience.tell(f"{self.place}, where another load of the same month is at work")
            with self.patience.spent():
                try:
                    self.limit_waits()
                    self.db.execute("SELECT pg_advisory_lock(hashtext(%s), hashtext(%s))", key)
                except answers.LockNotAvailable as error:
                    raise InUseError(
                        f"{self.place}: another load of the same month is at work. Let it finish, and run again."
                    ) from error
        try:
            yield
        finally:
            self.end_turn(*names)

    def try_turn(self, *names: str) -> bool:
        """Take the turn of these `names` if nobody has it; to be ended with `end_turn`."""
        key = ["taxi-ingest", " ".join((self.schema, *names))]
        return bool(one(self.db, "SELECT pg_try_advisory_lock(hashtext(%s), hashtext(%s))", key))

    def end_turn(self, *names: str) -> None:
        """End a turn; the end of the session ends it as well."""
        key = ["taxi-ingest", " ".join((self.schema, *names))]
        with contextlib.suppress(psycopg.OperationalError):
            self.db.execute("SELECT pg_advisory_unlock(hashtext(%s), hashtext(%s))", key)

    def limit_waits(self) -> None:
        """Let no statement outside of `in_transaction` wait for a lock longer than our patience lasts."""
        milliseconds = max(round(self.patience.seconds * 1000), _QUEUE_MILLISECONDS)  # 0 would mean for ever
        self.db.execute(f"SET lock_timeout = {milliseconds}")

    def _holder(self, table: int) -> str:
        """Who uses a table, in brackets; "" if nobody does any more."""
        found = self.db.execute(_HOLDER, {"table": table}).fetchone()
        return f" (by process {found[0]} of the server, {found[1]})" if found else ""


class Sessions:
    """Opens sessions, one after the other. `options.lock_timeout` is how long all of them together wait for others."""

    def __init__(self, place: Place, address: Address, options: Options) -> None:
        self._place = place
        self._address = address
        self._patience = _Patience(options.lock_timeout, options.announce)

    @contextlib.contextmanager
    def open(self, *, for_queries: bool = False) -> Iterator[Session]:
        """A session until the end of the block, in which what psycopg raises is translated.

        `for_queries`: with the limits that the server has for queries of people.
        Raises WarehouseError for a server that is too old, and for a search_path without a schema.
        """
        with translated_errors(self._place), self._connect() as db:
            major = db.info.server_version // 10000
            if major < OLDEST:
                raise WarehouseError(
                    f"{self._place} is PostgreSQL {major}, which is too old: {OLDEST} or newer is needed. Upgrade it, "
                    "or name another server."
                )
            limits = [] if for_queries else [more for since, more in _NO_LIMITS.items() if major >= since]
            db.execute("; ".join([_SETTINGS, *limits]))
            session = Session(self._place, db, self._schema(db), self._patience)
            session.limit_waits()
            yield session

    def _connect(self) -> Database:
        parameters = {
            "fallback_application_name": "taxi-ingest",  # the address may ask for another
            **self._address.parameters,
            "client_encoding": "UTF8",
        }
        try:
            return psycopg.connect(
                **parameters,  # type: ignore[arg-type]
                autocommit=True,
                prepare_threshold=None,  # a pooler may give every statement to another server process
            )
        except UnicodeError as error:
            raise UsageError(
                f"{self._place} has a host that cannot exist ({error}). Correct its name: between dots it has 1 to 63 "
                "characters."
            ) from error

    def _schema(self, db: Database) -> str:
        schema = self._address.schema or one(db, "SELECT current_schema()")
        if not schema:
            raise WarehouseError(
                f"{self._place}: no schema of the search_path exists. Name one: --warehouse 'postgresql://…?schema=NAME'."
            )
        return str(schema)


def one(db: Database, statement: str | sql.Composed, parameters: list[str] | None = None) -> Any:
    """The one value that a statement returns; None for no row."""
    row = db.execute(statement, parameters).fetchone()
    return row[0] if row else None
