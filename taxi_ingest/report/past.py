"""Runs, attempts and logs of the past."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from taxi_ingest import exits
from taxi_ingest.catalog import Part
from taxi_ingest.history import Note
from taxi_ingest.history.reading import PastAttempt, PastRun
from taxi_ingest.report import words

if TYPE_CHECKING:
    from rich.console import Console

_WORTH_A_COLUMN = 12  # characters

_ENDINGS = {
    exits.OK: ("ok", "bright_green"),
    exits.FAILED: ("failed", "bright_red"),
    exits.USAGE: ("refused", "bright_red"),
    exits.BUG: ("bug", "bright_red"),
    exits.NOT_PUBLISHED: ("not published", "bright_cyan"),
}


def runs(out: Console, found: Sequence[PastRun], data_dir: Path) -> None:
    """One line a run: id, start on this machine's clock, duration, end, what was asked for."""
    if not found:
        nothing_yet(out, data_dir)
        return
    head = f"{'run':20}  {'started':16}  {'took':>8}  {'ended':13}  "
    out.print(f"{head}request")
    for run in found:
        line = Text(f"{run.run:20}  {words.local_time(run.started)[:16]}  {words.took(run.seconds):>8}  ")
        word, colour = _ending(run)
        line.append(f"{word:13}  ", colour).append(_fitting(out, run.request, len(head)))
        out.print(line)


def nothing_yet(out: Console, data_dir: Path) -> None:
    """Say that nothing has happened yet, and where the demo's runs are recorded."""
    out.print(f"Nothing has been done in {data_dir} yet.", markup=False)
    if Path("demo-data", "state").is_dir() and not (data_dir / "state").exists():
        out.print("For the demo's data, add --data-dir demo-data.")


def run(
    out: Console,
    one: PastRun,
    attempts: Sequence[PastAttempt],
    outcomes: Sequence[tuple[Part, str, str]],
    notes: Sequence[Note],
) -> None:
    """One run: what was asked for, every attempt with its end, what was not reached, and what one should know."""
    word, colour = _ending(one)
    out.print(f"{one.run}: {one.request}  (taxi-ingest {one.version})", markup=False)
    out.print(
        Text.assemble(
            f"{words.local_time(one.started)}, ", (word, colour), f", {words.took(one.seconds) or 'end not recorded'}"
        )
    )
    wide = max((len(str(attempt.part)) for attempt in attempts), default=4)
    head = f"{'part':{wide}}  {'step':10}  try  {'outcome':13}  {'took':>8}  {'amount':>15}  "
    if attempts:
        out.print(f"\n{head}{_fitting(out, 'why', len(head))}".rstrip())
    for attempt in attempts:
        _attempt(out, attempt, wide, len(head))
    _unreached(out, outcomes)
    _notes(out, notes)


def reasons(out: Console, one: PastRun, notes: Sequence[Note]) -> None:
    """Why a run failed in which no step did, under a line that says whose it is."""
    word, colour = _ending(one)
    out.print(Text.assemble(f"==> {one.run}, ", (word, colour), f": {one.request}"))
    _notes(out, notes)


def log(out: Console, attempt: PastAttempt, text: str) -> None:
    """The log of one attempt under a line that says whose it is."""
    word, colour = words.MARKS[attempt.outcome]
    heading = f"==> {attempt.part} {attempt.step}, try {attempt.attempt}, "
    out.print(Text.assemble(heading, (word, colour), f": {attempt.log}"))
    out.print(text.rstrip("\n"), markup=False)


def _attempt(out: Console, attempt: PastAttempt, wide: int, width: int) -> None:
    word, colour = words.MARKS[attempt.outcome]
    number = attempt.rows if attempt.rows is not None else attempt.bytes
    amount = "" if number is None else words.amount("parquetize" if attempt.rows is not None else "", number)
    line = Text(f"{attempt.part!s:{wide}}  {attempt.step:10}  {attempt.attempt:3}  ")
    line.append(f"{word:13}", colour).append(f"  {words.took(attempt.seconds):>8}  {amount:>15}  ")
    out.print(line.append(_fitting(out, attempt.why, width)))
    if attempt.error:
        out.print(f"    {attempt.error}", markup=False)


def _notes(out: Console, notes: Sequence[Note]) -> None:
    for note in notes:
        out.print(f"{note.part}: {note.sentence}" if note.part else note.sentence, markup=False)


def _unreached(out: Console, outcomes: Sequence[tuple[Part, str, str]]) -> None:
    for part, theirs in groupby(outcomes, key=lambda one: one[0]):
        blocked = [step for _, step, outcome in theirs if outcome == "blocked"]
        if blocked:
            out.print(f"{part}: {', '.join(blocked)} blocked by the failure before", markup=False)


def _ending(one: PastRun) -> tuple[str, str]:
    if one.state != "finished" or one.exit is None:
        return words.MARKS["interrupted" if one.state == "finished" else one.state]
    return _ENDINGS.get(one.exit, (f"exit {one.exit}", "bright_red"))


def _fitting(out: Console, text: str, used: int) -> str:
    """`text` cut to what is left of a terminal's line, or left out; whole where lines have no end."""
    room = out.width - used
    if out.is_terminal and room < _WORTH_A_COLUMN:
        return ""
    return text if not out.is_terminal or len(text) <= room else f"{text[: room - 1]}…"
