"""A bug in taxi-ingest: its traceback is kept, and a person is told where."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path


def kept(traceback: str, logs: Path) -> str:
    """Write a traceback to a log file in the folder `logs`; returns the sentence on the bug, which says where it is."""
    from taxi_ingest.files import PRIVATE, unused
    from taxi_ingest.printable import printable
    from taxi_ingest.redaction import redacted

    text = printable(redacted(traceback))
    path = unused(logs / f"bug-{datetime.now(UTC):%Y%m%dT%H%M%S}", ".log")
    try:
        path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"This is a bug in taxi-ingest; its log could not be written to {path}, so here it is:\n{text}"
    return f"This is a bug in taxi-ingest; its log is {path.resolve()}"
