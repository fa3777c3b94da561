"""What happened: runs, attempts and outcomes, in one SQLite file, written as it happens.

A run is one invocation; an attempt is one try of one step of one part, with its log file; an outcome is how a step
of a part ended in a run. Rows are committed at once, so a killed run leaves its attempts as `running`; the next run
marks them `interrupted`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from taxi_ingest.catalog import Part
from taxi_ingest.errors import NotPublishedError
from taxi_ingest.pipeline import Outcome

SCHEMA_VERSION = 1

_TABLES = """
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

log = logging.getLogger("taxi_ingest")


@dataclass(frozen=True)
class Attempt:
    """One try of one step of one part, as it begins; `number` counts from 1 within the run."""

    part: Part
    step: str
    number: int
    why: str

    def __str__(self) -> str:
        return f"{self.part}-{self.step}-{self.number}"


@dataclass(frozen=True)
class PartResult:
    """What came of one part in a run: outcomes by step, rows and rejects where known, seconds at work, notes."""

    part: Part
    source: str
    rows: int | None
    rejects: int | None
    steps: dict[str, Outcome]
    seconds: float
    notes: tuple[str, ...] = ()


class History:
    """The history of one data directory, and within it the run that is under way."""

    def __init__(self, database: Path, logs: Path) -> None:
        database.parent.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._lock = threading.Lock()
        self._db = sqlite3.connect(database, isolation_level=None, check_same_thread=False, timeout=30)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
            self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        self.run = ""
        self.unfinished_jobs: list[str] = []

    def begin(self, request: str, version: str) -> str:
        """Open a run and return its id; what an earlier, killed run left open is marked `interrupted`.

        `unfinished_jobs` then holds the far-side jobs that such a run had recorded.
        """
        open_jobs = "SELECT jobs FROM attempts WHERE outcome = 'running' AND jobs != ''"
        with self._lock:
            self.unfinished_jobs = [job for (jobs,) in self._db.execute(open_jobs) for job in jobs.split()]
        self._execute("UPDATE attempts SET outcome = 'interrupted' WHERE outcome = 'running'")
        self.run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        self._execute(
            "INSERT INTO runs (run, started, pid, version, request) VALUES (?, ?, ?, ?, ?)",
            self.run,
            _now(),
            os.getpid(),
            version,
            request,
        )
        return self.run

    def end(self, outcomes: dict[tuple[Part, str], Outcome], exit_code: int) -> None:
        """Close the run with how every step ended."""
        with self._lock, self._db:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)",
                [(self.run, part.dataset, part.month, step, how) for (part, step), how in outcomes.items()],
            )
            self._db.execute("UPDATE runs SET ended = ?, exit = ? WHERE run = ?", (_now(), exit_code, self.run))

    @contextlib.contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[dict[str, Any]]:
        """Record one try and collect its log lines in a file of its own.

        Yields a dict; what the caller leaves in it under `rows`, `bytes` and `outcome` is recorded. An exception is
        recorded as it passes. Its `record` writes down the id of a far-side job at once.
        """
        path = self._logs / self.run / f"{attempt}.log"
        rowid = self._execute(
            "INSERT INTO attempts (run, dataset, month, step, attempt, started, outcome, why, log)"
            " VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?)",
            self.run,
            attempt.part.dataset,
            attempt.part.month,
            attempt.step,
            attempt.number,
            _now(),
            attempt.why,
            str(path.relative_to(self._logs.parent)),
        )
        result: dict[str, Any] = {"outcome": "done", "record": lambda job: self._record(rowid, job)}
        error = None
        with _log_file(path):
            try:
                yield result
            except BaseException as raised:
                error = str(raised) or type(raised).__name__
                result["outcome"] = "not_published" if isinstance(raised, NotPublishedError) else "failed"
                log.exception("this try failed")
                raise
            finally:
                self._execute(
                    "UPDATE attempts SET ended = ?, outcome = ?, rows = ?, bytes = ?, error = ? WHERE rowid = ?",
                    _now(),
                    result["outcome"],
                    result.get("rows"),
                    result.get("bytes"),
                    error,
                    rowid,
                )

    def _record(self, rowid: int, job: str) -> None:
        self._execute("UPDATE attempts SET jobs = trim(jobs || ' ' || ?) WHERE rowid = ?", job, rowid)

    def close(self) -> None:
        """Close the file; a step that an interrupt left at work finds it closed."""
        with self._lock:
            self._db.close()

    def _execute(self, sql: str, *values: Any) -> int:
        with self._lock:
            return self._db.execute(sql, values).lastrowid or 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Send what this thread logs to `path`: steps of other parts log at the same time, each into its own file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
