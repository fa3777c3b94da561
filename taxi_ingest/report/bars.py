"""The bars of a run on a terminal: a line for each step at work, and one for the whole run. Each fits the terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.report import words
from taxi_ingest.report.progress import Standing, Tally

_BAR, _PIECE = 12, 3  # characters

_DOING: dict[Step, str] = {
    "download": "asks the publisher for the file",
    "parquetize": "reads the published file",
    "upload": "sends the Parquet file to the store",
    "load": "replaces the month in the table",
}
"""What a step does while it has moved nothing that could be counted."""


@dataclass
class Work:
    """One step at work: what has gone by of what is expected (0: not known), in bytes or rows, and since when.

    `waits_until` is when the next try begins, while it waits for that.
    """

    part: Part
    step: Step
    begun: float
    expected: int = 0
    moved: int = 0
    waits_until: float = 0.0

    def __str__(self) -> str:
        return f"{self.part} {self.step}"


class Bars:
    """All that is drawn under the lines of a run. Methods may be called from several threads.

    `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tally = Tally(clock)
        self._work: dict[tuple[Part, Step], Work] = {}
        self._has_begun = False

    def begun(self, steps: int) -> None:
        """So many steps are to be done, or found up to date; until now nothing is drawn."""
        self._tally.begun(steps)
        self._has_begun = True

    def started(self, part: Part, step: Step) -> None:
        """A step is at work."""
        self._tally.started(part, step)
        with self._lock:
            self._work[part, step] = Work(part, step, self._clock())

    def expects(self, part: Part, step: Step, amount: int) -> None:
        """So much will go by in a step; 0 when that is not known."""
        self._tally.expects(part, step, amount)
        self._work[part, step].expected = amount

    def moved(self, part: Part, step: Step, amount: int) -> None:
        """So much more has gone by."""
        self._tally.moved(part, step, amount)
        self._work[part, step].moved += amount

    def again(self, part: Part, step: Step, seconds: float) -> None:
        """A step begins anew after a wait."""
        self._tally.again(part, step)
        now = self._clock()
        with self._lock:
            self._work[part, step] = Work(part, step, now, waits_until=now + seconds)

    def ended(self, part: Part, step: Step, outcome: Outcome) -> tuple[float | None, int]:
        """A step is over; returns its seconds at work, None if it never was, and what went by in it."""
        amount = self._tally.ended(part, step, outcome)
        with self._lock:
            work = self._work.pop((part, step), None)
        return (self._clock() - work.begun if work else None), amount

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it as things stand: never wider or higher than the terminal, or else parts of it would stay there."""
        if not self._has_begun:
            return
        with self._lock:
            shown = list(self._work.values())[: max(console.height - 3, 1)]
        widest = max((len(str(work)) for work in shown), default=0)
        lines = [self._line(work, widest, options) for work in shown]
        for line in (*lines, _whole_run(self._tally.now(), options)):
            yield cut(line, options)

    def _line(self, work: Work, widest: int, options: ConsoleOptions) -> Text:
        now = self._clock()
        share = min(work.moved / work.expected, 1.0) if work.expected else None
        line = Text(f"{work!s:{widest}} ").append_text(bar(share, now, options))
        if work.waits_until > now:
            return line.append(f" waits {work.waits_until - now:.0f} s", "bright_yellow")
        percent = f" {share:4.0%}" if share is not None and work.moved else ""
        amounts = ", ".join(_amounts(work, now - work.begun)) or _DOING[work.step]
        return line.append(f"{percent} {amounts}", "bright_cyan" if work.moved else "dim")


def _amounts(work: Work, seconds: float) -> Iterator[str]:
    """What went by, of how much, how fast and for how long; none when nothing has."""
    if not work.moved:
        return
    short, noun = (words.rows, " rows") if work.step == "parquetize" else (words.size, "")
    moved, whole = short(work.moved), short(work.expected)
    number, _, unit = moved.partition(" ")
    so_far = number if unit == whole.partition(" ")[2] else moved
    yield f"{so_far} of {whole}{noun}" if work.expected else f"{moved}{noun}"
    if seconds > 0:
        yield f"{short(work.moved / seconds)}/s"
    yield str(timedelta(seconds=round(seconds)))[-5:]


def _whole_run(now: Standing, options: ConsoleOptions) -> Text:
    left = "" if now.seconds_left is None else f", {timedelta(seconds=round(now.seconds_left))} left"
    rows = f"{words.rows(now.rows)} rows, {words.rows(now.rows_a_second)}/s"
    size = f"{words.size(now.bytes)}, {words.size(now.bytes_a_second)}/s"
    return bar(now.share, 0, options).append(f" {now.finished:,}/{now.steps:,} steps{left}, {rows}, {size}")


def bar(share: float | None, now: float, options: ConsoleOptions) -> Text:
    """A bar filled to `share`; a short piece that moves with the time `now` where no share is known."""
    filled = round((share or 0) * _BAR)
    start, length = (0, filled) if share is not None else (int(now * 4) % (_BAR - _PIECE + 1), _PIECE)
    full, rest = ("#", ".") if options.ascii_only else ("━", "─")
    return Text.assemble((rest * start, "dim"), (full * length, "bright_cyan"), (rest * (_BAR - start - length), "dim"))


def cut(line: Text, options: ConsoleOptions) -> Text:
    """`line`, cut to the width of the terminal: what is wider wraps, and is then left behind."""
    dots = "..." if options.ascii_only else "…"
    line.no_wrap, line.overflow = True, "crop"
    if len(line) > options.max_width:
        line.right_crop(len(line) - options.max_width + len(dots))
        line.append(dots)
    return line
