"""What is wrong with a history file, as SQLite tells it: one sentence with the remedy."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from taxi_ingest.errors import HistoryError
from taxi_ingest.files import unused

_PRIMARY = 0xFF  # SQLite's extended codes hold the primary one in their last byte
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_MACHINE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


class DamagedHistoryError(HistoryError):
    """The file is no SQLite database, is damaged, or lacks our tables."""


def as_history_error(error: sqlite3.Error, path: Path) -> HistoryError:
    """What to raise for an `error` that SQLite raised about the history at `path`."""
    code = primary_code(error)
    if code in _BUSY:
        return HistoryError(f"{path} is locked by another program. Close that program, and try again.")
    if code in _MACHINE:
        return HistoryError(f"{path} cannot be used: {error}. Check disk space and permissions of its folder.")
    return DamagedHistoryError(
        f"{path} is damaged ({error}). The next run puts it aside and begins a new one; no month is lost by that."
    )


def cannot_be_opened(error: sqlite3.Error) -> bool:
    """Whether SQLite could not make the files that it wants beside the database."""
    return primary_code(error) in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's code; for what Python itself could not read of a row, that of a damaged file."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & _PRIMARY


def set_aside(path: Path) -> Path:
    """Rename a damaged history, with what belongs to it, so that a new one can begin; returns the new name."""
    aside = unused(path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}"))
    path.rename(aside)
    Path(f"{path}-shm").unlink(missing_ok=True)
    log = Path(f"{path}-wal")
    if log.exists():
        log.rename(f"{aside}-wal")
    return aside
