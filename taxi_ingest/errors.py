"""What can go wrong, as one tree.

::

    TaxiError               trouble the user can mend; its message says what was asked, what is possible, what to do
    ├── UsageError          the request makes no sense (exit 2)
    ├── LockedError         another run holds the lock (exit 75)
    ├── NotPublishedError   the publisher does not have this month yet
    ├── TransientError      it may work if tried again (reset, time-out, 429, 5xx, throttling)
    ├── SpaceError          the disk has too little room for what was asked
    ├── SourceError         the publisher has no such file, or answered with something else
    ├── ContentError        a file is not what it claims to be
    ├── SchemaError         columns or types that fit no known vintage
    ├── RejectsError        too many rows could not be read, or rows went missing
    ├── HistoryError        the history of runs cannot be read or written
    ├── StoreError          an object could not be put or believed
    └── WarehouseError      a month could not be replaced or counted
        └── InUseError      another program has the warehouse open and was waited for as long as we wait

Anything else that is raised is a bug in taxi-ingest (exit 3).
"""

from __future__ import annotations

import errno


class TaxiError(Exception):
    """Trouble the user can mend. The message is shown as it stands."""


class UsageError(TaxiError):
    """The request makes no sense: a flag, a setting, a pair of places that cannot work together."""


class LockedError(TaxiError):
    """Another run holds the lock of this data directory."""


class NotPublishedError(TaxiError):
    """The publisher does not have this month yet, and is not late."""


class TransientError(TaxiError):
    """A fault that may be gone at the next try.

    `retry_after` is the number of seconds the far side asked us to wait, or None; `is_silence` tells that it did not
    answer in all the time that it had.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, is_silence: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_silence = is_silence


class SpaceError(TaxiError):
    """The disk has too little room for what was asked."""


class SourceError(TaxiError):
    """The publisher has no such file, or something in between answered in its place."""


class ContentError(TaxiError):
    """A file is not what it claims to be: an error page, a pointer, a cut or mislabelled file."""


class SchemaError(TaxiError):
    """Columns or physical types that fit no vintage of the dataset."""


class RejectsError(TaxiError):
    """More rows than allowed could not be read, or lines in and rows out do not add up."""


class HistoryError(TaxiError):
    """The history of runs cannot be read or written."""


class StoreError(TaxiError):
    """An object could not be put whole, or the far side does not repeat its checksum."""


class WarehouseError(TaxiError):
    """A month could not be replaced whole, or the rows counted afterwards are wrong."""


class InUseError(WarehouseError):
    """Another program has the warehouse open; it was waited for, so another try at once does not help."""


_NO_ROOM = ("disk quota exceeded", "no space left on device")
"""How the system says that a disk, or what one user may have of it, is full, folded."""

MAKE_ROOM = "Make room (`taxi-ingest clean --help`, and `keep` in config.toml), or raise the quota; then run again."

_NO_MEMORY = (
    "can't start new thread",
    "cannot allocate memory",
    "error return without exception set",  # a module in C that got no memory
    "failed to allocate",
    "failed to launch worker thread",
    "failed to map segment",
    "out of memory",
    "std::bad_alloc",
    "unknown encoding: idna",  # Python's own, which could not be imported
)
"""How Python, the loader of libraries, Arrow and DuckDB say that there is no memory, folded."""


def has_no_room(error: Exception) -> bool:
    """Whether a disk is full, or a quota of it used up; libraries pass on the system's words, not always its number."""
    numbers = {errno.ENOSPC, errno.EDQUOT}
    return getattr(error, "errno", None) in numbers or any(words in str(error).casefold() for words in _NO_ROOM)


def machine_refused(error: Exception) -> str:
    """The sentence for what this machine's memory, disk or permissions do not allow; "" for any other error."""
    said = str(error)
    if isinstance(error, MemoryError) or any(words in said.casefold() for words in _NO_MEMORY):
        detail = f" ({said})" if said else ""
        return (
            f"this machine refused: not enough memory{detail}. Lower `jobs` or `row_group_rows`, close other "
            "programs, or raise the limit (ulimit -v)."
        )
    if isinstance(error, OSError) and has_no_room(error):
        return f"this machine refused: {said}. {MAKE_ROOM}"
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return f"this machine refused: {said}. Raise the limit (ulimit -n), or lower `jobs`."
    if isinstance(error, OSError) and error.errno == errno.ENOLCK:
        return f"this machine refused: {said}. This filesystem has no locks: name a --data-dir on another disk."
    if isinstance(error, OSError):
        return f"this machine refused: {said}. Check disk space and permissions."
    return ""
