"""Read a CSV file, plain or gzip, as Batches.

Three stages run concurrently: one thread reads and decompresses blocks, a few threads parse them (both release the
GIL), and the consumer takes the batches in file order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from taxi_ingest.catalog import Dataset, Vintage, fold
from taxi_ingest.errors import ContentError
from taxi_ingest.readers import GET_IT_AGAIN, Batch, Reject
from taxi_ingest.readers.batches import BlockReader
from taxi_ingest.readers.blocks import Blocks, decompressed, header_names, is_blank
from taxi_ingest.readers.inspecting import look
from taxi_ingest.readers.parsing import RowShape, row_shape

T = TypeVar("T")

_AHEAD = 5
"""Blocks in flight: about a row group's worth, so that the parsers keep working while the consumer writes one."""

_SAMPLE = 100
"""Lines sampled to find the usual number of fields."""


def read(
    path: Path, dataset: Dataset, vintage: Vintage, *, block_bytes: int = 2 << 20, threads: int = 2
) -> Generator[Batch, None, None]:
    """Yield the rows of a CSV file in file order, each batch from about `block_bytes` bytes of decompressed lines.

    Columns are matched by header name through `vintage.names`. Memory use is about ten blocks and their batches.
    Raises ContentError when the file is truncated or empty, or has no column of the vintage.
    """
    with path.open("rb") as file, decompressed(file, path.name) as stream:
        source = Blocks(stream, block_bytes)
        header, header_lines, body = _header(path, source)
        first = next(body, bytearray())
        shape = _shape(path, header, first, dataset, vintage)
        reader = BlockReader(shape)

        def work(block: bytearray) -> tuple[Batch, int]:
            done = reader.batch(block)
            source.recycle(block)
            return done

        lines_before, size = header_lines, path.stat().st_size
        last: Reject | None = None
        for batch, physical in _in_order(chain([first], body), work, threads):
            batch.rejects = [replace(reject, line=reject.line + lines_before) for reject in batch.rejects]
            batch.progress = file.tell() / size
            lines_before += physical
            last = batch.rejects[-1] if batch.rejects else None
            yield batch
        if source.unterminated and last is not None and last.breaks_off and last.line == lines_before:
            raise ContentError(
                f"{path.name} breaks off within line {last.line:,} ({last.reason}), so it is cut: {GET_IT_AGAIN}."
            )
        if source.unterminated:
            yield Batch(reader.no_rows, 0, unterminated=True)


def published_columns(path: Path) -> tuple[str, ...]:
    """The column names in the header, "" where a field has none. Raises ContentError for what is not CSV."""
    found = look(path)
    if found.format != "csv":
        raise ContentError(f"{path.name} is no CSV file: {GET_IT_AGAIN}.")
    return found.columns


def _header(path: Path, source: Blocks) -> tuple[tuple[str, ...], int, Iterator[bytearray]]:
    """The column names, the number of lines up to and including the header, and the blocks after it."""
    header_lines = 0
    body = iter(source)
    for block in body:
        start = 0
        while start < len(block):
            end = block.index(b"\n", start) + 1
            header_lines += 1
            if not is_blank(block[start : end - 1]):
                return (
                    header_names(block[start:end]),
                    header_lines,
                    chain([block[end:]] if block[end:] else [], body),
                )
            start = end
    raise ContentError(f"{path.name} is empty: {GET_IT_AGAIN}.")


def _shape(path: Path, header: tuple[str, ...], first: bytearray, dataset: Dataset, vintage: Vintage) -> RowShape:
    names = dataset.names_in(vintage)
    published = {names.get(fold(name)): position for position, name in enumerate(header)}
    positions = {c.name: published[c.name] for c in dataset.columns if c.name in published}
    if not positions:
        raise ContentError(
            f"{path.name} has no column of {dataset.name}: its header begins with {','.join(header)[:80]!r}. "
            "Check that this is the right file for the dataset."
        )
    return row_shape(header, positions, dataset.columns, first.split(b"\n", _SAMPLE)[:_SAMPLE])


def _in_order(source: Iterator[bytearray], work: Callable[[bytearray], T], threads: int) -> Iterator[T]:
    """Yield `work(item)` in order, computed by `threads` threads; one more thread reads the items from `source`."""

    def work_on(item: Future[bytearray | None]) -> T | None:
        block = item.result()
        return None if block is None else work(block)

    with ThreadPoolExecutor(1, "read") as feeder, ThreadPoolExecutor(threads, "parse") as workers:
        pending: deque[Future[T | None]] = deque()
        try:
            while True:
                while len(pending) < _AHEAD:
                    pending.append(workers.submit(work_on, feeder.submit(next, source, None)))
                result = pending.popleft().result()
                if result is None:
                    return
                yield result
        finally:
            feeder.shutdown(wait=False, cancel_futures=True)
            workers.shutdown(wait=False, cancel_futures=True)
