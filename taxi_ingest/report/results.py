"""What came of a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from taxi_ingest.catalog import Part
from taxi_ingest.engine.results import PartResult
from taxi_ingest.graph import STEPS, Outcome
from taxi_ingest.report import say, words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def summary(out: Console, results: Sequence[PartResult], seconds: float, hint: str) -> None:
    """What came of a run: a row a part that was worked on, totals, and the line that opens the table."""
    worked = [result for result in results if result.was_worked_on]
    if worked:
        out.print(_results_table(worked))
    say(out, notes(results))
    rows = sum(result.rows or 0 for result in results)
    rejects = sum(result.rejects or 0 for result in results)
    idle = len(results) - len(worked)
    up_to_date = f", {idle:,} already up to date" if idle else ""
    failures = sum("failed" in result.steps.values() for result in results)
    failed = f", {failures:,} failed" if failures else ""
    parts = f"{words.count(len(results), 'part')}{up_to_date}{failed}"
    out.print(f"{parts}: {rows:,} rows, {rejects:,} rejects, {words.took(seconds)}.")
    if hint:
        out.file.write(f"Look at it: {hint}\n")  # to be pasted into a shell: rich would expand tabs


def notes(results: Sequence[PartResult], but_not: Collection[tuple[Part, str]] = ()) -> list[str]:
    """What a person should know of the parts, a line each, without what `but_not` says of them."""
    told = [(result.part, note) for result in results for note in result.told]
    return [f"  {part}: {note}" for part, note in told if (part, note) not in but_not]


def _results_table(results: Sequence[PartResult]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("part", no_wrap=True)
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
    word, colour = words.MARKS[outcome]
    return f"[{colour}]{word}[/]"
