"""How the state of a step looks: a sign, words and a class, so that no state is told by its colour alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from taxi_ingest.graph import Step
from taxi_ingest.history import AttemptOutcome
from taxi_ingest.state.status import Cell, State


@dataclass(frozen=True)
class Look:
    """A sign, the words for it, and the class that `style.css` colours."""

    sign: str
    words: str
    css: str


LOOKS: Mapping[State, Look] = {
    "failed": Look("✕", "failed", "failed"),
    "interrupted": Look("!", "interrupted", "stopped"),
    "running": Look("▸", "running", "running"),
    "stale": Look("~", "out of date", "stale"),
    "not_published": Look("○", "not published", "unpublished"),
    "missing": Look("·", "not done", "missing"),
    "done": Look("✓", "done", "done"),
}
"""The look of each state, the one that matters most first."""


def sign_of(outcome: AttemptOutcome) -> str:
    """The sign of the state that an attempt's outcome leads to; "" for one that leads to none."""
    return next((look.sign for state, look in LOOKS.items() if state == outcome), "")


def foremost(states: Iterable[State]) -> State:
    """The state that matters most."""
    found = set(states)
    return next(state for state in LOOKS if state in found)


def in_words(steps: Mapping[Step, Cell]) -> str:
    """All steps of a part in words: "done", or "download done; parquetize, upload, load out of date"."""
    runs = [(state, [step for step, _ in alike]) for state, alike in groupby(steps.items(), lambda item: item[1].state)]
    if len(runs) == 1:
        return LOOKS[runs[0][0]].words
    return "; ".join(f"{', '.join(names)} {LOOKS[state].words}" for state, names in runs)
