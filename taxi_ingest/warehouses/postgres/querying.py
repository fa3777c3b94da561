"""A user's SQL: one statement in a transaction that can only read, its rows fetched in pieces.

Numbers without a declared scale, which sums and averages of the server are, have 20 digits after the point here.
"""

from __future__ import annotations

import contextlib
import decimal
import itertools
from collections.abc import Generator, Iterator, Sequence
from decimal import Decimal
from typing import Any, cast

import psycopg
import pyarrow as pa
from psycopg import adapters, errors, generators
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import TupleRow
from psycopg.types.string import TextLoader

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place
from taxi_ingest.warehouses.capabilities import Answer
from taxi_ingest.warehouses.postgres.connecting import Database, Session
from taxi_ingest.warehouses.refusals import may_only_read, refused

_BATCH_ROWS = 1000

_TYPES: dict[str, pa.DataType] = {
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "bytea": pa.binary(),
}
"""What has a counterpart in Arrow, beside `numeric`; values of other types come as the server writes them."""

_NUMERIC = "numeric"
_DIGITS, _SCALE = 38, 20
_EXACT = decimal.Context(prec=1000, traps=[decimal.InvalidOperation, decimal.Inexact])

_LOOKED_IN_FIRST = """
    SELECT set_config(
        'search_path', concat_ws(', ', quote_ident(%s), nullif(current_setting('search_path'), '')), false
    )
"""

_NOT_THE_STATEMENT = ("08", "40", "53", "55", "57", "58", "XX")
"""How the codes of answers begin that are no fault of the statement: connection, rollback by others, resources, objects
in use, operator (who may also have cancelled it, or limited its time), system."""


@contextlib.contextmanager
def answer(session: Session, statement: str) -> Iterator[Answer]:
    """The answer to `statement`; see the contract, `AnswersQueries.query`."""
    db, place = session.db, session.place
    _leave_as_text(db)
    db.execute(_LOOKED_IN_FIRST, [session.schema])
    db.read_only = True
    with _explained(place), db.transaction(force_rollback=True):
        schema = _described(db, place, statement)
        with db.cursor() as cursor:
            rows = cast("Generator[TupleRow, None, None]", cursor.stream(statement.encode(), size=_BATCH_ROWS))
            with contextlib.closing(rows):  # or else the transaction would wait for it
                yield Answer(schema, _batches(rows, schema, place))


def _leave_as_text(db: Database) -> None:
    for known in adapters.types:
        if known.name not in {*_TYPES, _NUMERIC}:
            db.adapters.register_loader(known.oid, TextLoader)
        if known.array_oid:
            db.adapters.register_loader(known.array_oid, TextLoader)


def _described(db: Database, place: Place, statement: str) -> pa.Schema:
    """The columns that a statement gives; it is parsed for that, and not run."""
    db.pgconn.send_prepare(b"", statement.encode())
    _answered(db)
    db.pgconn.send_describe_prepared(b"")
    found = _answered(db)
    if not found.nfields:  # such as CREATE; or COPY, whose rows would come by another way
        raise may_only_read(place, "this statement gives no rows")
    return pa.schema([_field(found.fname(i), found.ftype(i), found.fmod(i)) for i in range(found.nfields)])


def _answered(db: Database) -> PGresult:
    """What the server answers, waited for so that an interrupt cancels it there: it may wait for a lock of others."""
    answered = cast("PGresult", db.wait(generators.execute(db.pgconn))[-1])
    if answered.status != ExecStatus.COMMAND_OK:
        raise errors.error_from_result(answered)
    return answered


def _field(name: bytes | None, oid: int, modifier: int) -> pa.Field:
    known = adapters.types.get(oid)
    kind = known.name if known and known.oid == oid else ""  # an array is found by the type of its members
    if kind == _NUMERIC:
        declared = (modifier - 4) >> 16, (modifier - 4) & 0x7FF  # as the server packs precision and scale
        fits = modifier >= 0 and declared[1] <= declared[0] <= _DIGITS
        return pa.field((name or b"").decode(), pa.decimal128(*(declared if fits else (_DIGITS, _SCALE))))
    return pa.field((name or b"").decode(), _TYPES.get(kind, pa.string()))


def _batches(rows: Iterator[Sequence[Any]], schema: pa.Schema, place: Place) -> Iterator[pa.RecordBatch]:
    with _explained(place):
        ended = False
        while not ended:
            piece = list(itertools.islice(rows, _BATCH_ROWS))
            ended = len(piece) < _BATCH_ROWS
            if piece:
                columns = zip(*piece, strict=True)
                arrays = [_array(values, field, place) for values, field in zip(columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], field: pa.Field, place: Place) -> pa.Array:
    try:
        if pa.types.is_decimal(field.type):
            values = [None if value is None else _scaled(value, field.type.scale) for value in values]
        return pa.array(values, field.type)
    except (pa.ArrowException, decimal.InvalidOperation, decimal.Inexact, OverflowError) as error:
        raise refused(
            place, f"a value of {field.name} does not fit into {field.type}; cast it, as in CAST(… AS text)"
        ) from error


def _scaled(value: Decimal, scale: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-scale), context=_EXACT)


@contextlib.contextmanager
def _explained(place: Place) -> Iterator[None]:
    """Turn what is wrong with a statement into UsageError, and leave other errors to the session."""
    try:
        yield
    except errors.ReadOnlySqlTransaction as error:
        raise may_only_read(place, str(error)) from error
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            raise
        if (error.sqlstate or "").startswith(_NOT_THE_STATEMENT):
            raise
        raise _wrong(place, error) from error


def _wrong(place: Place, error: psycopg.Error) -> UsageError:
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return refused(place, f"{error.diag.message_primary or error}{hint}")
