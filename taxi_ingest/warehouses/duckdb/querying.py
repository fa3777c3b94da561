"""A user's SQL: one statement that reads, its rows as they come."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from taxi_ingest.place import Place
from taxi_ingest.warehouses.capabilities import Answer
from taxi_ingest.warehouses.refusals import may_only_read, refused

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection
    from duckdb.sqltypes import DuckDBPyType

_Result = TypeVar("_Result")

_BATCH_ROWS = 10_000

_CHANGED_IN_ARROW = {"time with time zone", "bit", "bignum", "uhugeint"}
"""Types whose values Arrow would get without their zone, as other bytes, or with another sign."""

_BEGIN_A_QUERY = {"SELECT", "FROM", "WITH", "PIVOT", "("}
"""How a query can begin that pivots by the values it finds, which DuckDB makes several statements of (kind MULTI). It
makes several of a COPY or CREATE that contains a PIVOT as well."""


@contextlib.contextmanager
def answer(db: DuckDBPyConnection, place: Place, sql: str) -> Iterator[Answer]:
    """The answer to `sql`; see the contract, `AnswersQueries.query`."""
    with ThreadPoolExecutor(1) as worker:
        query = _Query(db, place, worker)
        reader = query.wait_for(lambda: _reader(db, place, sql))
        yield Answer(_without_intervals(reader.schema), _batches(query, reader))


@dataclass(frozen=True)
class _Query:
    """A query at work in a thread of its own, because DuckDB does not notice an interrupt by itself."""

    db: DuckDBPyConnection
    place: Place
    worker: ThreadPoolExecutor

    def wait_for(self, work: Callable[[], _Result]) -> _Result:
        """What `work` returns. Raises UsageError for what DuckDB refuses, and KeyboardInterrupt at once."""
        import duckdb
        import pyarrow as pa

        try:
            return self.worker.submit(work).result()
        except KeyboardInterrupt:
            self.db.interrupt()
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _explained(self.place, error) from error


def _reader(db: DuckDBPyConnection, place: Place, sql: str) -> pa.RecordBatchReader:
    _check_reads(db, place, sql)
    relation = db.sql(sql)  # unlike a cursor, a relation gives its rows as they are made
    if relation is None:
        raise refused(place, "it gives no rows")
    for name, kind in zip(relation.columns, relation.types, strict=True):
        if lost := _CHANGED_IN_ARROW.intersection(_ids(kind)):
            raise refused(place, f"{name} is of the type {lost.pop().upper()}; cast it, as in CAST(… AS text)")
    return relation.to_arrow_reader(_BATCH_ROWS)


def _ids(kind: DuckDBPyType) -> Iterator[str]:
    """What DuckDB calls a type, and the types of what is in its values."""
    yield kind.id
    if kind.id in {"list", "array", "struct", "map", "union"}:
        for _, child in kind.children:
            if isinstance(child, type(kind)):  # an array's size is among them
                yield from _ids(child)


def _check_reads(db: DuckDBPyConnection, place: Place, sql: str) -> None:
    statements = db.extract_statements(sql)
    if len(statements) != 1:
        raise refused(place, f"there are {len(statements)} statements where one is expected")
    kind, (first, rest) = statements[0].type.name, _first_word(sql)
    if kind in {"EXPLAIN", "MULTI"} and first == "EXPLAIN":
        _check_explained(db, place, rest)
    elif kind != "SELECT" and not (kind == "MULTI" and first in _BEGIN_A_QUERY):
        raise may_only_read(place, f"this is a statement of the kind {kind}")


def _check_explained(db: DuckDBPyConnection, place: Place, explained: str) -> None:
    """Refuse to explain what is no query itself, and ANALYZE, which does what it explains."""
    import duckdb

    try:
        _check_reads(db, place, explained)
    except duckdb.ParserException as error:  # options, such as (ANALYZE)
        raise may_only_read(place, "of EXPLAIN, only EXPLAIN SELECT is answered") from error


def _first_word(sql: str) -> tuple[str, str]:
    """The first word of a statement in capitals, or its first sign, and what follows: by DuckDB's own reading."""
    import duckdb

    starts = [start for start, kind in duckdb.tokenize(sql) if kind != duckdb.token_type.comment]
    whole = sql.encode()  # DuckDB counts bytes
    first, second = [*starts, len(whole), len(whole)][:2]
    word = re.match(rb"\w+|.?", whole[first:second], re.DOTALL)
    return word[0].decode(errors="replace").upper() if word else "", whole[second:].decode()


def _batches(query: _Query, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    schema = _without_intervals(reader.schema)
    while (batch := query.wait_for(lambda: next(reader, None))) is not None:
        columns = [_as_text(c) if _is_interval(c.type) else c for c in batch.columns]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


# ---- intervals, for which neither Parquet nor JSON has a type; a time minus a time is one


def _without_intervals(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field(f.name, pa.string() if _is_interval(f.type) else f.type) for f in schema])


def _is_interval(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_interval(kind))


def _as_text(intervals: pa.Array) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if one is None else _interval(*one) for one in intervals.to_pylist()], pa.string())


def _interval(months: int, days: int, nanoseconds: int) -> str:
    """As DuckDB writes it: "1 month 2 days 03:04:05.5"."""
    seconds, fraction = divmod(abs(nanoseconds) // 1000, 1_000_000)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    clock += f".{fraction:06d}".rstrip("0") if fraction else ""
    parts = [f"{number} {noun}{'' if abs(number) == 1 else 's'}" for number, noun in (
        (months, "month"), (days, "day")
    ) if number]  # fmt: skip
    if nanoseconds or not parts:
        parts.append(f"-{clock}" if nanoseconds < 0 else clock)
    return " ".join(parts)


def _explained(place: Place, error: Exception) -> Exception:
    said = str(error).partition("\nLINE ")[0]  # what follows are the statement and a mark below it
    if "file system operations are disabled" in said:
        said = f"{said}. A query opens no file but the database: read others with DuckDB, Polars or pandas."
    return may_only_read(place, said) if "read-only mode" in said else refused(place, said)
