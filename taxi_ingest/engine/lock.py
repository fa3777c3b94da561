"""The one lock of a data directory: at most one run works in it, whether started by the command line or by doit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from taxi_ingest.errors import LockedError

_PROBE_SECONDS = 0.2
"""How long a run waits for a lock that may only be held by `is_locked` in another process."""


def _ignore(_: str) -> None:
    pass


@contextlib.contextmanager
def locked(
    path: Path, *, wait: bool, holder: Callable[[], str] = str, announce: Callable[[str], None] = _ignore
) -> Iterator[None]:
    """Hold the lock. Raises LockedError when another run has it, unless `wait` is set; then `announce` hears of that.

    `holder` tells which run that is, in brackets, or "".
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=_PROBE_SECONDS)
    except Timeout:
        if not wait:
            raise LockedError(f"Another run{holder()} holds {path}. Wait for it to end, or use --wait.") from None
        announce(f"waiting for another run{holder()}, which holds {path}")
        lock.acquire(timeout=-1)
    try:
        yield
    finally:
        lock.release()


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
