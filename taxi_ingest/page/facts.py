"""What the page shows, gathered from receipts, the history and this disk; no network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from taxi_ingest import __version__
from taxi_ingest.catalog import Part
from taxi_ingest.engine.notes import MAX_DEVIATION, notes
from taxi_ingest.graph import Step
from taxi_ingest.history.reading import PastAttempt, PastRun, PastRuns
from taxi_ingest.job import Job
from taxi_ingest.state.observe import Observer, known_parts
from taxi_ingest.state.receipts import PartReceipts
from taxi_ingest.state.status import Attempts, Cell, grid

MOST_RUNS = 400
"""So many runs are shown, the newest."""

MOST_ATTEMPTS = 8_000
"""So many attempts are shown, the newest: the page stays below 2 MB."""

_MOST_LOGS = 30
_LONGEST_LOG = 4_000  # characters

_Thing = TypeVar("_Thing")


@dataclass(frozen=True)
class PastOfRun:
    """A run, what is told of it as a whole, its attempts as they began, and what is told of parts in it."""

    run: PastRun
    notes: tuple[str, ...]
    attempts: tuple[PastAttempt, ...]
    part_notes: tuple[tuple[Part, str], ...]


@dataclass(frozen=True)
class Past:
    """The newest runs, the newest first, and the last attempt of every step of every part, over all runs."""

    runs: Sequence[PastOfRun] = ()
    last_attempts: Attempts = field(default_factory=dict)


@dataclass(frozen=True)
class PartFacts:
    """One part: its steps, what its receipts say, what is odd about it, and its attempts, the newest first.

    `rows`, `rejects` and `loaded` (rows counted in the table) are None where no receipt tells, and so is `expected`
    where nobody knows the number of rows that were published.
    """

    part: Part
    steps: Mapping[Step, Cell]
    source: str
    rows: int | None
    expected: int | None
    loaded: int | None
    rejects: int | None
    raw_bytes: int | None
    notes: tuple[str, ...]
    attempts: tuple[PastAttempt, ...]

    @property
    def is_odd(self) -> bool:
        """Whether the rows differ from those expected by more than is usual."""
        if self.rows is None or not self.expected:
            return False
        return abs(self.rows - self.expected) > MAX_DEVIATION * self.expected


@dataclass(frozen=True)
class Facts:
    """Everything on the page. `logs` holds the ends of the newest logs of what went wrong, by their path."""

    version: str
    made: datetime
    data_dir: Path
    store: str
    warehouse: str
    parts: Sequence[PartFacts]
    runs: Sequence[PastRun]
    run_notes: Mapping[str, tuple[str, ...]]
    logs: Mapping[str, str]
    attempts_left_out: int

    @property
    def attempts(self) -> list[PastAttempt]:
        """All attempts that are shown."""
        return [attempt for one in self.parts for attempt in one.attempts]


def read_past(past: PastRuns) -> Past:
    """What the history holds. Raises HistoryError."""
    return Past([_past_of(past, run) for run in past.newest(MOST_RUNS)], past.last_attempts())


def gather(job: Job, observer: Observer, past: Past, made: datetime) -> Facts:
    """The facts of one data directory at the moment `made`."""
    attempts = [attempt for one in past.runs for attempt in reversed(one.attempts)]
    shown = attempts[:MOST_ATTEMPTS]
    parts = known_parts(job, {part for part, _ in past.last_attempts})
    cells = grid(job, observer, parts, past.last_attempts)
    by_part = _by_part((attempt.part, attempt) for attempt in shown)
    told = _by_part(note for one in past.runs for note in one.part_notes)
    return Facts(
        version=__version__,
        made=made,
        data_dir=job.layout.data_dir,
        store=job.store.shown,
        warehouse=job.warehouse.shown,
        parts=[
            _part_facts(part, cells[part], observer.observe(part).receipts, by_part[part], told[part], job)
            for part in parts
        ],
        runs=[one.run for one in past.runs],
        run_notes={one.run.run: one.notes for one in past.runs if one.notes},
        logs=_ends_of_logs(job.layout.data_dir, shown),
        attempts_left_out=len(attempts) - len(shown),
    )


def _past_of(past: PastRuns, run: PastRun) -> PastOfRun:
    told = past.notes(run)
    return PastOfRun(
        run,
        tuple(note.sentence for note in told if note.part is None),
        tuple(past.attempts(run)),
        tuple((note.part, note.sentence) for note in told if note.part is not None),
    )


def _by_part(pairs: Iterable[tuple[Part, _Thing]]) -> defaultdict[Part, list[_Thing]]:
    grouped: defaultdict[Part, list[_Thing]] = defaultdict(list)
    for part, one in pairs:
        grouped[part].append(one)
    return grouped


def _part_facts(
    part: Part,
    steps: Mapping[Step, Cell],
    receipts: PartReceipts,
    attempts: Sequence[PastAttempt],
    told: Sequence[str],
    job: Job,
) -> PartFacts:
    raw, converted, loaded = receipts.download, receipts.parquetize, receipts.load
    odd = list(notes(part, converted, job.layout)) if converted else []
    return PartFacts(
        part=part,
        steps=steps,
        source=raw.source if raw else "",
        rows=converted.rows if converted else None,
        expected=converted.rows_expected if converted else None,
        loaded=loaded.rows if loaded else None,
        rejects=converted.rejects if converted else None,
        raw_bytes=raw.bytes if raw else None,
        notes=tuple(dict.fromkeys([*odd, *told])),
        attempts=tuple(attempts),
    )


def _ends_of_logs(data_dir: Path, newest_first: Sequence[PastAttempt]) -> dict[str, str]:
    wrong = [attempt.log for attempt in newest_first if attempt.went_wrong][:_MOST_LOGS]
    return {log: _end_of(data_dir / log) for log in wrong}


def _end_of(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(the log file was removed)"
    return text if len(text) <= _LONGEST_LOG else f"…{text[-_LONGEST_LOG:]}"
