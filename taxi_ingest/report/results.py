"""What came of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxi_ingest.catalog import Part
from taxi_ingest.engine.results import PartResult
from taxi_ingest.graph import STEPS, Outcome, Step
from taxi_ingest.printable import printable
from taxi_ingest.report import say, words
from taxi_ingest.report.fitting import bounded

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BEST_FIRST: tuple[Outcome, ...] = ("up_to_date", "done", "not_published", "blocked", "failed")
_MANY = 24
"""More parts than that get no row each on a terminal, which has about so many lines."""

_WIDEST = 200
"""Characters that a table may take where lines have no end."""


@dataclass(frozen=True)
class Hints:
    """What to type next: to see everything that was done, or what failed, and the first rows ("" for nothing)."""

    details: str
    failures: str
    preview: str = ""


def summary(out: Console, results: Sequence[PartResult], seconds: float, hints: Hints) -> None:
    """What came of a run: a row a part that was worked on, totals, and what to type next."""
    worked = [result for result in results if result.was_worked_on]
    shown, left = _worth_showing(out, worked)
    if shown:
        out.print(_fitting_table(out, shown), width=None if out.is_terminal else _WIDEST)
    if left:
        say(out, [f"and {words.count(left, 'other part')}. {hints.details}" if shown else hints.details])
    say(out, bounded(out, notes(results), hints.details))
    say(out, [_total(results, seconds), *([hints.failures] if any(map(_has_failed, results)) else [])])
    if hints.preview:
        out.file.write(f"Look at it: {printable(hints.preview)}\n")  # to be pasted into a shell: rich would expand tabs


def _worth_showing(out: Console, worked: Sequence[PartResult]) -> tuple[Sequence[PartResult], int]:
    """The parts that get a row, and how many do not: of very many on a terminal, those that did not end well."""
    if not out.is_terminal or len(worked) <= _MANY:
        return worked, 0
    shown = [result for result in worked if _ending(result) != "done"][:_MANY]
    return shown, len(worked) - len(shown)


def _total(results: Sequence[PartResult], seconds: float) -> str:
    """All parts by how they ended, the rows, and the rows that could not be read where that is known of all."""
    counts = Counter(_ending(result) for result in results)
    ends = [f"{counts[outcome]:,} {words.MARKS[outcome][0]}" for outcome in _BEST_FIRST if counts[outcome]]
    rejects = [result.rejects for result in results if result.rejects is not None]
    amounts = [f"{sum(result.rows or 0 for result in results):,} rows"]
    if len(rejects) == len(results) or any(rejects):
        amounts.append(f"{sum(rejects):,} rejects")
    return f"{words.count(len(results), 'part')}: {', '.join(ends)}; {', '.join(amounts)}, {words.took(seconds)}."


def _ending(result: PartResult) -> Outcome:
    """How a part ended: as the worst of its steps; one that was not reached in an interrupted run counts as blocked."""
    outcomes = set(result.steps.values())
    return next((outcome for outcome in reversed(_BEST_FIRST) if outcome in outcomes), "blocked")


def _has_failed(result: PartResult) -> bool:
    return _ending(result) in {"failed", "blocked"}


def notes(results: Sequence[PartResult], but_not: Collection[tuple[Part, str]] = ()) -> list[str]:
    """What a person should know of the parts, a line each, without what `but_not` says of them."""
    told = [(result.part, note) for result in results for note in result.told]
    return [f"  {part}: {note}" for part, note in told if (part, note) not in but_not]


def _fitting_table(out: Console, results: Sequence[PartResult]) -> Table:
    """The table of results, on a narrow terminal without the seconds."""
    from rich.measure import Measurement

    whole = _results_table(results, seconds=True)
    wanted = Measurement.get(out, out.options.update(width=_WIDEST), whole).maximum
    return whole if wanted <= out.width or not out.is_terminal else _results_table(results, seconds=False)


def _results_table(results: Sequence[PartResult], *, seconds: bool) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("part", no_wrap=True, min_width=max(len(str(result.part)) for result in results))
    for step in STEPS:
        table.add_column(step, min_width=len("published") if step == "download" else len(step))
    for heading in ("rows", "rejects", *(["seconds"] if seconds else [])):
        table.add_column(heading, justify="right", no_wrap=True, min_width=len(heading))
    for result in results:
        cells = (
            str(result.part),
            *_cells(result.steps),
            "" if result.rows is None else f"{result.rows:,}",
            "" if result.rejects is None else f"{result.rejects:,}",
            f"{result.seconds:.1f}",
        )
        table.add_row(*cells[: len(table.columns)])
    return table


def _cells(steps: Mapping[Step, Outcome]) -> Iterator[str]:
    """A cell a step; nothing for steps that were not reached, or that an earlier one speaks for."""
    unpublished = False
    for step in STEPS:
        outcome = steps.get(step)
        word, colour = words.MARKS[outcome] if outcome and not unpublished else ("", "")
        yield f"[{colour}]{word}[/]" if word else ""
        unpublished |= outcome == "not_published"
