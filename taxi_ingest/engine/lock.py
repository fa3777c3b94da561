"""The one lock of a data directory: at most one run works in it, whether started by the command line or by doit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from taxi_ingest.errors import LockedError

_GLANCE_SECONDS = 0.2
"""How long a run bears with somebody who only looks whether the lock is held."""


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock. Raises LockedError when another run has it, unless told to `wait`."""
    try:
        with FileLock(path, timeout=-1 if wait else _GLANCE_SECONDS):
            yield
    except Timeout:
        raise LockedError(f"Another run holds {path}. Wait for it to end, or use --wait.") from None


def is_locked(path: Path) -> bool:
    """Whether a run is at work. A lock file alone says nothing: it outlives a killed run."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a data directory that may only be read
        return False
