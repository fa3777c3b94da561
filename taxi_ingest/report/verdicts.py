"""What `verify` finds: shown while it looks, and in sum."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from taxi_ingest.printable import printable
from taxi_ingest.redaction import redacted
from taxi_ingest.report import console, say, words
from taxi_ingest.verification import Verdict, Watcher

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from taxi_ingest.catalog import Part
    from taxi_ingest.place import Place

_DOLLARS_PER_TIB = 6.25
"""Google's price for queries on demand, in the US; other regions differ a little."""


def watching(out: TextIO, *, quiet: bool) -> AbstractContextManager[Watcher]:
    """A bar over the parts on a terminal, a line a part elsewhere; only findings when `quiet`."""
    if quiet or not out.isatty():
        return nullcontext(_Lines(out, quiet=quiet))
    return _Bar(out)


def sentences(verdict: Verdict) -> Iterator[str]:
    """A line for each finding: whose copy, where it is, what is wrong, what to do."""
    for one in verdict.findings:
        name = f"{one.step} receipt" if one.copy == "receipt" else one.copy
        yield redacted(f"{verdict.part} {name}: {one.where}: {one.wrong}; {one.remedy}.")


def cost(most_bytes: Mapping[Part, int], warehouse: Place) -> str:
    """What it costs to compare the values of months where they lie, before it is done."""
    total = sum(most_bytes.values())
    return (
        f"To compare the values of {words.count(len(most_bytes), 'part')}, {warehouse} reads them and bills at most "
        f"{words.size(total)}: ${total / 2**40 * _DOLLARS_PER_TIB:.4f} at ${_DOLLARS_PER_TIB} per TiB (on demand, in "
        "the US), less what is free each month."
    )


def summary(out: Console, verdicts: Sequence[Verdict], seconds: float, *, repairs: bool) -> None:
    """How many parts were looked at, how many are not as they should be and, unless it `repairs`, what mends them."""
    parts = [verdict for verdict in verdicts if not verdict.is_of_no_part]
    found = [finding for verdict in verdicts for finding in verdict.findings]
    if not found:
        say(out, [f"{words.count(len(parts), 'part')} intact, {words.took(seconds)}."])
        return
    bad = sum(bool(verdict.findings) for verdict in parts)
    where = f"{bad:,} of {words.count(len(parts), 'part')}"
    if len(parts) < len(verdicts):
        where += " and in rows that are of no part"
    mendable = any(one.step for one in found)
    hint = " The next `run` of these parts mends them, and so does --repair." if mendable and not repairs else ""
    say(out, [f"{words.count(len(found), 'finding')} in {where}, {words.took(seconds)}.{hint}"])


def _outcome(verdict: Verdict) -> str:
    """A part that is as it should be, in a line."""
    return "; ".join([f"{verdict.part}: intact", *verdict.notes])


class _Lines:
    def __init__(self, out: TextIO, *, quiet: bool) -> None:
        self._out = out
        self._quiet = quiet

    def begun(self, parts: int) -> None:
        """Nothing to say yet."""

    def ended(self, verdict: Verdict) -> None:
        """Say what was found."""
        lines = list(sentences(verdict))
        if not lines and not self._quiet:
            lines = [_outcome(verdict)]
        for line in lines:
            self._out.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {printable(line)}\n")
        self._out.flush()


class _Bar(AbstractContextManager["_Bar"]):
    def __init__(self, out: TextIO) -> None:
        from taxi_ingest.report.drawing import Drawing

        self._parts = self._ended = 0
        self._begun = time.monotonic()
        self._drawing = Drawing(console(out), self)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw how many of the parts were looked at."""
        from taxi_ingest.report.bars import bar, cut

        share = self._ended / self._parts if self._parts else 0.0
        seconds = (time.monotonic() - self._begun) * (1 - share) / share if share else None
        left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
        line = Text("verifying ").append_text(bar(share, 0, options))
        yield cut(line.append(f" {self._ended:,}/{self._parts:,} parts{left}"), options)

    def __enter__(self) -> _Bar:
        self._drawing.__enter__()
        return self

    def __exit__(self, *why: object) -> None:
        """Take the bar away."""
        self._drawing.__exit__(*why)

    def begun(self, parts: int) -> None:
        """Show how many there are."""
        self._parts = parts

    def ended(self, verdict: Verdict) -> None:
        """Move the bar, and say above it what was found."""
        self._ended += 1
        for line in [*sentences(verdict), *(f"{verdict.part}: {note}" for note in verdict.notes)]:
            self._drawing.say(Text(line))
