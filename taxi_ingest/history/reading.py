"""The history, read without writing anything, so that it works while a run is on.

The caller says whether a run is `at_work` (see `engine.lock.is_locked`): then the newest run without an end is under
way; any other one without an end was killed, and reads as interrupted. What is newest is told by the order of the rows,
since a clock may have been wrong for a while.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from taxi_ingest import exits
from taxi_ingest.catalog import Part
from taxi_ingest.errors import UsageError
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.history import AttemptOutcome, Note
from taxi_ingest.history.schema import open_for_reading
from taxi_ingest.history.trouble import as_history_error

LATEST = "latest"

RunState = Literal["running", "finished", "interrupted"]


@dataclass(frozen=True)
class PastRun:
    """One run. Times are ISO 8601 in UTC; `seconds` until now while it runs; `outcomes` counts steps of parts."""

    run: str
    state: RunState
    exit: int | None
    started: str
    ended: str | None
    seconds: float | None
    version: str
    request: str
    parts: int
    outcomes: dict[str, int]

    @property
    def left_undone(self) -> bool:
        """Whether it failed or was stopped."""
        if self.state == "finished":
            return self.exit not in exits.FINE
        return self.state == "interrupted"


@dataclass(frozen=True)
class RunAtWork:
    """The run that is under way, and the number of its process."""

    request: str
    started: str
    pid: int


@dataclass(frozen=True)
class PastAttempt:
    """One try of one step of one part; `log` is a path within the data directory."""

    run: str
    dataset: str
    month: str | None
    step: Step
    attempt: int
    outcome: AttemptOutcome
    started: str
    ended: str | None
    seconds: float | None
    why: str
    rows: int | None
    bytes: int | None
    error: str | None
    log: str

    @property
    def part(self) -> Part:
        """The part it was about."""
        return Part(self.dataset, self.month)

    @property
    def went_wrong(self) -> bool:
        """Whether it failed or was stopped."""
        return self.outcome in {"failed", "interrupted"}


_STILL_FAILED = """
SELECT dataset, month, step FROM attempts AS a
WHERE rowid IN (SELECT max(rowid) FROM attempts GROUP BY dataset, month, step) AND outcome = 'failed' AND NOT EXISTS (
    SELECT 1 FROM outcomes AS o JOIN runs USING (run)
    WHERE o.dataset = a.dataset AND o.month IS a.month AND o.step = a.step AND o.outcome IN ('up_to_date', 'done')
    AND runs.rowid > (SELECT rowid FROM runs WHERE run = a.run)
)
"""


class PastRuns:
    """The runs of one data directory."""

    def __init__(self, db: sqlite3.Connection | None, *, at_work: bool) -> None:
        self._db = db
        self._at_work = at_work

    def newest(self, count: int, *, failed: bool = False) -> list[PastRun]:
        """The newest `count` runs (0: all), the newest first; with `failed` those that left something undone."""
        rows = self._ask("SELECT * FROM runs ORDER BY rowid DESC")
        runs = (self._run(row) for row in rows)  # its parts are counted for those alone that are looked at
        wanted = (run for run in runs if not failed or run.left_undone)
        return list(itertools.islice(wanted, count or None))

    def named(self, name: str) -> PastRun:
        """The run of that id, of an id that only it begins with, or the newest for "latest". Raises UsageError."""
        rows = self._ask("SELECT * FROM runs ORDER BY rowid DESC")
        found = rows[:1] if name == LATEST else [row for row in rows if row["run"].startswith(name)]
        if len(found) == 1:
            return self._run(found[0])
        if not rows:
            raise UsageError("There is no run yet. See `taxi-ingest run --help`, or name another --data-dir.")
        several = f"{len(found)} runs begin with '{name}'" if found else f"There is no run '{name}'"
        known = ", ".join(row["run"] for row in (found or rows)[:3])
        raise UsageError(f"{several}. Such as: {known}. `taxi-ingest history` lists them.")

    def at_work(self) -> RunAtWork | None:
        """The run that is under way, if there is one that has come so far as to stand in the history."""
        newest = self._ask("SELECT request, started, ended, pid FROM runs ORDER BY rowid DESC LIMIT 1")
        if not self._at_work or not newest or newest[0]["ended"]:
            return None
        return RunAtWork(newest[0]["request"], newest[0]["started"], newest[0]["pid"])

    def last_end(self, codes: Collection[int]) -> float | None:
        """When the last run ended whose exit code is one of `codes`, in seconds since 1970; None if there is none."""
        ends = self._ask("SELECT ended, exit FROM runs WHERE ended IS NOT NULL ORDER BY rowid DESC")
        found = next((row["ended"] for row in ends if row["exit"] in codes), None)
        return datetime.fromisoformat(found).timestamp() if found else None

    def newest_eventful(self) -> PastRun:
        """The newest run that tried anything, or failed before it could. Raises UsageError when there is none."""
        eventful = self._ask(
            "SELECT run FROM runs WHERE run IN (SELECT run FROM attempts) OR exit NOT IN (?, ?, ?)"
            " ORDER BY rowid DESC LIMIT 1",
            *map(str, (*exits.FINE, exits.INTERRUPTED)),
        )
        return self.named(eventful[0]["run"] if eventful else LATEST)

    def attempts(self, run: PastRun, *, failed: bool = False) -> list[PastAttempt]:
        """The attempts of a run as they began; with `failed` those that did not end well."""
        rows = self._ask("SELECT * FROM attempts WHERE run = ? ORDER BY rowid", run.run)
        found = [self._attempt(row, running=run.state == "running") for row in rows]
        return [attempt for attempt in found if attempt.went_wrong or not failed]

    def outcomes(self, run: PastRun) -> list[tuple[Part, Step, Outcome]]:
        """How every step of every part ended in a run: part, step, outcome. Empty for one that did not end.

        An older run does not list steps that were up to date; see `folding`.
        """
        rows = self._ask("SELECT * FROM outcomes WHERE run = ? ORDER BY rowid", run.run)
        return [(Part(row["dataset"], row["month"]), row["step"], row["outcome"]) for row in rows]

    def notes(self, run: PastRun) -> list[Note]:
        """What a person should know of a run and its parts. Empty for one that did not end, and of version 2."""
        if not self._has("notes"):
            return []
        rows = self._ask("SELECT * FROM notes WHERE run = ? ORDER BY rowid", run.run)
        return [Note(Part(row["dataset"], row["month"]) if row["dataset"] else None, row["note"]) for row in rows]

    def last_attempts(self) -> dict[tuple[Part, Step], PastAttempt]:
        """The last attempt of every step of every part, over all runs."""
        newest = self.newest(1)
        running = newest[0].run if newest and newest[0].state == "running" else ""
        rows = self._ask(
            "SELECT * FROM attempts WHERE rowid IN (SELECT max(rowid) FROM attempts GROUP BY dataset, month, step)"
        )
        found = (self._attempt(row, running=row["run"] == running) for row in rows)
        return {(attempt.part, attempt.step): attempt for attempt in found}

    def still_failed(self) -> frozenset[tuple[Part, Step]]:
        """The steps whose last attempt failed, and that no later run found, or left, as they should be."""
        rows = self._ask(_STILL_FAILED)
        return frozenset((Part(row["dataset"], row["month"]), row["step"]) for row in rows)

    def _run(self, row: sqlite3.Row) -> PastRun:
        parts, outcomes = self._counts(row["run"])
        state = self._state(row)
        return PastRun(
            run=row["run"],
            state=state,
            exit=row["exit"],
            started=row["started"],
            ended=row["ended"],
            seconds=_seconds(row["started"], row["ended"]) if row["ended"] or state == "running" else None,
            version=row["version"],
            request=row["request"],
            parts=parts,
            outcomes=outcomes,
        )

    def _counts(self, run: str) -> tuple[int, dict[str, int]]:
        """The number of parts of a run, and of steps by how they ended."""
        counts = self._ask("SELECT outcome, count(*) AS n FROM outcomes WHERE run = ? GROUP BY outcome", run)
        outcomes = {count["outcome"]: int(count["n"]) for count in counts}
        folded = self._ask("SELECT * FROM folded WHERE run = ?", run) if self._has("folded") else []
        if folded and (up_to_date := folded[0]["up_to_date"]):
            outcomes["up_to_date"] = outcomes.get("up_to_date", 0) + up_to_date
        (listed,) = self._ask(
            "SELECT count(*) AS n FROM (SELECT dataset, month FROM outcomes WHERE run = ?1"
            " UNION SELECT dataset, month FROM attempts WHERE run = ?1)",
            run,
        )
        return max(listed["n"], folded[0]["parts"] if folded else 0), outcomes

    def _has(self, table: str) -> bool:
        """Whether the history has a table, which one of an earlier version may lack."""
        return bool(self._ask("SELECT 1 FROM sqlite_master WHERE name = ?", table))

    def _state(self, row: sqlite3.Row) -> RunState:
        if row["ended"]:
            return "interrupted" if row["exit"] == exits.INTERRUPTED else "finished"
        (newest,) = self._ask("SELECT run FROM runs ORDER BY rowid DESC LIMIT 1")
        return "running" if self._at_work and newest["run"] == row["run"] else "interrupted"

    def _attempt(self, row: sqlite3.Row, *, running: bool) -> PastAttempt:
        was_killed = row["outcome"] == "running" and not running
        ended = row["ended"]
        return PastAttempt(
            run=row["run"],
            dataset=row["dataset"],
            month=row["month"],
            step=row["step"],
            attempt=row["attempt"],
            outcome="interrupted" if was_killed else row["outcome"],
            started=row["started"],
            ended=ended,
            seconds=_seconds(row["started"], ended) if ended or running else None,
            why=row["why"],
            rows=row["rows"],
            bytes=row["bytes"],
            error=row["error"],
            log=row["log"],
        )

    def _ask(self, query: str, *values: str) -> list[sqlite3.Row]:
        return self._db.execute(query, values).fetchall() if self._db else []


@contextlib.contextmanager
def past_runs(database: Path, *, at_work: bool) -> Iterator[PastRuns]:
    """The runs in the history at `database`; none when there is no such file.

    Raises HistoryError, here or while they are read, for a file that cannot be read.
    """
    if not database.exists():
        yield PastRuns(None, at_work=at_work)
        return
    with contextlib.closing(open_for_reading(database)) as db:
        try:
            yield PastRuns(db, at_work=at_work)
        except sqlite3.Error as error:
            raise as_history_error(error, database) from error


def _seconds(started: str, ended: str | None) -> float:
    end = datetime.fromisoformat(ended) if ended else datetime.now(UTC)
    return round((end - datetime.fromisoformat(started)).total_seconds(), 3)
