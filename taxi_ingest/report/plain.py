"""The view for files, pipes and cron: a line an event, with the time. Does without rich: cron starts often."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.printable import printable
from taxi_ingest.report import console, say, words

_NEEDS_ATTENTION = {"failed", "blocked"}


class PlainView:
    """A line an event. When `quiet`, a line only for work that was done and for what needs attention."""

    def __init__(self, out: TextIO, *, quiet: bool = False) -> None:
        self._out = out
        self._quiet = quiet
        self._begun: dict[tuple[Part, Step], float] = {}
        self._amounts: dict[tuple[Part, Step], int] = {}

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put away."""

    def begun(self, steps: int) -> None:
        """Nothing to say yet."""

    def noted(self, sentence: str) -> None:
        """Say it, also when quiet."""
        self._say(sentence)

    def started(self, part: Part, step: Step, why: str) -> None:
        """Say that a step is at work, and why."""
        self._begun[part, step] = time.monotonic()
        if not self._quiet:
            self._say(f"{part} {step}: {why}")

    def expects(self, part: Part, step: Step, amount: int) -> None:
        """Nothing to say: the end of the step tells what it was."""

    def moved(self, part: Part, step: Step, amount: int) -> None:
        """Add up what the end of the step tells."""
        self._amounts[part, step] = self._amounts.get((part, step), 0) + amount

    def ended(self, part: Part, step: Step, outcome: Outcome, message: str) -> None:
        """Say how a step ended, if it did anything or has something to say."""
        begun = self._begun.get((part, step))
        if message:
            if not self._quiet or outcome in _NEEDS_ATTENTION:
                self._say(f"{part} {step}: {words.MARKS[outcome][0]}: {message}")
        elif outcome == "done" and begun is not None:
            moved = self._amounts.get((part, step), 0)
            amount = f", {words.amount(step, moved)}" if moved else ""
            self._say(f"{part} {step}: done in {words.took(time.monotonic() - begun)}{amount}")

    def retrying(self, part: Part, step: Step, message: str, seconds: float) -> None:
        """Say that a passing fault is waited out."""
        self._amounts[part, step] = 0
        if not self._quiet:
            self._say(f"{part} {step}: {message}")

    def waiting(self, message: str) -> None:
        """Say what the run waits for."""
        if not self._quiet:
            self._say(message)

    def _say(self, text: str) -> None:
        self._out.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {printable(text)}\n")
        self._out.flush()


def plain(notices: Sequence[str]) -> PlainView:
    """The view of plain `doit`, after the notices."""
    say(console(stderr=True), notices)
    return PlainView(sys.stderr)
