"""Write a Parquet file whose row groups are encoded by several threads.

Arrow encodes a file in one thread. Here each row group is encoded in memory as a file of its own; its column chunks
are then copied into the output file, and the offsets in their footer entries adjusted. A column chunk that is identical
in many row groups is encoded once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from taxi_ingest.readers.parquet_footer import MAGIC, TAIL, ColumnChunk, FileMetaData, RowGroup
from taxi_ingest.writers import checksum

_Chunk = tuple[memoryview, ColumnChunk]
"""The bytes of a column chunk, and its entry in the footer of the file it was encoded in."""


def write(
    path: Path,
    schema: pa.Schema,
    groups: Iterable[pa.Table],
    options: Mapping[str, object],
    metadata: Callable[[], dict[bytes, bytes]],
    *,
    constant: Collection[str],
    threads: int,
) -> str:
    """Write each table as one row group, in order, and return the file's crc32c; tables without rows are skipped.

    Every table has the schema `schema`, except that any text column may be dictionary-encoded. The columns `constant`
    have the same value in all rows of the file. `options` go to Arrow's ParquetWriter. `metadata` is called after the
    last group and returns the footer's key-value metadata. Up to `threads` + 1 groups are held in memory.
    """
    encoder = _Encoder(options, constant)
    with (
        path.open("wb") as out,
        ThreadPoolExecutor(1, "sync") as syncer,
        ThreadPoolExecutor(threads, "encode") as encoders,
    ):
        output = _OutputFile(out, encoder.footer(schema), syncer)
        pending: deque[Future[list[_Chunk]]] = deque()
        for group in groups:
            if group.num_rows:
                pending.append(encoders.submit(encoder.chunks, group))
            if len(pending) > threads:
                output.append(pending.popleft().result())
        for encoded in pending:
            output.append(encoded.result())
        output.close(metadata())
    return output.crc32c


class _Encoder:
    """Encodes row groups of one file. Thread-safe."""

    def __init__(self, options: Mapping[str, object], constant: Collection[str]) -> None:
        self._options = options
        self._constant = constant
        self._repeated: dict[tuple[str, int], _Chunk] = {}

    def footer(self, schema: pa.Schema) -> FileMetaData:
        """The footer of a file with this schema and no rows."""
        return _parse_footer(self._encode_file(schema.empty_table()))

    def chunks(self, group: pa.Table) -> list[_Chunk]:
        """Encode each column of a row group, in column order."""
        repeated = {name for name in group.column_names if self._is_repeated(name, group[name])}
        varied = [name for name in group.column_names if name not in repeated]
        encoded = dict(zip(varied, self._encode_chunks(group.select(varied)), strict=True)) if varied else {}
        return [encoded.get(name) or self._repeated_chunk(name, group) for name in group.column_names]

    def _is_repeated(self, name: str, column: pa.ChunkedArray) -> bool:
        return name in self._constant or column.null_count == len(column)

    def _repeated_chunk(self, name: str, group: pa.Table) -> _Chunk:
        """The chunk of a repeated column, encoded once per number of rows."""
        key = (name, group.num_rows)
        if key not in self._repeated:
            (self._repeated[key],) = self._encode_chunks(group.select([name]))
        return self._repeated[key]

    def _encode_chunks(self, group: pa.Table) -> list[_Chunk]:
        encoded = self._encode_file(group)
        (entry,) = _parse_footer(encoded).row_groups
        data = memoryview(encoded)
        return [(data[c.start : c.start + c.meta_data.total_compressed_size], c) for c in entry.columns]

    def _encode_file(self, group: pa.Table) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, group.schema, store_schema=False, **self._options) as writer:
            if group.num_rows:
                writer.write_table(group, row_group_size=group.num_rows)
        return sink.getvalue()


class _OutputFile:
    """The output file, assembled from encoded column chunks; `empty` is its footer without row groups.

    `syncer` runs fsync in the background while groups are written, so that the final sync of the file is short.
    `crc32c` is the checksum of what was written so far.
    """

    def __init__(self, out: BinaryIO, empty: FileMetaData, syncer: ThreadPoolExecutor) -> None:
        self._out = out
        self._syncer = syncer
        self._last_sync = syncer.submit(os.fsync, out.fileno())
        self._empty = empty
        self._checksum = google_crc32c.Checksum()
        self._end = 0
        self._groups: list[RowGroup] = []
        self._write(MAGIC)

    def append(self, chunks: list[_Chunk]) -> None:
        """Append a row group, given its column chunks in order."""
        start = self._end
        columns = []
        for data, chunk in chunks:
            columns.append(chunk.moved_to(self._end))
            self._write(data)
        group = RowGroup(
            columns=columns,
            total_byte_size=sum(column.meta_data.total_uncompressed_size for column in columns),
            num_rows=columns[0].meta_data.num_values,
            file_offset=start,
            total_compressed_size=self._end - start,
        )
        self._groups.append(group)
        if self._last_sync.done():
            self._last_sync = self._syncer.submit(os.fsync, self._out.fileno())

    def close(self, metadata: dict[bytes, bytes]) -> None:
        """Write the footer, with this key-value metadata, in which a place for the file's checksum is filled in."""
        footer = self._empty.with_row_groups(self._groups, metadata).serialize()
        self._write(checksum.filled_in(self._checksum, footer + TAIL.pack(len(footer), MAGIC)))

    @property
    def crc32c(self) -> str:
        """As 8 hex digits."""
        return bytes(self._checksum.digest()).hex()

    def _write(self, data: bytes | memoryview) -> None:
        self._end += self._out.write(data)
        self._checksum.update(bytes(data))


def _parse_footer(encoded: pa.Buffer) -> FileMetaData:
    data = memoryview(encoded)
    length, _ = TAIL.unpack(data[-TAIL.size :])
    return FileMetaData.parse(bytes(data[-TAIL.size - length : -TAIL.size]))
