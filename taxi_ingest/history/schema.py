"""The tables of the history, one entry a version; a file of an older version is brought up to date as it is opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from taxi_ingest.errors import HistoryError
from taxi_ingest.history.trouble import as_history_error, cannot_be_opened

_FIRST = """
CREATE TABLE runs (
    run TEXT PRIMARY KEY, started TEXT NOT NULL, ended TEXT, pid INTEGER NOT NULL, version TEXT NOT NULL,
    request TEXT NOT NULL, exit INTEGER
);
CREATE TABLE attempts (
    run TEXT NOT NULL REFERENCES runs, dataset TEXT NOT NULL, month TEXT, step TEXT NOT NULL, attempt INTEGER NOT NULL,
    started TEXT NOT NULL, ended TEXT, outcome TEXT NOT NULL, why TEXT NOT NULL, rows INTEGER, bytes INTEGER,
    error TEXT, log TEXT NOT NULL, jobs TEXT NOT NULL DEFAULT ''
);
CREATE TABLE outcomes (
    run TEXT NOT NULL REFERENCES runs, dataset TEXT NOT NULL, month TEXT, step TEXT NOT NULL, outcome TEXT NOT NULL
);
CREATE INDEX attempts_of_run ON attempts (run);
CREATE INDEX outcomes_of_run ON outcomes (run);
"""

# a far-side job is asked about until that has worked once; the runs of version 1 asked at their start
_SETTLED = """
ALTER TABLE attempts ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
UPDATE attempts SET settled = 1 WHERE outcome != 'running';
"""

# a note without a dataset is about the run as a whole
_NOTES = """
CREATE TABLE notes (run TEXT NOT NULL REFERENCES runs, dataset TEXT, month TEXT, note TEXT NOT NULL);
CREATE INDEX notes_of_run ON notes (run);
"""

# of a run that was folded, steps that were up to date are counted instead of listed
_FOLDED = """
CREATE TABLE folded (run TEXT PRIMARY KEY REFERENCES runs, parts INTEGER NOT NULL, up_to_date INTEGER NOT NULL);
CREATE INDEX failed_outcomes ON outcomes (dataset, month, step) WHERE outcome = 'failed';
"""

# what `latest` in a request stood for; NULL where nobody could tell
_LATEST = """
CREATE TABLE latest (run TEXT NOT NULL REFERENCES runs, dataset TEXT NOT NULL, month TEXT);
CREATE INDEX latest_of_dataset ON latest (dataset);
"""

MIGRATIONS = (_FIRST, _SETTLED, _NOTES, _FOLDED, _LATEST)
"""MIGRATIONS[n] leads from version n to n + 1. Entries are never changed, only added."""

SCHEMA_VERSION = len(MIGRATIONS)


_PATIENCE = 5.0
"""Seconds that a file which another program has locked is waited for."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The history at `path`, made or brought up to date.

    Raises HistoryError for one that is locked or damaged, has no room, or is of a newer taxi-ingest.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _up_to_date(path)
    except sqlite3.Error as error:
        raise as_history_error(error, path) from error


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The history at `path`, which must exist, of whatever version; changes nothing, also while a run writes.

    Raises what `open_for_writing` raises.
    """
    try:
        return _readable(path, "mode=ro")
    except sqlite3.Error as error:
        if not cannot_be_opened(error) or os.access(path.parent, os.W_OK):
            raise as_history_error(error, path) from error
    try:  # SQLite wants files beside it, which nobody can make in this folder; nobody can change the database either
        return _readable(path, "immutable=1")
    except sqlite3.Error as error:
        raise as_history_error(error, path) from error


def _up_to_date(path: Path) -> sqlite3.Connection:
    with contextlib.ExitStack() as on_failure:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE)
        on_failure.callback(db.close)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        version = _version(db, path)
        for number, statements in enumerate(MIGRATIONS[version:], version + 1):
            db.executescript(f"BEGIN; {statements} PRAGMA user_version = {number}; COMMIT;")
        on_failure.pop_all()
    return db


def _readable(path: Path, how: str) -> sqlite3.Connection:
    with contextlib.ExitStack() as on_failure:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=_PATIENCE)
        on_failure.callback(db.close)
        db.row_factory = sqlite3.Row
        _version(db, path)
        on_failure.pop_all()
    return db


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise HistoryError(
            f"{path} was written by a newer taxi-ingest (its version {version}, known here: {SCHEMA_VERSION}). "
            "Upgrade taxi-ingest, or use another --data-dir."
        )
    return version
