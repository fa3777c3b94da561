"""How far every part is: every step of every month, from receipts, this disk and the history; no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from taxi_ingest.catalog import Part
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.history.reading import PastAttempt
from taxi_ingest.job import Job
from taxi_ingest.state.decide import Observed, Wanted, decide
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.wanted import wanted

State = Literal["done", "stale", "running", "failed", "interrupted", "not_published", "missing"]


@dataclass(frozen=True)
class Cell:
    """One step of one part: its state, and why it is not done."""

    state: State
    why: str = ""


Grid = Mapping[Part, Mapping[Step, Cell]]
Attempts = Mapping[tuple[Part, Step], PastAttempt]
Failed = Set[tuple[Part, Step]]

_UNDONE: Mapping[str, State] = {"failed": "failed", "interrupted": "interrupted", "not_published": "not_published"}


def grid(job: Job, observer: Observer, parts: Iterable[Part], attempts: Attempts, failed: Failed = frozenset()) -> Grid:
    """The state of every step of `parts`; `attempts` holds the last attempt of each step.

    A step in `failed` was tried in vain although its work is there, such as to replace it by what was republished.
    """
    return {part: _steps(observer.observe(part), wanted(job, part), attempts, failed) for part in parts}


def _steps(now: Observed, want: Wanted, attempts: Attempts, failed: Failed) -> dict[Step, Cell]:
    return {
        step: cell(step, now, want, attempts.get((now.part, step)), failed=(now.part, step) in failed) for step in STEPS
    }


def cell(step: Step, now: Observed, want: Wanted, last: PastAttempt | None, *, failed: bool = False) -> Cell:
    """The state of one step; `last` is its last attempt, and `failed` tells that it was tried in vain."""
    if last is not None and last.outcome == "running":
        return Cell("running", last.why)
    decision = decide(step, now, want)
    if decision.action != "run" and failed and last is not None:
        return Cell("failed", f"what is here stays: {last.error or last.why}")
    if decision.action != "run":
        return Cell("done")
    if last is not None and last.outcome in _UNDONE:
        return Cell(_UNDONE[last.outcome], last.error or "the run was stopped")
    return Cell("stale" if now.receipts.of(step) else "missing", decision.why)
