"""The tables of the history, one entry a version; a file of an older version is brought up to date as it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from taxi_ingest.errors import TaxiError

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

MIGRATIONS = (_FIRST, _SETTLED)
"""MIGRATIONS[n] leads from version n to n + 1. Entries are never changed, only added."""

SCHEMA_VERSION = len(MIGRATIONS)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The history at `path`, made or brought up to date. Raises TaxiError for one of a newer taxi-ingest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    for number, statements in enumerate(MIGRATIONS[_version(db, path) :], _version(db, path) + 1):
        db.executescript(f"BEGIN; {statements} PRAGMA user_version = {number}; COMMIT;")
    return db


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The history at `path`, which must exist, of whatever version; changes nothing, also while a run writes."""
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
    db.row_factory = sqlite3.Row
    _version(db, path)
    return db


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        db.close()
        raise TaxiError(
            f"{path} was written by a newer taxi-ingest (its version {version}, known here: {SCHEMA_VERSION}). "
            "Upgrade taxi-ingest, or use another --data-dir."
        )
    return version
