"""Everything a person sees. The only importer of rich.

`plain` and `live` are the views that show a run as it happens; `results` shows what came of it; `past` the history,
`grids` the status, `plans` the plan, `verdicts` what verify finds, `cleanings` what may be removed, `answers` what a
query gives, `counts` how many rows there are, `listing` settings, catalog and checks; `words` how amounts and outcomes
are put.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from taxi_ingest.redaction import redacted

if TYPE_CHECKING:
    from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console that wraps nothing, colours only terminals and takes no `:x:` for an emoji; rich honours NO_COLOR."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=True)


def say(out: Console, sentences: Sequence[str]) -> None:
    """Print sentences as they are."""
    for sentence in sentences:
        out.print(sentence, markup=False)


def error(message: str, file: TextIO | None = None) -> None:
    """Print what went wrong to stderr (or `file`), whatever it quotes without secrets."""
    from rich.console import Console
    from rich.text import Text

    out = Console(file=file, highlight=False, emoji=False, soft_wrap=True) if file else console(stderr=True)
    out.print(Text.assemble(("error:", "bright_red"), f" {redacted(message)}"))


def lines(out: Console, rows: Sequence[tuple[str, ...]]) -> None:
    """Rows of text in columns as wide as they must be, whatever the width of the terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.print(f"  {line}".rstrip(), markup=False)
    out.print()
