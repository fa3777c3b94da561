"""The one lock of a data directory: at most one run works in it, whether started by the command line or by doit."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from taxi_ingest.errors import HistoryError, LockedError
from taxi_ingest.history.reading import past_runs
from taxi_ingest.layout import Layout

_PROBE_SECONDS = 0.2
"""How long a run waits for a lock that may only be held by `is_locked` in another process."""


def _ignore(_: str) -> None:
    pass


@contextlib.contextmanager
def locked(layout: Layout, *, wait: bool, announce: Callable[[str], None] = _ignore) -> Iterator[None]:
    """Hold the lock. Raises LockedError when another run has it, unless `wait` is set; `announce` hears of the wait."""
    lock = FileLock(layout.lock)
    try:
        lock.acquire(timeout=_PROBE_SECONDS)
    except Timeout:
        holder = _holder(layout)
        if not wait:
            raise LockedError(f"Another run{holder} holds {layout.lock}. Wait for it to end, or use --wait.") from None
        announce(f"waiting for another run{holder}, which holds {layout.lock}")
        lock.acquire(timeout=-1)
    try:
        yield
    finally:
        lock.release()


def _holder(layout: Layout) -> str:
    """Who holds the lock, in brackets, as the history tells; "" for a run that has only just begun."""
    with contextlib.suppress(HistoryError), past_runs(layout.history, at_work=True) as past:
        if at_work := past.at_work():
            began = datetime.fromisoformat(at_work.started).astimezone()
            return f" ({at_work.request}; process {at_work.pid}, since {began:%Y-%m-%d %H:%M})"
    return ""


def locked_if_used(
    layout: Layout, *, wait: bool, announce: Callable[[str], None] = _ignore
) -> contextlib.AbstractContextManager[None]:
    """As `locked`; nothing is held, and no file made, in a data directory that no run has worked in."""
    return locked(layout, wait=wait, announce=announce) if layout.state.is_dir() else contextlib.nullcontext()


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
