"""A run that could not begin, because the newest month could not be found, say: it stands in the history as failed."""

from __future__ import annotations

import contextlib

from taxi_ingest import __version__, exits
from taxi_ingest.engine.lock import locked
from taxi_ingest.errors import HistoryError, LockedError, TaxiError
from taxi_ingest.history import Note
from taxi_ingest.history.writing import History
from taxi_ingest.layout import Layout
from taxi_ingest.redaction import redacted


def record_refused(layout: Layout, request: str, error: TaxiError) -> None:
    """Write down what was asked for and why it could not begin, in a data directory that has a history.

    Nothing is written while another run is at work, nor where that cannot be done: the error is told anyway.
    """
    if not layout.history.exists():
        return
    with (
        contextlib.suppress(LockedError, HistoryError, OSError),
        locked(layout.lock, wait=False),
        contextlib.closing(History(layout.history, layout.logs)) as history,
    ):
        history.begin(request, __version__)
        history.end({}, exits.FAILED, [Note(None, redacted(str(error)))])
