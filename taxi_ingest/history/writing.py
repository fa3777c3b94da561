"""The history as a run writes it: every row is committed at once, so that only the end of a killed run is missing.

What such a run left as `running`, the next run marks `interrupted`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from taxi_ingest.catalog import Part
from taxi_ingest.errors import NotPublishedError
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.history import Attempt, AttemptRecord
from taxi_ingest.history.schema import open_for_writing
from taxi_ingest.redaction import redacted

log = logging.getLogger("taxi_ingest")


@dataclass(frozen=True)
class PartResult:
    """What came of one part in a run: outcomes by step, rows and rejects where known, seconds at work, notes."""

    part: Part
    source: str
    rows: int | None
    rejects: int | None
    steps: dict[Step, Outcome]
    seconds: float
    notes: tuple[str, ...] = ()


class History:
    """The history of one data directory, and within it the run that is under way."""

    def __init__(self, database: Path, logs: Path) -> None:
        self._logs = logs
        self._lock = threading.Lock()
        self._db = open_for_writing(database)
        self.run = ""

    def begin(self, request: str, version: str) -> str:
        """Open a run and return its id; what an earlier, killed run left open is marked `interrupted`."""
        log.setLevel(logging.INFO)
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

    def unsettled_jobs(self) -> list[tuple[int, list[str]]]:
        """Far-side jobs that killed runs had recorded and nobody has asked about since, with their attempt's key."""
        query = "SELECT rowid, jobs FROM attempts WHERE outcome = 'interrupted' AND jobs != '' AND NOT settled"
        with self._lock:
            return [(rowid, jobs.split()) for rowid, jobs in self._db.execute(query)]

    def settled(self, attempt: int) -> None:
        """The far side has answered for the jobs of an attempt."""
        self._execute("UPDATE attempts SET settled = 1 WHERE rowid = ?", attempt)

    def forget(self, days: int) -> None:
        """Remove runs that began more than `days` days ago, and their logs; 0 keeps all for ever."""
        if not days:
            return
        limit = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")
        with self._lock:
            old = [run for (run,) in self._db.execute("SELECT run FROM runs WHERE started < ?", [limit])]
        for run in old:
            shutil.rmtree(self._logs / run, ignore_errors=True)
            for table in ("attempts", "outcomes", "runs"):
                self._execute(f"DELETE FROM {table} WHERE run = ?", run)  # noqa: S608 - names of ours

    def end(self, outcomes: Mapping[tuple[Part, Step], Outcome], exit_code: int) -> None:
        """Close the run with how every step ended."""
        with self._lock, self._db:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)",
                [(self.run, part.dataset, part.month, step, how) for (part, step), how in outcomes.items()],
            )
            self._db.execute("UPDATE runs SET ended = ?, exit = ? WHERE run = ?", (_now(), exit_code, self.run))

    @contextlib.contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[AttemptRecord]:
        """Record one try and collect its log lines in a file of its own.

        Rows and bytes that the caller sets on what is yielded are recorded when the attempt ends, and so is an
        exception that ends it.
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
        record = AttemptRecord(lambda job: self._record_job(rowid, job))
        outcome, error = "done", None
        with _log_file(path):
            try:
                yield record
            except BaseException as raised:
                error = redacted(str(raised)) or type(raised).__name__
                outcome = "not_published" if isinstance(raised, NotPublishedError) else "failed"
                log.exception("this try failed")
                raise
            finally:
                self._execute(
                    "UPDATE attempts SET ended = ?, outcome = ?, rows = ?, bytes = ?, error = ? WHERE rowid = ?",
                    _now(),
                    outcome,
                    record.rows,
                    record.bytes,
                    error,
                    rowid,
                )

    def _record_job(self, rowid: int, job: str) -> None:
        self._execute("UPDATE attempts SET jobs = trim(jobs || ' ' || ?) WHERE rowid = ?", job, rowid)

    def close(self) -> None:
        """Close the file; a step that an interrupt left at work finds it closed."""
        with self._lock:
            self._db.close()

    def _execute(self, sql: str, *values: str | int | None) -> int:
        with self._lock:
            return self._db.execute(sql, values).lastrowid or 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class _Redacting(logging.Formatter):
    """Whatever a library puts into its errors, no secret of a URL reaches a log."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines with a traceback, without secrets."""
        return redacted(super().format(record))


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Send what this thread logs to `path`: steps of other parts log at the same time, each into its own file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(message)s"))
    thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
