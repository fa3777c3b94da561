"""The exit codes of the command line, what each means, and which one an error makes."""

from __future__ import annotations

from taxi_ingest.errors import LockedError, TaxiError, UsageError, machine_refused

OK = 0
FAILED = 1
USAGE = 2
BUG = 3
NOT_PUBLISHED = 4
LOCKED = 75
INTERRUPTED = 130

MEANINGS = {
    OK: "everything asked for is done or was up to date",
    FAILED: "at least one part failed or was blocked by a failure (the others finished)",
    USAGE: "the request makes no sense (usage, config)",
    BUG: "a bug in taxi-ingest: the log's path is printed",
    NOT_PUBLISHED: "nothing failed, but a month asked for is not published yet",
    LOCKED: "another run holds the lock",
    INTERRUPTED: "interrupted",
}
"""Every exit code with its meaning, as README shows them."""

FINE = (OK, NOT_PUBLISHED)
"""The exit codes that are no failure."""

_CODES: dict[type[TaxiError], int] = {UsageError: USAGE, LockedError: LOCKED}


def code_of(error: Exception | KeyboardInterrupt) -> int:
    """The exit code of a command that `error` ended."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, TaxiError):
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), FAILED)
    return FAILED if machine_refused(error) else BUG
