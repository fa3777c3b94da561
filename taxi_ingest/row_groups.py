"""A Parquet file whose row groups are encoded by several threads.

Arrow encodes a file with one thread. So each row group is encoded as a file of its own, in memory; its bytes are
copied into the real file, and its entry in the footer is told where they stand now.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_ingest import footers

_MAGIC = b"PAR1"


def write(
    path: Path,
    groups: Iterable[pa.Table],
    options: Mapping[str, Any],
    metadata: Callable[[], dict[bytes, bytes]],
    *,
    threads: int,
) -> None:
    """Write each table as one row group, in order; there is at least one table, which may be empty.

    Their schemas are the same, but for texts, which may be dictionary-encoded in some of them. `options` go to
    Arrow's writer; `metadata` is asked for once all groups are there. Up to `threads` + 1 groups are held in memory.
    """

    def encode(group: pa.Table) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(sink, group.schema, store_schema=False, **options) as writer:
            if group.num_rows:
                writer.write_table(group, row_group_size=group.num_rows)
        return sink.getvalue()

    with path.open("wb") as out, ThreadPoolExecutor(threads, "encode") as encoders:
        whole = _Whole(out)
        pending: deque[Future[pa.Buffer]] = deque()
        for group in groups:
            pending.append(encoders.submit(encode, group))
            if len(pending) > threads:
                whole.append(pending.popleft().result())
        for encoded in pending:
            whole.append(encoded.result())
        whole.close(metadata())


class _Whole:
    """A Parquet file that is made of others."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._end = out.write(_MAGIC)
        self._groups: list[footers.Struct] = []
        self._first: footers.Struct = {}

    def append(self, encoded: pa.Buffer) -> None:
        """Take over the row groups of a file of the same schema."""
        data = memoryview(encoded)
        length = struct.unpack("<I", data[-8:-4])[0]
        footer = footers.parsed(bytes(data[-8 - length : -8]))
        for group in footers.row_groups(footer):
            footers.move(group, len(self._groups), self._end - len(_MAGIC))
            self._groups.append(group)
        self._first = self._first or footer
        self._end += self._out.write(data[len(_MAGIC) : -8 - length])

    def close(self, metadata: dict[bytes, bytes]) -> None:
        """Write the footer, with key-value metadata."""
        footer = footers.serialized(footers.with_row_groups(self._first, self._groups, metadata))
        self._out.write(footer + struct.pack("<I", len(footer)) + _MAGIC)
