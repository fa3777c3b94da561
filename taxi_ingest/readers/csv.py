"""CSV, plain or gzip, to Batches.

Three stages work at once: one thread reads and decompresses blocks, a few parse them (Arrow does both without
holding Python back), and the consumer writes the batches that come out in file order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from taxi_ingest.catalog import Dataset, Vintage, fold
from taxi_ingest.errors import ContentError
from taxi_ingest.readers import Batch
from taxi_ingest.readers.batches import BlockReader
from taxi_ingest.readers.blocks import Blocks, header_names, is_blank, open_bytes
from taxi_ingest.readers.parsing import Layout, usual_width

T = TypeVar("T")

_AHEAD = 5
"""How many blocks are under way: about a row group, so that the parsers work on while the consumer takes one."""

_SAMPLE = 100
"""How many lines decide how many fields most rows have."""


def read(
    path: Path, dataset: Dataset, vintage: Vintage, *, block_bytes: int = 2 << 20, threads: int = 2
) -> Iterator[Batch]:
    """Yield the rows of a CSV file in file order, each batch made of about `block_bytes` of decompressed lines.

    Columns are found by header name through `vintage.names`. The memory needed is about ten blocks and what came
    of them. Raises ContentError when the file breaks off, is empty, or names no column of the vintage.
    """
    with open_bytes(path) as stream:
        source = Blocks(stream, block_bytes)
        header, above, body = _header(path, source)
        first = next(body, bytearray())
        layout = _layout(path, header, first, dataset, vintage)
        reader = BlockReader(layout)

        def work(block: bytearray) -> tuple[Batch, int]:
            done = reader.batch(block)
            source.give_back(block)
            return done

        before = above
        for batch, physical in _in_order(chain([first], body), work, threads):
            batch.rejects = [replace(reject, line=reject.line + before) for reject in batch.rejects]
            before += physical
            yield batch


def _header(path: Path, source: Blocks) -> tuple[tuple[str, ...], int, Iterator[bytearray]]:
    """The column names, how many lines they and the blank ones above take, and the blocks that follow."""
    above = 0
    body = iter(source)
    for block in body:
        start = 0
        while start < len(block):
            end = block.index(b"\n", start) + 1
            above += 1
            if not is_blank(block[start : end - 1]):
                return (
                    header_names(block[start:end]),
                    above,
                    chain([block[end:]] if block[end:] else [], body),
                )
            start = end
    raise ContentError(f"{path.name} is empty: delete it and download it again.")


def _layout(path: Path, header: tuple[str, ...], first: bytearray, dataset: Dataset, vintage: Vintage) -> Layout:
    published = {vintage.names.get(fold(name)): position for position, name in enumerate(header)}
    positions = {c.name: published[c.name] for c in dataset.columns if c.name in published}
    if not positions:
        raise ContentError(f"{path.name} has no column of {dataset.name}: it begins with {','.join(header)[:80]!r}.")
    width = usual_width(islice(first.split(b"\n"), _SAMPLE), len(header))
    return Layout(dataset.columns, positions, len(header), width)


def _in_order(source: Iterator[bytearray], work: Callable[[bytearray], T], threads: int) -> Iterator[T]:
    """Yield `work` of each item in order, done by `threads` threads; one more takes the items from `source`."""

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
