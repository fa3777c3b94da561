"""Everything a person sees. The only importer of rich.

`LiveView` draws bars on a terminal; `PlainView` prints a line an event elsewhere; both are the `View` a runner tells
what happens. `summary()` shows what came of a run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taxi_ingest.catalog import Dataset, Part, Source
from taxi_ingest.history import PartResult
from taxi_ingest.pipeline import STEPS, Outcome

MARKS: dict[Outcome, tuple[str, str]] = {
    "done": ("done", "bright_green"),
    "up_to_date": ("up to date", "dim"),
    "failed": ("failed", "bright_red"),
    "blocked": ("blocked", "bright_magenta"),
    "not_published": ("not published", "bright_cyan"),
}
"""How an outcome is worded and coloured."""


def console(*, stderr: bool = False) -> Console:
    """A console that wraps nothing and colours only terminals; rich honours NO_COLOR."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


class PlainView:
    """A line an event, with the time; for files, pipes and cron. `quiet` leaves only what needs attention."""

    def __init__(self, out: Console, *, quiet: bool = False) -> None:
        self._out = out
        self._quiet = quiet
        self._begun: dict[tuple[Part, str], float] = {}
        self._amounts: dict[tuple[Part, str], int] = {}

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put away."""

    def started(self, part: Part, step: str, why: str) -> None:
        """Say that a step is at work, and why."""
        self._begun[part, step] = time.monotonic()
        self._say(f"{part} {step}: {why}")

    def moved(self, part: Part, step: str, amount: int) -> None:
        """Add up what the end of the step tells."""
        self._amounts[part, step] = self._amounts.get((part, step), 0) + amount

    def ended(self, part: Part, step: str, outcome: Outcome, message: str) -> None:
        """Say how a step ended; failures are said even when quiet."""
        begun = self._begun.get((part, step))
        if message:
            self._say(f"{part} {step}: {MARKS[outcome][0]}: {message}", urgent=True)
        elif outcome == "done" and begun is not None:
            took = time.monotonic() - begun
            self._say(f"{part} {step}: done in {took:.1f} s{_amount(step, self._amounts.get((part, step), 0))}")

    def retrying(self, part: Part, step: str, message: str, seconds: float) -> None:
        """Say that a passing fault is waited out."""
        self._say(f"{part} {step}: {message} Trying again in {seconds:.0f} s.")

    def _say(self, text: str, *, urgent: bool = False) -> None:
        if urgent or not self._quiet:
            self._out.print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", markup=False)


class LiveView:
    """One bar a step at work, on a terminal; finished steps leave a line above the bars."""

    def __init__(self, out: Console) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._out = out
        self._lock = threading.Lock()
        self._bars: dict[tuple[Part, str], Any] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.fields[amount]}", style="bright_cyan"),
            TimeElapsedColumn(),
            console=out,
            transient=True,
        )

    def __enter__(self) -> LiveView:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        self._progress.stop()

    def started(self, part: Part, step: str, why: str) -> None:
        """Show a bar."""
        with self._lock:
            self._bars[part, step] = self._progress.add_task(f"{part} {step}", total=None, amount=why)

    def moved(self, part: Part, step: str, amount: int) -> None:
        """Move the bar."""
        bar = self._bars[part, step]
        self._progress.advance(bar, amount)
        task = next(task for task in self._progress.tasks if task.id == bar)
        speed = f", {_unit(step, int(task.completed / task.elapsed))}/s" if task.elapsed else ""
        self._progress.update(bar, amount=f"{_unit(step, int(task.completed))}{speed}")

    def ended(self, part: Part, step: str, outcome: Outcome, message: str) -> None:
        """Turn the bar into a line, when there was one or something to say."""
        with self._lock:
            bar = self._bars.pop((part, step), None)
        if bar is not None:
            task = next(task for task in self._progress.tasks if task.id == bar)
            amount = _amount(step, int(task.completed))
            self._progress.remove_task(bar)
            self._line(part, step, outcome, message or f"in {task.elapsed or 0:.1f} s{amount}")
        elif message:
            self._line(part, step, outcome, message)

    def retrying(self, part: Part, step: str, message: str, seconds: float) -> None:
        """Say above the bars that a passing fault is waited out."""
        self._progress.console.print(f"{part} {step}: {message} Trying again in {seconds:.0f} s.", markup=False)

    def _line(self, part: Part, step: str, outcome: Outcome, message: str) -> None:
        self._progress.console.print(Text.assemble(MARKS[outcome], f" {part} {step}: {message}"))


def view(out: Console, *, quiet: bool) -> PlainView | LiveView:
    """The view that fits `out`."""
    return LiveView(out) if out.is_terminal and not quiet else PlainView(out, quiet=quiet)


def plain(notices: Sequence[str]) -> PlainView:
    """The view of plain `doit`, after the notices."""
    out = console(stderr=True)
    say(out, notices)
    return PlainView(out)


def say(out: Console, sentences: Sequence[str]) -> None:
    """Print sentences as they are."""
    for sentence in sentences:
        out.print(sentence, markup=False)


def error(message: str, file: TextIO | None = None) -> None:
    """Print what went wrong to stderr (or `file`)."""
    out = Console(file=file, highlight=False, soft_wrap=True) if file else console(stderr=True)
    out.print(Text.assemble(("error:", "bright_red"), f" {message}"))


def summary(out: Console, results: Sequence[PartResult], seconds: float, hint: str) -> None:
    """What came of a run: a row a part that was worked on, totals, and the line that opens the table."""
    worked = [result for result in results if set(result.steps.values()) - {"up_to_date"}]
    if worked:
        out.print(_results_table(worked))
    for result in worked:
        say(out, [f"  {result.part}: {note}" for note in result.notes])
    rows = sum(result.rows or 0 for result in results)
    rejects = sum(result.rejects or 0 for result in results)
    idle = len(results) - len(worked)
    up_to_date = f", {idle:,} already up to date" if idle else ""
    out.print(f"{_count(len(results), 'part')}{up_to_date}: {rows:,} rows, {rejects:,} rejects, {seconds:.1f} s.")
    if hint:
        out.print(f"Look at it: {hint}", markup=False)


def settings(out: Console, items: Sequence[tuple[str, object, str, str]]) -> None:
    """The settings in force: name, value, origin, environment variable."""
    rows = [("setting", "value", "from", "or set")]
    rows += [(name, _toml(value), origin, variable) for name, value, origin, variable in items]
    _lines(out, rows)


def checks(out: Console, found: Sequence[tuple[bool, str]]) -> None:
    """What was looked at: whether it is well, and a sentence."""
    for well, sentence in found:
        out.print(Text.assemble(("ok   ", "bright_green") if well else ("wrong", "bright_red"), f" {sentence}"))


def catalog(out: Console, datasets: Sequence[Dataset], sources: Sequence[Source], *, columns: bool) -> None:
    """What is published: per dataset its table, sources and layouts, and its columns when they are asked for."""
    for known in datasets:
        out.print(f"[bold]{known.name}[/]  {known.title}; table {known.table}")
        _lines(out, [("source", "months", "format"), *_coverage(known, sources)])
        vintages = [(v.name, _span(v.first, v.last), f"{len(v.columns)} columns", v.quirks) for v in known.vintages]
        _lines(out, [("vintage", "months", "", "quirks"), *vintages])
        if columns:
            named = [(c.name, c.type, c.unit, c.since, c.meaning) for c in known.columns]
            _lines(out, [("column", "type", "unit", "since", "meaning"), *named])


def _coverage(known: Dataset, sources: Sequence[Source]) -> list[tuple[str, ...]]:
    covered: list[tuple[str, ...]] = []
    for source in sources:
        if known.name in source.months:
            covered.append((source.name, _span(*source.months[known.name]), source.format))
        elif known.name in source.files:
            covered.append((source.name, "no months", source.format_of(Part(known.name))))
    return covered


def _span(first: str, last: str) -> str:
    return f"{first}..{last}" if first else ""


def _lines(out: Console, rows: Sequence[tuple[str, ...]]) -> None:
    """Rows of text in columns as wide as they must be, whatever the width of the terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.print(f"  {line}".rstrip(), markup=False)
    out.print()


def _results_table(results: Sequence[PartResult]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("part")
    for step in STEPS:
        table.add_column(step)
    for heading in ("rows", "rejects", "seconds"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            str(result.part),
            *(_cell(result.steps.get(step)) for step in STEPS),
            "" if result.rows is None else f"{result.rows:,}",
            "" if result.rejects is None else f"{result.rejects:,}",
            f"{result.seconds:.1f}",
        )
    return table


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    word, colour = MARKS[outcome]
    return f"[{colour}]{word}[/]"


def _amount(step: str, amount: int) -> str:
    return f", {_unit(step, amount)}" if amount else ""


def _unit(step: str, amount: int) -> str:
    return f"{amount:,} rows" if step == "parquetize" else _bytes(amount)


def _bytes(amount: float) -> str:
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.2f} GB"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
