"""What Postgres answers, as a sentence with a remedy."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping

import psycopg
from psycopg import errors as answers

from taxi_ingest.errors import InUseError, TaxiError, TransientError, UsageError, WarehouseError
from taxi_ingest.place import Place


@contextlib.contextmanager
def translated_errors(place: Place) -> Iterator[None]:
    """Turn what psycopg raises into a TaxiError.

    It is a UsageError for a wrong parameter, a TransientError where another try may help, else a WarehouseError.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _explained(place, error) from error


def _explained(place: Place, error: psycopg.Error) -> TaxiError:
    for answer, (kind, sentence) in _ONCE_CONNECTED.items():
        if isinstance(error, answer):
            return kind(f"{place}{sentence.format(said=_said(error), details=_details(error))}")
    if error.sqlstate is None and _WRONG_PARAMETER.search(str(error)):
        return UsageError(
            f"{place}: a parameter of the connection is wrong ({_said(error)}). Correct it in the address, or in the "
            "variable PG… or the service it comes from."
        )
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        return _not_connected(place, error)
    return WarehouseError(f"{place}: Postgres refused: {_said(error)}. The table was left as it was.")


_WRONG_PARAMETER = re.compile(
    r"invalid \S+ value|invalid (port number|integer value|ssl protocol version range|connection option"
    r"|value for parameter|command-line argument)|bad value for|unrecognized configuration parameter"
    r"|could not match \d+|could not parse network address",
    re.IGNORECASE,
)
"""What libpq and psycopg, and the server before it lets anybody in, say of a parameter that can never be right."""

_OVERLAPPING = (
    WarehouseError,
    ": the month cannot become a partition of its table ({details}). It was left as it was. Detach the partition "
    "that is in the way, or move its rows, and run again.",
)
_NOT_TEXT = (
    WarehouseError,
    " cannot store a text of this month ({said}): Postgres takes no NUL characters, and a database with another "
    "encoding than UTF8 lacks characters. Use a UTF8 database, or another warehouse.",
)
_FOR_NOW = (TransientError, ": the server cannot do this now ({said}). Run again.")

_ONCE_CONNECTED: Mapping[type[psycopg.Error], tuple[type[TaxiError], str]] = {
    answers.InsufficientPrivilege: (
        WarehouseError,
        ": this role lacks a right ({said}). Let the owner run GRANT CREATE, USAGE ON SCHEMA … TO this role; a table "
        "is replaced only by the role that made it, or by a member of that role.",
    ),
    answers.DiskFull: (
        WarehouseError,
        ": the server's disk is full ({said}). The table was left as it was. Make room there, then run again.",
    ),
    answers.LockNotAvailable: (
        InUseError,
        ": another session holds a lock that is needed ({said}). Let it finish, or end it, and run again.",
    ),
    answers.DependentObjectsStillExist: (
        WarehouseError,
        ": the month cannot be replaced, because something hangs on its own table ({details}). It was left as it was. "
        "Drop that, or make it from the whole table, with WHERE file_month = …, and run again.",
    ),
    answers.InvalidObjectDefinition: _OVERLAPPING,
    answers.CheckViolation: _OVERLAPPING,
    answers.ReadOnlySqlTransaction: (
        WarehouseError,
        " can only be read ({said}). Name the primary server instead of a standby, or allow writing: ALTER DATABASE … "
        "SET default_transaction_read_only = off.",
    ),
    answers.CharacterNotInRepertoire: _NOT_TEXT,
    answers.UntranslatableCharacter: _NOT_TEXT,
    answers.QueryCanceled: (
        TransientError,
        ": the server ended the statement ({said}). Run again, or ask for less; its limit is statement_timeout.",
    ),
    answers.DeadlockDetected: _FOR_NOW,
    answers.SerializationFailure: _FOR_NOW,
    answers.TooManyConnections: _FOR_NOW,
    answers.OutOfMemory: _FOR_NOW,
    answers.AdminShutdown: _FOR_NOW,
    answers.CrashShutdown: _FOR_NOW,
    answers.CannotConnectNow: _FOR_NOW,
}
"""What a server that is connected answers → what it is, and the sentence that follows the place."""

_REFUSED = "nothing listens there. Start the server, or correct host and port."

_AT_CONNECTION: Mapping[str, tuple[type[TaxiError], str]] = {
    "connection refused": (TransientError, _REFUSED),
    "no such file or directory": (TransientError, _REFUSED),
    "timeout expired": (TransientError, "nobody answers there. Correct host and port, or open the firewall."),
    "could not translate host name": (WarehouseError, "there is no such host. Correct its name."),
    "failed to resolve host": (WarehouseError, "there is no such host. Correct its name."),
    "name or service not known": (WarehouseError, "there is no such host. Correct its name."),
    "definition of service": (WarehouseError, "there is no such service. Correct its name, or ~/.pg_service.conf."),
    "password authentication failed": (WarehouseError, "the password is wrong. Correct it in PGPASSWORD or ~/.pgpass."),
    "no password supplied": (WarehouseError, "the server wants a password. Put it into PGPASSWORD or ~/.pgpass."),
    "no pg_hba.conf entry": (
        WarehouseError,
        "the server lets nobody in this way. Try sslmode=require, or have a line added to its pg_hba.conf.",
    ),
    "certificate": (WarehouseError, "the certificate is not accepted. Correct sslmode, sslrootcert or sslcert."),
    "server does not support ssl": (
        WarehouseError,
        "the server has no TLS. Turn it on there, or write sslmode=prefer where the way to it is safe.",
    ),
    "too many clients": (TransientError, "the server has no connection left. Run again later."),
    "the database system is": (TransientError, "the server is starting, stopping or recovering. Run again."),
}
"""Part of a message, folded → what it is and what to do. Before a connection stands, libpq tells no code."""

_MISSING = {
    "database": "There is no such database. Create it (createdb …), or correct its name.",
    "role": "There is no such role. Name one before the @, or have it created (createuser …).",
}


def _not_connected(place: Place, error: psycopg.Error) -> TaxiError:
    said, folded = _said(error), str(error).casefold()
    for missing, remedy in _MISSING.items():
        if f'fatal:  {missing} "' in folded and "does not exist" in folded:
            return WarehouseError(f"{place}: {remedy} ({said})")
    for part, (kind, remedy) in _AT_CONNECTION.items():
        if part in folded:
            return kind(f"{place} cannot be reached: {remedy} ({said})")
    return TransientError(f"{place}: the connection failed or was lost ({said}). Run again.")


def _said(error: psycopg.Error) -> str:
    """The server's own message, or the first line of libpq's."""
    lines = (error.diag.message_primary or str(error)).strip().splitlines() or [type(error).__name__]
    return lines[0].removeprefix("connection failed: ").removeprefix("connection is bad: ").rstrip(".")


def _details(error: psycopg.Error) -> str:
    """As `_said`, with what the server adds to it, such as who depends on a table."""
    detail = "; ".join((error.diag.message_detail or "").splitlines()).rstrip(".")
    return f"{_said(error)}: {detail}" if detail else _said(error)
