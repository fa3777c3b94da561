"""Lines of a block to rows of text or of typed values, by Arrow, with every line accounted for."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import pyarrow as pa
import pyarrow.csv as pa_csv

from taxi_ingest.catalog import Column
from taxi_ingest.readers import Reject
from taxi_ingest.readers.blocks import Count, Octets, count, fields, is_blank, is_utf8, line_ends
from taxi_ingest.readers.columns import arrow_type

SPARE = 2
"""How many empty fields a row may have after those the header names."""

_STRETCH = 8 << 10
"""Bytes. How closely the line ends of a block are counted: to find a line, that much is searched."""

_EMPTY_FIELD = re.compile(rb',[ \t\v\f]*(?:"[ \t\v\f]*"[ \t\v\f]*)?$')


@dataclass(frozen=True)
class Layout:
    """Where the canonical columns stand in a line: `positions` by column name, among `names` named fields.

    `width` is how many fields most rows have: `names`, or up to SPARE more.
    """

    columns: tuple[Column, ...]
    positions: dict[str, int]
    names: int
    width: int

    @property
    def spares(self) -> range:
        """The positions after the named ones."""
        return range(self.names, self.width)


def usual_width(lines: Iterable[Octets], names: int) -> int:
    """The field count most of these data lines have, among the legal ones; by default as many as there are names."""
    seen = Counter(len(fields(line)) for line in lines if not is_blank(line))
    legal = {width: n for width, n in seen.items() if names <= width <= names + SPARE}
    return max(legal, key=lambda width: legal[width]) if legal else names


class Lines:
    """Some lines of a block, the first being line `before` + 1 of it.

    `normal` is the same lines without the blank ones and with the usual number of fields, once that is needed: what
    the parser then gets to see.
    """

    def __init__(self, published: Octets, before: int = 0, normal: bytes = b"") -> None:
        self.published = published
        self.before = before
        self.parsed: Octets = normal or published

    @cached_property
    def ascii(self) -> bool:
        """Whether the lines are ASCII throughout."""
        return self.published.isascii()

    @cached_property
    def physical(self) -> int:
        """How many lines there are, as published."""
        return line_ends(self.published, ascii_only=self.ascii)

    @cached_property
    def filled(self) -> int:
        """How many of them are not blank. Whoever finds that out for less than it costs here may set it."""
        return self._count.lines

    @property
    def stray_cr(self) -> int:
        """How many CRs end no line."""
        return self._count.stray_cr if b"\r" in self.published else 0

    @cached_property
    def _count(self) -> Count:
        return count(self.published)

    def reject(self, ordinal: int, reason: str) -> Reject:
        """Reject the line that is number `ordinal`, from 0, of those that are not blank."""
        line = self.line(ordinal).decode("utf-8", errors="replace")
        return Reject(self.before + self._indices[ordinal] + 1, reason, line)

    def line(self, ordinal: int) -> Octets:
        """The line that is number `ordinal`, from 0, of those that are not blank, without its line end."""
        index = self._indices[ordinal]
        stretch = max(bisect_left(self._above, index) - 1, 0)
        start = stretch * _STRETCH
        for _ in range(index - self._above[stretch]):
            start = self.published.index(b"\n", start) + 1
        return self.published[start : self.published.index(b"\n", start)].removesuffix(b"\r")

    @cached_property
    def _above(self) -> list[int]:
        """How many lines end above each stretch of the block."""
        starts = range(0, len(self.published), _STRETCH)
        return list(accumulate((self.published.count(b"\n", s, s + _STRETCH) for s in starts), initial=0))

    @cached_property
    def _indices(self) -> Sequence[int]:
        """The indices of the lines that are not blank."""
        if self.filled == self.physical:
            return range(self.physical)
        lines: Sequence[Octets] = self.published.split(b"\n")[:-1]
        return [i for i, line in enumerate(lines) if not is_blank(line)]


@dataclass(frozen=True)
class Parsed:
    """Rows as Arrow parsed them, and the lines of another width, which it left out.

    The columns `texts` are still to be converted. `ragged` tells the field count of what was left out by ordinal,
    from 0, among the lines that are not blank.
    """

    table: pa.Table
    texts: Set[str]
    ragged: dict[int, int]

    def ordinal(self, row: int) -> int:
        """The line of a row, as an ordinal from 0 among those not blank."""
        for left_out in self.ragged:  # they are in order
            if left_out > row:
                break
            row += 1
        return row


class Parser:
    """Parses lines of one file. Holds no state between calls."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        named = {position: name for name, position in layout.positions.items()}
        self._fields = [named.get(i, f" {i}") for i in range(layout.width)]  # no column starts with a space
        self.spares = [self._fields[i] for i in layout.spares]
        self._typed = {c.name: arrow_type(c) for c in layout.columns if c.name in layout.positions}
        self._texts = {c.name for c in layout.columns if c.type == "string"}.intersection(self._typed)
        # An open quote at the very end would go unnoticed without a line behind it.
        self._sentinel = b'""' + b"," * (layout.width - 1) + b"\n"

    def parse(self, lines: Lines, as_text: Set[str]) -> Parsed | None:
        """Parse lines, the values of some columns as text.

        None when a cell is not of its type, or when lines and rows do not add up.
        """
        # The parser would end a line at a stray CR, and cannot hand over a ragged row that is no UTF-8.
        if lines.stray_cr or not (lines.ascii or is_utf8(lines.parsed)):
            return None
        guarded = b'"' in lines.parsed
        octets = lines.parsed + self._sentinel if guarded else lines.parsed
        texts = self._texts.union(as_text)
        ragged: dict[int, int] = {}
        try:
            table = self._arrow(octets, texts - self._texts, ragged, quotes=guarded)
        except pa.ArrowInvalid:
            return None
        rows = table.num_rows + len(ragged) - guarded
        if rows == lines.physical:
            lines.filled = rows  # the parser leaves blank lines out, so there are none
        if rows != lines.filled:
            return None
        return Parsed(table.slice(0, table.num_rows - guarded), texts, ragged)

    def _arrow(self, octets: Octets, as_text: set[str], ragged: dict[int, int], *, quotes: bool) -> pa.Table:
        def leave_out(row: pa_csv.InvalidRow) -> str:
            ragged[row.number - 1] = row.actual_columns
            return "skip"

        types = {name: pa.string() if name in as_text else kind for name, kind in self._typed.items()}
        return pa_csv.read_csv(
            pa.py_buffer(octets),
            pa_csv.ReadOptions(column_names=self._fields, use_threads=False, block_size=len(octets) + 1),
            pa_csv.ParseOptions(quote_char='"' if quotes else False, invalid_row_handler=leave_out),
            pa_csv.ConvertOptions(
                column_types=types | dict.fromkeys(self.spares, pa.string()),
                include_columns=[*self._typed, *self.spares],
                null_values=[""],  # a short list is faster, and TLC writes no other
                strings_can_be_null=True,
                check_utf8=False,  # that was done for all cells at once
            ),
        )

    def normal(self, lines: Lines, parsed: Parsed) -> tuple[bytes, list[Reject]]:
        """Sort out rows of another width.

        Returns the lines once more with the legal ones made usual (b"" if there are none), and the rejects.
        """
        rejects, fixed = [], {}
        for ordinal, width in parsed.ragged.items():
            usual = self._usual(lines.line(ordinal), width)
            if usual is None:
                rejects.append(lines.reject(ordinal, self.count_reason(width)))
            else:
                fixed[ordinal] = usual
        if not fixed:
            return b"", rejects
        seen = (line for line in lines.parsed.split(b"\n")[:-1] if not is_blank(line))
        return b"".join(fixed.get(i, line) + b"\n" for i, line in enumerate(seen)), rejects

    def _usual(self, line: Octets, width: int) -> Octets | None:
        """A row with the usual number of fields, or None if its width is not legal."""
        layout = self._layout
        if not layout.names <= width <= layout.names + SPARE:
            return None
        for _ in range(width - layout.names):
            line, cut = _EMPTY_FIELD.subn(b"", line)
            if not cut:
                return None
        return line + b"," * (layout.width - layout.names)

    def count_reason(self, width: int) -> str:
        """Why a row of `width` fields is rejected."""
        return f"{width} field{'s' if width != 1 else ''}, {self._layout.names} expected"
