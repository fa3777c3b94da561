"""The view for a terminal: a bar for each step at work, and under them how far the whole run is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rich.text import Text

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.report import words
from taxi_ingest.report.bars import Bars
from taxi_ingest.report.drawing import Drawing

if TYPE_CHECKING:
    from rich.console import Console

_FEW_STEPS = 48
"""Up to so many steps, each that ends leaves a line; in a longer run only trouble does."""

_TROUBLES = 20
"""So many lines of trouble; what comes after them stands in the table of results and in the history."""


class LiveView:
    """Bars that come and go; lines above them tell what ended, and of trouble."""

    def __init__(self, out: Console) -> None:
        self._lock = threading.Lock()
        self._bars = Bars()
        self._tells_all = True
        self._troubles = 0
        self._drawing = Drawing(out, self._bars)

    def __enter__(self) -> LiveView:
        self._drawing.__enter__()
        return self

    def __exit__(self, *why: object) -> None:
        """Take the bars away."""
        self._drawing.__exit__(*why)

    def begun(self, steps: int) -> None:
        """Know how far there is to go."""
        self._tells_all = steps <= _FEW_STEPS
        self._bars.begun(steps)

    def noted(self, sentence: str) -> None:
        """Say it above the bars."""
        self._drawing.say(Text(sentence))

    def started(self, part: Part, step: Step, why: str) -> None:
        """Show a bar."""
        self._bars.started(part, step)

    def expects(self, part: Part, step: Step, amount: int) -> None:
        """Know where the bar ends."""
        self._bars.expects(part, step, amount)

    def moved(self, part: Part, step: Step, amount: int) -> None:
        """Move the bar."""
        self._bars.moved(part, step, amount)

    def ended(self, part: Part, step: Step, outcome: Outcome, message: str) -> None:
        """Take the bar away; say how the step ended, when it did something or there is something to say."""
        seconds, amount = self._bars.ended(part, step, outcome)
        if message:
            self._trouble(_line(part, step, outcome, message))
        elif seconds is not None and self._tells_all:
            did = f", {words.amount(step, amount)}" if amount else ""
            self._drawing.say(_line(part, step, outcome, f"in {words.took(seconds)}{did}"))

    def retrying(self, part: Part, step: Step, message: str, seconds: float) -> None:
        """Say that a passing fault is waited out; the bar begins anew."""
        self._bars.again(part, step, seconds)
        self._trouble(Text(f"{part} {step}: {message}"))

    def waiting(self, message: str) -> None:
        """Say above the bars what the run waits for."""
        self._drawing.say(Text(message))

    def _trouble(self, line: Text) -> None:
        with self._lock:
            self._troubles += 1
            number = self._troubles
        if number <= _TROUBLES:
            self._drawing.say(line)
        elif number == _TROUBLES + 1:
            self._drawing.say(Text("There is more of that. In the end, see: taxi-ingest history latest"))


def _line(part: Part, step: Step, outcome: Outcome, message: str) -> Text:
    return Text.assemble(words.MARKS[outcome], f" {part} {step}: {message}")
