"""Rows of a Parquet file into a table, by COPY: binary where pgpq is installed, which takes half the time of CSV."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.postgres.connecting import Database

_BATCH_ROWS = 16384
"""A few megabytes: what is encoded and not yet sent is held in memory twice."""

_TYPES = {"int64": pa.int64(), "double": pa.float64(), "string": pa.string(), "timestamp": pa.timestamp("us")}


def has_pgpq() -> bool:
    """Whether pgpq, which encodes batches for binary COPY, is installed."""
    return importlib.util.find_spec("pgpq") is not None


def copy_rows(db: Database, target: sql.Composable, table: Table, file: str, *, frozen: bool) -> None:
    """Append the rows of `file` to `target`, which has the columns of `table`.

    `frozen` makes them visible to transactions that began before, and is possible only for a table that was created
    or truncated in this very transaction. Raises WarehouseError when the file cannot be read.
    """
    kind, encode = _ENCODERS["pgpq" if has_pgpq() else "csv"]
    names = sql.SQL(", ").join(sql.Identifier(name.lower()) for name in table.column_names)
    options = sql.SQL(f"FORMAT {kind}, FREEZE" if frozen else f"FORMAT {kind}")
    copy_in = sql.SQL("COPY {} ({}) FROM STDIN ({})").format(target, names, options)
    with db.cursor() as cursor, cursor.copy(copy_in) as copy:
        for chunk in encode(_schema(table), _batches(file, _schema(table))):
            copy.write(chunk)


def _schema(table: Table) -> pa.Schema:
    types = {column.name: _TYPES[column.type] for column in table.columns}
    return pa.schema([(name, types.get(name, pa.date32())) for name in table.column_names])


def _batches(file: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=schema.names):
                yield batch.select(schema.names).cast(schema)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise WarehouseError(
            f"{file} cannot be loaded ({error}). The table was left as it was. Run parquetize --force for this month."
        ) from error


def _binary(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    from pgpq import ArrowToPostgresBinaryEncoder

    encoder = ArrowToPostgresBinaryEncoder(schema)
    yield encoder.write_header()
    for batch in batches:
        try:
            yield encoder.write_batch(batch)
        except ValueError as error:
            raise WarehouseError(
                f"Postgres cannot store a value of this month ({error}). The table was left as it was. Use another "
                "warehouse, or correct the file that the month comes from."
            ) from error
    yield encoder.finish()


def _csv(_schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    from pyarrow import csv

    without_header = csv.WriteOptions(include_header=False)
    for batch in batches:
        lines = io.BytesIO()
        csv.write_csv(batch, lines, without_header)  # quotes every text, so that null is told from ""
        yield lines.getvalue()


_Encoder = Callable[[pa.Schema, Iterator[pa.RecordBatch]], Iterator[bytes]]
_ENCODERS: dict[str, tuple[str, _Encoder]] = {"pgpq": ("binary", _binary), "csv": ("csv", _csv)}
"""Library → the format of COPY, and what encodes batches in it."""
