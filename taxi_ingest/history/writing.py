"""The history as a run writes it: every row is committed at once, so that only the end of a killed run is missing.

What such a run left as `running`, the next run marks `interrupted`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from taxi_ingest.catalog import Part
from taxi_ingest.errors import HistoryError, NotPublishedError, TaxiError, machine_refused
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.history import Attempt, AttemptRecord, Note, Streak
from taxi_ingest.history.folding import fold
from taxi_ingest.history.log_files import log, log_file
from taxi_ingest.history.schema import open_for_writing
from taxi_ingest.history.trouble import DamagedHistoryError, as_history_error, set_aside
from taxi_ingest.redaction import redacted

_Result = TypeVar("_Result")

_TIME = r"[0-9]{8}T[0-9]{6}"
_OURS = re.compile(rf"{_TIME}-[0-9a-f]{{4}}|bug-{_TIME}(-[0-9]+)?\.log|.+\.damaged-{_TIME}(-[0-9]+)?(-wal)?")
"""The names of runs, of logs of bugs and of damaged histories; they tell when those were made."""


class History:
    """The history of one data directory, and within it the run that is under way."""

    def __init__(self, database: Path, logs: Path, tell: Callable[[str], None] = lambda sentence: None) -> None:
        """Open the history; `tell` hears of a damaged one, which is put aside. Raises HistoryError."""
        self._database = database
        self._logs = logs
        self._tell = tell
        self._lock = threading.Lock()
        self._db = self._opened()
        self._begun: tuple[str | int, ...] = ()
        self._closed = False
        self.run = ""

    def begin(self, request: str, version: str) -> str:
        """Open a run and return its id; what an earlier, killed run left open is marked `interrupted`."""
        log.setLevel(logging.INFO)
        self._execute("UPDATE attempts SET outcome = 'interrupted' WHERE outcome = 'running'")
        self.run = self._use(_new_id)
        self._begun = (self.run, _now(), os.getpid(), version, _storable(request))
        self._use(self._insert_run)
        return self.run

    def unsettled_jobs(self) -> list[tuple[int, list[str]]]:
        """Far-side jobs that killed runs had recorded and nobody has asked about since, with their attempt's key."""
        query = "SELECT rowid, jobs FROM attempts WHERE outcome = 'interrupted' AND jobs != '' AND NOT settled"
        return self._use(lambda db: [(rowid, jobs.split()) for rowid, jobs in db.execute(query)])

    def settled(self, attempt: int) -> None:
        """Note that the far side has answered for the jobs of an attempt."""
        self._execute("UPDATE attempts SET settled = 1 WHERE rowid = ?", attempt)

    def forget(self, days: int) -> None:
        """Remove runs that began more than `days` days ago, and their logs; 0 keeps all for ever.

        With them go logs as old that no run owns: of bugs, and of a history that was lost or is put aside.

        This machine's clock may be years ahead for once. So days are counted back from the second latest start of all
        runs, this one included: a run with a wrong clock forgets nothing that the run before it would have kept, and
        what has become too old goes with the second run after that.
        """
        if not days:
            return
        latest = "SELECT started FROM runs WHERE datetime(started) IS NOT NULL ORDER BY started DESC LIMIT 2"
        starts = self._use(lambda db: db.execute(latest).fetchall())
        if len(starts) < 2:
            return
        limit = (datetime.fromisoformat(starts[1][0]) - timedelta(days=days)).isoformat(timespec="milliseconds")
        query = "SELECT run FROM runs WHERE started < ? AND run != ?"
        for (run,) in self._use(lambda db: db.execute(query, [limit, self.run]).fetchall()):
            shutil.rmtree(self._logs / run, ignore_errors=True)
            for table in ("attempts", "outcomes", "notes", "folded", "latest", "runs"):
                self._execute(f"DELETE FROM {table} WHERE run = ?", run)  # noqa: S608 - names of ours
        self._forget_strays(f"{datetime.fromisoformat(limit):%Y%m%dT%H%M%S}")

    def fold(self) -> None:
        """Count in older runs what was up to date, instead of listing it."""
        self._use(fold)

    def _forget_strays(self, limit: str) -> None:
        """Remove what is named as ours, of a time before `limit`, and belongs to no run that is known."""
        known = {run for (run,) in self._use(lambda db: db.execute("SELECT run FROM runs").fetchall())}
        for path in (*self._logs.glob("*"), *self._database.parent.glob(f"{self._database.name}.damaged-*")):
            time = re.search(_TIME, path.name) if _OURS.fullmatch(path.name) else None
            if path.name not in known and time and time[0] < limit:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def failures(self, part: Part, step: Step) -> Streak:
        """The runs before this one, back to the last that did not end with this step failed."""
        query = (
            "SELECT outcome, started FROM outcomes JOIN runs USING (run)"
            " WHERE dataset = ? AND month IS ? AND step = ? ORDER BY outcomes.rowid DESC"
        )

        return self._streak("failed", query, part.dataset, part.month, step)

    def unanswered(self, dataset: str) -> Streak:
        """The runs before this one, back to the last that found out the newest month of a dataset."""
        query = "SELECT month, started FROM latest JOIN runs USING (run) WHERE dataset = ? ORDER BY latest.rowid DESC"
        return self._streak(None, query, dataset)

    def _streak(self, end: str | None, query: str, *values: str | None) -> Streak:
        """The first rows (end, start of the run) that have the same `end`."""

        def starts(db: sqlite3.Connection) -> list[str]:
            rows = db.execute(query, values)  # read no further than the first other end
            return [started for _, started in itertools.takewhile(lambda row: row[0] == end, rows)]

        found = self._use(starts)
        return Streak(len(found), found[-1][:10] if found else "")

    def told_before(self) -> frozenset[tuple[Part, str]]:
        """What the run before this one told of parts."""
        query = (
            "SELECT dataset, month, note FROM notes WHERE dataset IS NOT NULL AND run ="
            " (SELECT run FROM runs WHERE run != ? ORDER BY rowid DESC LIMIT 1)"
        )
        rows = self._use(lambda db: db.execute(query, [self.run]).fetchall())
        return frozenset((Part(dataset, month), note) for dataset, month, note in rows)

    def end(
        self,
        outcomes: Mapping[tuple[Part, Step], Outcome],
        exit_code: int,
        notes: Sequence[Note] = (),
        latest: Mapping[str, str | None] = MappingProxyType({}),
    ) -> None:
        """Close the run with how every step ended, and what a person should know.

        `latest` is the newest month of each dataset for which it was asked, None where nobody could tell.
        """
        said = [
            (self.run, note.part and note.part.dataset, note.part and note.part.month, _storable(note.sentence))
            for note in notes
        ]
        rows = [(self.run, part.dataset, part.month, step, how) for (part, step), how in outcomes.items()]
        found = [(self.run, dataset, month) for dataset, month in latest.items()]

        def close(db: sqlite3.Connection) -> None:
            with db:
                db.execute("BEGIN")
                db.executemany("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?)", rows)
                db.executemany("INSERT INTO notes VALUES (?, ?, ?, ?)", said)
                db.executemany("INSERT INTO latest VALUES (?, ?, ?)", found)
                db.execute("UPDATE runs SET ended = ?, exit = ? WHERE run = ?", (_now(), exit_code, self.run))

        self._use(close)

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
            path.relative_to(self._logs.parent).as_posix(),
        )
        record = AttemptRecord(lambda job: self._record_job(rowid, job))
        outcome, error = "done", None
        with log_file(path):
            try:
                yield record
            except BaseException as raised:
                error = _storable(redacted(str(raised))) or type(raised).__name__
                outcome = "not_published" if isinstance(raised, NotPublishedError) else "failed"
                level = logging.CRITICAL if _is_bug(raised) else logging.ERROR
                log.log(level, "this try failed: %s", error, exc_info=True)
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
            self._closed = True
            self._db.close()

    def _execute(self, sql: str, *values: str | int | None) -> int:
        return self._use(lambda db: db.execute(sql, values).lastrowid or 0)

    def _use(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do `work` with the file, once more with a new one when it turns out to be damaged. Raises HistoryError."""
        with self._lock:
            try:
                return self._with_trouble_told(work)
            except DamagedHistoryError as error:
                self._db.close()
                self._put_aside(error)
                self._db = self._opened()
                if self._begun:
                    self._insert_run(self._db)
                return self._with_trouble_told(work)

    def _with_trouble_told(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            return work(self._db)
        except sqlite3.Error as error:
            if self._closed:
                raise HistoryError("the run has ended; this step was stopped") from error
            raise as_history_error(error, self._database) from error

    def _opened(self) -> sqlite3.Connection:
        try:
            return open_for_writing(self._database)
        except DamagedHistoryError as error:
            self._put_aside(error)
            return open_for_writing(self._database)

    def _put_aside(self, error: DamagedHistoryError) -> None:
        aside = set_aside(self._database)
        self._tell(
            f"{self._database} is damaged ({error.__cause__}). "
            f"It was put aside as {aside.name}, and a new history begins."
        )

    def _insert_run(self, db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO runs (run, started, pid, version, request) VALUES (?, ?, ?, ?, ?)", self._begun)


def _new_id(db: sqlite3.Connection) -> str:
    """The second in which a run begins, and four digits by which it differs from all other runs of that second."""
    while True:
        run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        if not db.execute("SELECT 1 FROM runs WHERE run = ?", [run]).fetchone():
            return run


def _is_bug(raised: BaseException) -> bool:
    """Whether only its traceback says what went wrong."""
    return isinstance(raised, Exception) and not isinstance(raised, TaxiError) and not machine_refused(raised)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _storable(text: str) -> str:
    """`text` with an escape for each byte of a file's name that is not UTF-8, which SQLite does not take."""
    return text.encode(errors="backslashreplace").decode()
