"""Text that fits its line: wrapped at words on a terminal, whole where lines have no end (files, pipes)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WORTH_A_COLUMN = 40
"""Characters below which the last column of a table stands on lines of its own."""

_BELOW = 4
"""How far such lines are indented."""

_SHOWN = 20
"""So many of lines alike are shown on a terminal."""


def wrapped(out: Console, text: str, indent: int = 2) -> str:
    """`text` in lines as wide as the terminal, all but the first further in by `indent`.

    A word that is too long for a line, such as a path, stays whole, so that it can be copied.
    """
    if not out.is_terminal:
        return text
    return "\n".join(line for paragraph in text.splitlines() for line in _lines_of(paragraph, out.width, indent))


def bounded(out: Console, sentences: Sequence[str], rest: str) -> list[str]:
    """`sentences`; on a terminal only the first of very many, and how many follow, with `rest`, which tells where."""
    left = len(sentences) - _SHOWN
    if not out.is_terminal or left <= 1:
        return list(sentences)
    return [*sentences[:_SHOWN], f"and {left:,} more. {rest}"]


def table(rows: Sequence[tuple[str, ...]], width: int | None) -> list[str]:
    """Rows of text in columns, as lines of at most `width` characters; None: however wide they must be.

    What is too long in the last column continues below itself, or, where there is little room, on lines of its own.
    """
    *widths, _ = (max(len(row[column]) for row in rows) for column in range(len(rows[0])))
    return [line for row in rows for line in _row(row, widths, width)]


def _row(row: tuple[str, ...], widths: Sequence[int], width: int | None) -> list[str]:
    *cells, last = row
    start = "".join(f"  {cell:{wide}}" for cell, wide in zip(cells, widths, strict=True)) + "  "
    room = None if width is None else width - len(start)
    if room is None or len(last) <= room:
        return [f"{start}{last}".rstrip()]
    if room < _WORTH_A_COLUMN:
        return [start.rstrip(), *_lines_of(f"{'':{_BELOW}}{last}", width or 0, 0)]
    first, *others = _lines_of(last, room, 0)
    return [f"{start}{first}", *(f"{'':{len(start)}}{line}" for line in others)]


def _lines_of(text: str, width: int, indent: int) -> list[str]:
    start = len(text) - len(text.lstrip())
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * (start + indent),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]
