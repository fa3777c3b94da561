"""The one lock of a data directory: at most one run works in it, whether started by the command line or by doit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from taxi_ingest.errors import LockedError
from taxi_ingest.layout import Layout

_PROBE_SECONDS = 0.2
"""How long a run waits for a lock that may only be held by `is_locked` in another process."""


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock. Raises LockedError when another run has it, unless `wait` is set."""
    try:
        with FileLock(path, timeout=-1 if wait else _PROBE_SECONDS):
            yield
    except Timeout:
        raise LockedError(f"Another run holds {path}. Wait for it to end, or use --wait.") from None


def locked_if_used(layout: Layout, *, wait: bool) -> contextlib.AbstractContextManager[None]:
    """As `locked`; nothing is held, and no file made, in a data directory that no run has worked in."""
    return locked(layout.lock, wait=wait) if layout.state.is_dir() else contextlib.nullcontext()


def is_locked(path: Path) -> bool:
    """Whether a run is at work. The lock file alone does not say: a killed run leaves it behind."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a data directory that may only be read
        return False
