"""The view for a terminal: a bar for each step at work, and under them how far the whole run is."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.report import words
from taxi_ingest.report.progress import Tally

if TYPE_CHECKING:
    from rich.console import Console

_BAR = 14  # characters; with the longest part and step, and the amounts, a line has 80


class LiveView:
    """Bars that come and go; a finished step leaves a line above them."""

    def __init__(self, out: Console) -> None:
        self._lock = threading.Lock()
        self._bars: dict[tuple[Part, Step], Any] = {}
        self._tally = Tally(time.monotonic)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(_BAR),
            _Amount(),
            TimeElapsedColumn(),
            console=out,
            auto_refresh=False,
        )
        self._live = Live(Group(self._progress, _Overall(self._tally)), console=out, transient=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        self._live.stop()

    def begun(self, steps: int) -> None:
        """Know how far there is to go."""
        self._tally.begun(steps)

    def noted(self, sentence: str) -> None:
        """Say it above the bars."""
        self._live.console.print(sentence, markup=False)

    def started(self, part: Part, step: Step, why: str) -> None:
        """Show a bar, with the reason until something moves."""
        with self._lock:
            self._tally.started(part, step)
            self._bars[part, step] = self._progress.add_task(f"{part} {step}", total=None, step=step, why=why)

    def expects(self, part: Part, step: Step, amount: int) -> None:
        """Know where the bar ends."""
        self._tally.expects(part, step, amount)
        self._progress.update(self._bars[part, step], total=amount or None)

    def moved(self, part: Part, step: Step, amount: int) -> None:
        """Move the bar."""
        self._tally.moved(part, step, amount)
        self._progress.advance(self._bars[part, step], amount)

    def ended(self, part: Part, step: Step, outcome: Outcome, message: str) -> None:
        """Turn the bar into a line, when there was one or something to say."""
        with self._lock:
            amount = self._tally.ended(part, step, outcome)
            bar = self._bars.pop((part, step), None)
        if bar is not None:
            task = next(task for task in self._progress.tasks if task.id == bar)
            self._progress.remove_task(bar)
            did = f", {words.amount(step, amount)}" if amount else ""
            self._line(part, step, outcome, message or f"in {words.took(task.elapsed)}{did}")
        elif message:
            self._line(part, step, outcome, message)

    def retrying(self, part: Part, step: Step, message: str, seconds: float) -> None:
        """Say above the bars that a passing fault is waited out; the bar begins anew."""
        self._tally.again(part, step)
        self._progress.reset(self._bars[part, step], total=None)
        self._live.console.print(f"{part} {step}: {message} Trying again in {seconds:.0f} s.", markup=False)

    def waiting(self, message: str) -> None:
        """Say above the bars what the run waits for."""
        self._live.console.print(message, markup=False)

    def _line(self, part: Part, step: Step, outcome: Outcome, message: str) -> None:
        self._live.console.print(Text.assemble(words.MARKS[outcome], f" {part} {step}: {message}"))


class _Amount(ProgressColumn):
    """What went by and how fast; before that, why the step runs."""

    def render(self, task: Task) -> Text:
        """One cell."""
        step = task.fields["step"]
        if not task.completed:
            return Text(task.fields["why"], style="dim", overflow="ellipsis", no_wrap=True)
        short, unit = (words.rows, " rows") if step == "parquetize" else (words.size, "")
        speed = short(task.completed / task.elapsed) if task.elapsed else "0"
        return Text(f"{short(task.completed)}{unit}, {speed}/s", style="bright_cyan", no_wrap=True)


class _Overall:
    """The line under the bars."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __rich__(self) -> RenderableType:
        """Draw it as things stand."""
        now = self._tally.now()
        left = "" if now.seconds_left is None else f", {timedelta(seconds=round(now.seconds_left))} left"
        line = Table.grid(Column(width=_BAR), Column(no_wrap=True, overflow="ellipsis"), padding=(0, 1))
        line.add_row(
            ProgressBar(total=1, completed=now.share, width=_BAR),
            f"{now.finished:,}/{now.steps:,} steps{left}, {words.rows(now.rows)} rows, "
            f"{words.rows(now.rows_a_second)}/s, {words.size(now.bytes)}, {words.size(now.bytes_a_second)}/s",
        )
        return line
