"""Runs, attempts and logs of the past."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from taxi_ingest import exits
from taxi_ingest.catalog import Part
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.history import Note
from taxi_ingest.history.reading import PastAttempt, PastRun
from taxi_ingest.report import say, words

if TYPE_CHECKING:
    from rich.console import Console

_BEGINS_ENTRY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:,]+ [A-Z]+ ")
"""How an entry of a log begins; its other lines belong to the same entry."""

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
    room = out.width - len(head) if out.is_terminal else sys.maxsize
    out.print(f"{head}request")
    for run in found:
        line = Text(f"{run.run:20}  {words.local_time(run.started)[:16]}  {words.took(run.seconds):>8}  ")
        word, colour = _ending(run)
        line.append(f"{word:13}  ", colour)
        out.print(line.append(run.request if len(run.request) <= room else ""))
        if len(run.request) > room:
            say(out, [f"    {run.request}"])


def nothing_yet(out: Console, data_dir: Path) -> None:
    """Say that nothing has happened yet, and where the demo's runs are recorded."""
    say(out, nothing_done(data_dir))


def nothing_done(data_dir: Path) -> list[str]:
    """Sentences for a data directory in which nothing has happened yet."""
    return [f"Nothing has been done in {data_dir} yet.", *where_the_demo_is(data_dir)]


def where_the_demo_is(data_dir: Path) -> list[str]:
    """How to look at the demo's data, where that is here and nothing is in `data_dir`."""
    if Path("demo-data", "state").is_dir() and not (data_dir / "state").exists():
        return ["For the demo's data, add --data-dir demo-data."]
    return []


def run(
    out: Console,
    one: PastRun,
    attempts: Sequence[PastAttempt],
    outcomes: Sequence[tuple[Part, Step, Outcome]],
    notes: Sequence[Note],
) -> None:
    """One run: what was asked for, every attempt with its end, what was not reached, and what one should know."""
    word, colour = _ending(one)
    say(out, [f"{one.run}: {one.request}  (taxi-ingest {one.version})"])
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
    say(out, [*_unreached(outcomes), *_found_done(one)])
    say(out, _in_words(notes))


def reasons(out: Console, one: PastRun, notes: Sequence[Note]) -> None:
    """Why a run failed in which no step did, under a line that says whose it is."""
    word, colour = _ending(one)
    out.print(Text.assemble(f"==> {one.run}, ", (word, colour), f": {one.request}"))
    say(out, _in_words(notes))


def log(out: Console, attempt: PastAttempt, text: str) -> None:
    """The log of one attempt under a line that says whose it is."""
    word, colour = words.MARKS[attempt.outcome]
    heading = f"==> {attempt.part} {attempt.step}, try {attempt.attempt}, "
    out.print(Text.assemble(heading, (word, colour), f": {attempt.log}"))  # a path, to be copied: it is not wrapped
    for line in text.rstrip("\n").splitlines():
        if _BEGINS_ENTRY.match(line):
            say(out, [line])
        else:  # of a traceback, in which signs stand below words
            out.print(line, markup=False)


def without_tracebacks(text: str) -> str:
    """A log without the tracebacks of faults that are no bug: the line before each says what went wrong."""
    kept, hidden, told = [], False, False
    for line in text.splitlines():
        if _BEGINS_ENTRY.match(line):
            hidden, told = False, " ERROR this try failed: " in line
        hidden = hidden or (told and line == "Traceback (most recent call last):")
        if not hidden:
            kept.append(line)
    return "\n".join(kept)


def _attempt(out: Console, attempt: PastAttempt, wide: int, width: int) -> None:
    word, colour = words.MARKS[attempt.outcome]
    number = attempt.rows if attempt.rows is not None else attempt.bytes
    amount = "" if number is None else words.amount("parquetize" if attempt.rows is not None else "", number)
    line = Text(f"{attempt.part!s:{wide}}  {attempt.step:10}  {attempt.attempt:3}  ")
    line.append(f"{word:13}", colour).append(f"  {words.took(attempt.seconds):>8}  {amount:>15}  ")
    out.print(line.append(_fitting(out, attempt.why, width)))
    if attempt.error:
        say(out, [f"    {attempt.error}"])


def _in_words(notes: Sequence[Note]) -> list[str]:
    return [f"{note.part}: {note.sentence}" if note.part else note.sentence for note in notes]


def _unreached(outcomes: Sequence[tuple[Part, Step, Outcome]]) -> Iterator[str]:
    for part, theirs in groupby(outcomes, key=lambda one: one[0]):
        blocked = [step for _, step, outcome in theirs if outcome == "blocked"]
        if blocked:
            yield f"{part}: {', '.join(blocked)} blocked by the failure before"


def _found_done(one: PastRun) -> Iterator[str]:
    """How much a run found done already."""
    if steps := one.outcomes.get("up_to_date"):
        yield f"{words.count(steps, 'step')} up to date"


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
