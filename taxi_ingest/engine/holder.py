"""The lock of a data directory together with its history, which tells what run holds it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

from taxi_ingest.engine.lock import is_locked, locked, without_tasks
from taxi_ingest.errors import HistoryError
from taxi_ingest.history.reading import PastRuns, past_runs
from taxi_ingest.layout import Layout


@contextlib.contextmanager
def locked_data_dir(layout: Layout, *, wait: bool, announce: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a run, once no task of another engine is at work there.

    Raises LockedError when another run or a task is, unless `wait` is set: then `announce` hears of it.
    """
    with contextlib.ExitStack() as held:
        for lock in (layout.lock, layout.outer_lock):
            held.enter_context(locked(lock, wait=wait, holder=lambda: _holder(layout), announce=announce))
        without_tasks(layout, wait=wait, announce=announce)
        yield


def locked_if_used(
    layout: Layout, *, wait: bool, announce: Callable[[str], None]
) -> contextlib.AbstractContextManager[None]:
    """As `locked_data_dir`; nothing is held, and no file made, where no run has worked."""
    return locked_data_dir(layout, wait=wait, announce=announce) if layout.state.is_dir() else contextlib.nullcontext()


def history_of(layout: Layout) -> contextlib.AbstractContextManager[PastRuns]:
    """The history of a data directory, to be read; its lock says whether the newest run is still at work."""
    return past_runs(layout.history, at_work=is_locked(layout.lock))


def _holder(layout: Layout) -> str:
    """The run at work, in brackets; "" for one that has only just begun, and where the history cannot be read."""
    with contextlib.suppress(HistoryError), past_runs(layout.history, at_work=True) as past:
        if at_work := past.at_work():
            began = datetime.fromisoformat(at_work.started).astimezone()
            return f" ({at_work.request}; process {at_work.pid}, since {began:%Y-%m-%d %H:%M})"
    return ""
