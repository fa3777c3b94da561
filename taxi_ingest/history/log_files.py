"""The log file of an attempt: what its thread logs, without secrets."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from taxi_ingest.printable import printable
from taxi_ingest.redaction import redacted

log = logging.getLogger("taxi_ingest")


class _Redacting(logging.Formatter):
    """Whatever a library puts into its errors, no secret of a URL reaches a log, nor what would steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines with a traceback, without secrets."""
        return printable(redacted(super().format(record)))


class _LogFile(logging.FileHandler):
    """A log that a full disk cuts short: the step tells of what it cannot write itself, and its log fails nothing."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the parent's name
        """Write nothing to stderr."""


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Send what this thread logs to `path`: steps of other parts log at the same time, each into its own file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(message)s"))
    thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()
