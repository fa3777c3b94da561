"""Everything a person sees on a terminal. The only importer of rich.

`views` chooses between `plain` and `live`, which show a run as it happens, `live` with `bars`, `progress` and
`drawing`. `results` shows what came of a run, `past` the history, `grids` the status, `plans` the plan, `verdicts` what
verify finds, `cleanings` what may be removed, `answers` what a query gives (`values` for Python), `counts` how many
rows there are, `listing` settings, catalog and checks. `words` is how amounts and outcomes are put, `fitting` how text
fits its line, `screen` what all of them write through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from taxi_ingest.redaction import redacted
from taxi_ingest.report.fitting import table, wrapped

if TYPE_CHECKING:
    from rich.console import Console


def console(file: TextIO | None = None, *, stderr: bool = False) -> Console:
    """A console on stdout, on stderr or on `file`; see `screen`."""
    from taxi_ingest.report.screen import Screen

    return Screen(file, stderr=stderr)


def say(out: Console, sentences: Iterable[str]) -> None:
    """Print sentences, each on lines of its own."""
    for sentence in sentences:
        out.print(wrapped(out, sentence), markup=False)


def tell(sentence: str) -> None:
    """Print a sentence to stderr, at once."""
    say(console(stderr=True), [sentence])


def error(message: str, file: TextIO | None = None) -> None:
    """Print what went wrong to stderr (or `file`), whatever it quotes without secrets."""
    from rich.text import Text

    out = console(file) if file else console(stderr=True)
    text = Text(wrapped(out, f"error: {redacted(message)}"))
    text.stylize("bright_red", 0, len("error:"))
    out.print(text)


def lines(out: Console, rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of text in columns, and an empty line."""
    for line in table(rows, out.width if out.is_terminal else None):
        out.print(line, markup=False)
    out.print()
