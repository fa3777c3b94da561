"""How far every part is: every step of every month, from receipts, this disk and the history; no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from taxi_ingest.catalog import Part
from taxi_ingest.history.reading import PastAttempt
from taxi_ingest.pipeline import STEPS
from taxi_ingest.state.observe import Situations

State = Literal["done", "stale", "running", "failed", "interrupted", "not_published", "missing"]


@dataclass(frozen=True)
class Cell:
    """One step of one part: its state, and why it is not done."""

    state: State
    why: str = ""


Grid = Mapping[Part, Mapping[str, Cell]]
Attempts = Mapping[tuple[Part, str], PastAttempt]

_UNDONE: Mapping[str, State] = {"failed": "failed", "interrupted": "interrupted", "not_published": "not_published"}


def known_parts(there: Situations, attempts: Attempts) -> list[Part]:
    """Every part that was ever worked on, by dataset and month."""
    found = {*there.receipts.parts(), *(part for part, _ in attempts)}
    return sorted(found, key=lambda part: (part.dataset, part.month or ""))


def grid(there: Situations, parts: Iterable[Part], attempts: Attempts) -> Grid:
    """The state of every step of `parts`; `attempts` holds the last one of each step."""
    return {part: {step: _cell(there, part, step, attempts.get((part, step))) for step in STEPS} for part in parts}


def _cell(there: Situations, part: Part, step: str, last: PastAttempt | None) -> Cell:
    if last is not None and last.outcome == "running":
        return Cell("running", last.why)
    decision = there.decision(part, step)
    if decision.action != "run":
        return Cell("done")
    if last is not None and last.outcome in _UNDONE:
        return Cell(_UNDONE[last.outcome], last.error or "the run was stopped")
    return Cell("stale" if there.receipts.get(part, step) else "missing", decision.why)
