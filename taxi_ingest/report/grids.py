"""The status: a line a year, a cell a month, a letter a step; readable without colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.months import MONTH_NAMES, in_spans
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.report import say, words
from taxi_ingest.report.fitting import bounded
from taxi_ingest.report.past import nothing_done
from taxi_ingest.state.status import Cell, Grid, State

if TYPE_CHECKING:
    from rich.console import Console

_LOOKS: dict[State, tuple[str, str]] = {
    "done": ("", "bright_green"),
    "stale": ("", "bright_yellow"),
    "running": (">", "bright_yellow"),
    "failed": ("x", "bright_red"),
    "interrupted": ("!", "bright_magenta"),
    "not_published": ("-", "bright_cyan"),
    "missing": (".", "dim"),
}
"""Sign and colour of a state; done and stale show the step's letter, large and small."""

_TELLING = {"failed", "interrupted", "stale"}


def status(out: Console, grid: Grid, data_dir: Path, known: Sequence[Part]) -> None:
    """The grid, what the signs mean, and why what is not done is not."""
    if not grid:
        say(out, _nothing_of_those(known, data_dir) if known else nothing_done(data_dir))
        return
    for dataset, parts in groupby(grid, key=lambda part: part.dataset):
        _dataset(out, dataset, {part: grid[part] for part in parts})
    letters = ", ".join(f"{step[0].upper()} {step}" for step in STEPS)
    say(out, [f"{letters}; small letter: out of date"])
    signs = ((state, sign) for state, (sign, _) in _LOOKS.items() if sign)
    say(out, [", ".join(f"{sign} {state.replace('_', ' ')}" for state, sign in signs)])
    say(out, bounded(out, _reasons(grid), "See: taxi-ingest status --json"))


def _reasons(grid: Grid) -> list[str]:
    """Why what is not done is not, a line for all months of a dataset of which the same is to be said."""
    alike: dict[tuple[str, Step, str], list[tuple[Part, str]]] = {}
    for part, steps in grid.items():
        for step, cell in steps.items():
            if cell.state in _TELLING:
                worded = _worded(cell)
                of_any_month = worded.replace(part.month, "{month}") if part.month else worded
                alike.setdefault((part.dataset, step, of_any_month), []).append((part, worded))
    return [_reason(step, of_any_month, told) for (_, step, of_any_month), told in alike.items()]


def _reason(step: Step, of_any_month: str, told: Sequence[tuple[Part, str]]) -> str:
    (first, worded), *others = told
    if not others:
        return f"{first} {step} {worded}"
    months = in_spans(part.month or "" for part, _ in told)
    return f"{first.dataset}-{months} ({len(told):,} months) {step} {of_any_month}"


def _nothing_of_those(known: Sequence[Part], data_dir: Path) -> list[str]:
    """A sentence for months of which nothing is here, while there is something of those that are `known`."""
    return [f"Nothing of that is in {data_dir}, only {words.parts(known)}."]


def _dataset(out: Console, dataset: str, parts: Mapping[Part, Mapping[Step, Cell]]) -> None:
    months = {part.month: steps for part, steps in parts.items()}
    if None in months:
        out.print(Text(f"{dataset:8}").append_text(_cell(months[None])))
        out.print()
        return
    out.print(f"{dataset:8}{'  '.join(MONTH_NAMES)}", markup=False)
    for year in sorted({month[:4] for month in months if month}):
        line = Text(f"  {year}  ")
        for number in range(1, 13):
            line.append_text(_cell(months.get(f"{year}-{number:02d}"))).append(" ")
        line.rstrip()
        out.print(line)
    out.print()


def _cell(steps: Mapping[Step, Cell] | None) -> Text:
    if steps is None:
        return Text(" " * len(STEPS))
    text = Text()
    for step, cell in steps.items():
        sign, colour = _LOOKS[cell.state]
        letter = step[0].upper() if cell.state == "done" else step[0]
        text.append(sign or letter, colour)
    return text


def _worded(cell: Cell) -> str:
    return f"is out of date: {cell.why}" if cell.state == "stale" else f"{cell.state}: {cell.why}"
