"""One part at a time, for tasks of another engine that share a data directory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from filelock import FileLock

from taxi_ingest.catalog import Part
from taxi_ingest.layout import Layout


@contextlib.contextmanager
def part_locked(layout: Layout, part: Part) -> Iterator[None]:
    """Hold the lock of one part; waits for the task that has it."""
    path = layout.part_lock(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield
