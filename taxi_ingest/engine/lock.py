"""Who may work in a data directory: one run, by the command line or doit, or tasks of another engine, one a part.

A run holds the lock of the directory, a task the lock of its part. Each takes its own first and then looks for the
other's, so when two begin at once, at least one of them sees the other.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from taxi_ingest.catalog import Part
from taxi_ingest.errors import LockedError
from taxi_ingest.layout import Layout

if sys.platform != "win32":
    import fcntl

_PROBE_SECONDS = 0.2
"""How long a run waits for a lock that may only be held by `is_locked` in another process."""

_POLL_SECONDS = 0.5


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


@contextlib.contextmanager
def locked_part(layout: Layout, part: Part, *, announce: Callable[[str], None] = _ignore) -> Iterator[None]:
    """Hold the lock of a task that works on `part`, once no other task and no run does; `announce` hears of waiting."""
    path = layout.part_lock(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        with locked(path, wait=True, announce=announce):
            if not is_locked(layout.outer_lock):
                yield
                return
        if not told:
            announce(f"waiting for a run, which holds {layout.outer_lock}")
            told = True
        time.sleep(_POLL_SECONDS)


def without_tasks(layout: Layout, *, wait: bool, announce: Callable[[str], None]) -> None:
    """Return once no task is at work; for a run that already holds its lock, so that no new task can begin.

    Raises LockedError when one is, unless `wait` is set; then `announce` hears of that.
    """
    at_work = [path.stem for path in layout.part_locks() if is_locked(path)]
    if not at_work:
        return
    what = f"another engine is at work in {layout.data_dir} on {', '.join(at_work)}"
    if not wait:
        raise LockedError(f"A{what[1:]}. Wait for it to end, or use --wait.")
    announce(f"waiting, as {what}")
    while any(is_locked(path) for path in layout.part_locks()):
        time.sleep(_POLL_SECONDS)


def is_locked(path: Path) -> bool:
    """Whether a run is at work. The lock file alone does not say: a killed run leaves it behind."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # a lock that may only be read, as another user's
        return _is_held_by_another(path)


def _is_held_by_another(path: Path) -> bool:
    """Whether a lock file that may only be read is held; False where that cannot be told."""
    if sys.platform == "win32":
        return False
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False
