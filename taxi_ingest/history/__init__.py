"""What happened: runs, attempts and outcomes, in one SQLite file, written as it happens.

A run is one invocation; an attempt is one try of one step of one part, with its log file; an outcome is how a step of a
part ended in a run; a note is a sentence about a part in a run, or about the run. `schema` holds the tables and
upgrades old ones, `trouble` says what is wrong with a file, `folding` keeps older runs small, `writing` is used by the
run under way, with `log_files` for its attempts, `reading` by `status`, `history` and `logs`, also while a run is on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Step

AttemptOutcome = Literal["running", "done", "failed", "interrupted", "not_published"]
"""How a try ended, or that it has not yet."""


@dataclass(frozen=True)
class Attempt:
    """One try of one step of one part, as it begins; `number` counts from 1 within the run."""

    part: Part
    step: Step
    number: int
    why: str

    def __str__(self) -> str:
        return f"{self.part}-{self.step}-{self.number}"


@dataclass(frozen=True)
class Note:
    """What a person should know of a part in a run, or of the run as a whole (part None)."""

    part: Part | None
    sentence: str


@dataclass(frozen=True)
class Streak:
    """How many runs in a row have ended with a step failed, and the day of the first, as 2024-03-05."""

    runs: int
    since: str


@dataclass
class AttemptRecord:
    """What is recorded of an attempt while it runs: rows and bytes it made, where known.

    `record_job` writes down the id of a job that runs elsewhere, at once.
    """

    record_job: Callable[[str], None]
    rows: int | None = None
    bytes: int | None = None
