"""A Parquet file whose row groups are encoded by several threads.

Arrow encodes a file with one thread. So each row group is encoded as a file of its own, in memory; its column chunks
are copied into the real file, and their entries in the footer are told where they stand now. A chunk that is the same
in many row groups is encoded once.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_ingest.writers.thrift_footer import ColumnChunk, FileMetaData, RowGroup

_MAGIC = b"PAR1"

_Chunk = tuple[memoryview, ColumnChunk]
"""The bytes of one column in one row group, and their entry in the footer of some file."""


def write(
    path: Path,
    schema: pa.Schema,
    groups: Iterable[pa.Table],
    options: Mapping[str, object],
    metadata: Callable[[], dict[bytes, bytes]],
    *,
    constant: Collection[str],
    threads: int,
) -> None:
    """Write each table as one row group, in order, but none for a table without rows.

    Their schema is `schema`, but for texts, which may be dictionary-encoded or not in any of them. The columns
    `constant` hold one value throughout. `options` go to Arrow's writer; `metadata` is asked for once all groups are
    there. Up to `threads` + 1 groups are held in memory.
    """
    encoder = _Encoder(options, constant)
    with (
        path.open("wb") as out,
        ThreadPoolExecutor(1, "settle") as settler,
        ThreadPoolExecutor(threads, "encode") as encoders,
    ):
        whole = _Whole(out, encoder.footer(schema), settler)
        pending: deque[Future[list[_Chunk]]] = deque()
        for group in groups:
            if group.num_rows:
                pending.append(encoders.submit(encoder.chunks, group))
            if len(pending) > threads:
                whole.append(pending.popleft().result())
        for encoded in pending:
            whole.append(encoded.result())
        whole.close(metadata())


class _Encoder:
    """Encodes row groups of one file; may be used by several threads at once."""

    def __init__(self, options: Mapping[str, object], constant: Collection[str]) -> None:
        self._options = options
        self._constant = constant
        self._known: dict[tuple[str, int], _Chunk] = {}

    def footer(self, schema: pa.Schema) -> FileMetaData:
        """The footer of a file without rows."""
        return _parsed_footer(self._encoded(schema.empty_table()))

    def chunks(self, group: pa.Table) -> list[_Chunk]:
        """Encode each column of a row group, in order."""
        repeated = {name for name in group.column_names if self._is_repeated(name, group[name])}
        varied = [name for name in group.column_names if name not in repeated]
        encoded = dict(zip(varied, self._fresh(group.select(varied)), strict=True)) if varied else {}
        return [encoded.get(name) or self._alike(name, group) for name in group.column_names]

    def _is_repeated(self, name: str, column: pa.ChunkedArray) -> bool:
        return name in self._constant or column.null_count == len(column)

    def _alike(self, name: str, group: pa.Table) -> _Chunk:
        """The chunk of a column that is the same in all row groups of so many rows."""
        key = (name, group.num_rows)
        if key not in self._known:
            (self._known[key],) = self._fresh(group.select([name]))
        return self._known[key]

    def _fresh(self, group: pa.Table) -> list[_Chunk]:
        encoded = self._encoded(group)
        (entry,) = _parsed_footer(encoded).row_groups
        data = memoryview(encoded)
        return [(data[c.start : c.start + c.meta_data.total_compressed_size], c) for c in entry.columns]

    def _encoded(self, group: pa.Table) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, group.schema, store_schema=False, **self._options) as writer:
            if group.num_rows:
                writer.write_table(group, row_group_size=group.num_rows)
        return sink.getvalue()


class _Whole:
    """The file that is made of others; `empty` is its footer as long as it has no rows.

    What is written goes to the disk at once, by `settler`: whoever waits for the whole to be there waits less.
    """

    def __init__(self, out: BinaryIO, empty: FileMetaData, settler: ThreadPoolExecutor) -> None:
        self._out = out
        self._settler = settler
        self._settled = settler.submit(os.fsync, out.fileno())
        self._empty = empty
        self._end = out.write(_MAGIC)
        self._groups: list[RowGroup] = []

    def append(self, chunks: list[_Chunk]) -> None:
        """Write a row group."""
        start = self._end
        columns = []
        for data, chunk in chunks:
            columns.append(chunk.at(self._end))
            self._end += self._out.write(data)
        group = RowGroup(
            columns=columns,
            total_byte_size=sum(column.meta_data.total_uncompressed_size for column in columns),
            num_rows=columns[0].meta_data.num_values,
            file_offset=start,
            total_compressed_size=self._end - start,
        )
        self._groups.append(group)
        if self._settled.done():
            self._settled = self._settler.submit(os.fsync, self._out.fileno())

    def close(self, metadata: dict[bytes, bytes]) -> None:
        """Write the footer, with key-value metadata."""
        footer = self._empty.with_row_groups(self._groups, metadata).serialized()
        self._out.write(footer + struct.pack("<I", len(footer)) + _MAGIC)


def _parsed_footer(encoded: pa.Buffer) -> FileMetaData:
    data = memoryview(encoded)
    length = struct.unpack("<I", data[-8:-4])[0]
    return FileMetaData.parsed(bytes(data[-8 - length : -8]))
