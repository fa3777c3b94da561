"""Parse lines of a block with Arrow, as text or typed values, and account for every line."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import pyarrow as pa
import pyarrow.csv as pa_csv

from taxi_ingest.catalog import Column
from taxi_ingest.readers import Reject
from taxi_ingest.readers.blocks import BytesLike, Count, count, count_line_ends, fields, is_blank, is_utf8
from taxi_ingest.readers.canonical import arrow_type

MAX_SPARES = 2
"""How many empty fields a row may have beyond those named in the header."""

_EMPTY_FIELD = re.compile(rb',[ \t\v\f]*(?:"[ \t\v\f]*"[ \t\v\f]*)?$')


@dataclass(frozen=True)
class RowShape:
    """How the fields of a line are used.

    `positions` are those of the published canonical columns, from 0. The header has `header_fields` fields, of which
    those from `named_fields` on have no name; a row has at least `named_fields`. `nameless` are the positions of all
    header fields without a name. `width` is the usual number of fields of a row.
    """

    columns: tuple[Column, ...]
    positions: dict[str, int]
    named_fields: int
    header_fields: int
    nameless: tuple[int, ...]
    width: int

    @property
    def widest(self) -> int:
        """The most fields a row may have."""
        return max(self.header_fields, self.named_fields + MAX_SPARES)

    @property
    def spares(self) -> range:
        """The positions of the fields beyond those of the header, which must be empty."""
        return range(self.header_fields, self.width)


def row_shape(
    header: Sequence[str], positions: dict[str, int], columns: tuple[Column, ...], sample: Iterable[BytesLike]
) -> RowShape:
    """The RowShape of lines under `header`, whose empty names are nameless; `sample` are some of the lines."""
    nameless = tuple(position for position, name in enumerate(header) if not name)
    names = max((position + 1 for position, name in enumerate(header) if name), default=0)
    shape = RowShape(columns, positions, names, len(header), nameless, len(header))
    seen = Counter(len(fields(line)) for line in sample if not is_blank(line))
    legal = {width: n for width, n in seen.items() if names <= width <= shape.widest}
    usual = max(legal, key=lambda width: legal[width]) if legal else len(header)
    return replace(shape, width=usual, nameless=tuple(position for position in nameless if position < usual))


class Lines:
    """Consecutive lines of a block, after the block's first `before` lines.

    `normalized`, if given, is what the parser reads instead of `published`: the same lines, without blank ones and
    with the usual number of fields.
    """

    def __init__(self, published: BytesLike, before: int = 0, normalized: bytes = b"") -> None:
        self.published = published
        self.before = before
        self.parsed: BytesLike = normalized or published

    @cached_property
    def ascii(self) -> bool:
        """Whether all lines are ASCII."""
        return self.published.isascii()

    @cached_property
    def physical(self) -> int:
        """The number of published lines, including blank ones."""
        return count_line_ends(self.published)

    @cached_property
    def non_blank(self) -> int:
        """The number of lines that are not blank. Counting is slow: a caller that knows the number may assign it."""
        return self._count.lines

    @property
    def stray_cr(self) -> int:
        """The number of CRs that are not part of a line end."""
        return self._count.stray_cr if b"\r" in self.published else 0

    @cached_property
    def _count(self) -> Count:
        return count(self.published)

    def reject(self, ordinal: int, reason: str, *, breaks_off: bool = False) -> Reject:
        """The Reject for line `ordinal`, counted from 0 without blank lines."""
        line = self.line(ordinal).decode("utf-8", errors="replace")
        return Reject(self.before + self._indices[ordinal] + 1, reason, line, breaks_off)

    def line(self, ordinal: int) -> BytesLike:
        """Line `ordinal`, counted from 0 without blank lines; without its line end."""
        index = self._indices[ordinal]
        return self.published[self._starts[index] : self._starts[index + 1] - 1].removesuffix(b"\r")

    @cached_property
    def _starts(self) -> array[int]:
        """Where each line begins, blank ones too, and where the last one ends."""
        return array("I", chain([0], (found.end() for found in re.finditer(b"\n", self.published))))

    @cached_property
    def _indices(self) -> Sequence[int]:
        """The indices, among all lines, of those that are not blank."""
        if self.non_blank == self.physical:
            return range(self.physical)
        lines: Sequence[BytesLike] = self.published.split(b"\n")[:-1]
        return [i for i, line in enumerate(lines) if not is_blank(line)]


@dataclass(frozen=True)
class Parsed:
    """The rows that Arrow parsed; lines with an unusual number of fields are left out.

    The columns `texts` are still text, to be converted. `ragged` maps each line left out (its ordinal, from 0, without
    blank lines) to its number of fields, in file order.
    """

    table: pa.Table
    texts: Set[str]
    ragged: dict[int, int]

    def ordinal(self, row: int) -> int:
        """The ordinal of a row's line, from 0, without blank lines."""
        return row + bisect_right(self._rows_before, row)

    @cached_property
    def _rows_before(self) -> list[int]:
        """For each line left out, the number of rows before it."""
        return [ordinal - number for number, ordinal in enumerate(self.ragged)]


class Parser:
    """Parses lines of one file. Stateless, so thread-safe."""

    def __init__(self, shape: RowShape) -> None:
        self._shape = shape
        named = {position: name for name, position in shape.positions.items()}
        self._fields = [named.get(i, f" {i}") for i in range(shape.width)]  # no column name starts with a space
        self.spares = [self._fields[i] for i in shape.spares]
        self.nameless = {position: self._fields[position] for position in shape.nameless}
        self._unnamed = [*self.spares, *self.nameless.values()]
        self._typed = {c.name: arrow_type(c) for c in shape.columns if c.name in shape.positions}
        self._texts = {c.name for c in shape.columns if c.type == "string"}.intersection(self._typed)
        # Without a line after it, an open quote in the last line would go unnoticed.
        self._sentinel = b'""' + b"," * (shape.width - 1) + b"\n"

    def parse(self, lines: Lines, as_text: Set[str]) -> Parsed | None:
        """Parse lines, reading the columns `as_text` as text.

        Returns None when a cell does not fit its type, or when the number of rows differs from that of lines.
        """
        # Arrow would split a line at a stray CR, and fails to report a ragged row that is not UTF-8.
        if lines.stray_cr or not (lines.ascii or is_utf8(lines.parsed)):
            return None
        guarded = b'"' in lines.parsed
        data = lines.parsed + self._sentinel if guarded else lines.parsed
        texts = self._texts.union(as_text)
        ragged: dict[int, int] = {}
        try:
            table = self._arrow(data, texts - self._texts, ragged, quotes=guarded)
        except pa.ArrowInvalid:
            return None
        rows = table.num_rows + len(ragged) - guarded
        if rows == lines.physical:
            lines.non_blank = rows  # the parser skips blank lines, so there are none
        if rows != lines.non_blank:
            return None
        return Parsed(table.slice(0, table.num_rows - guarded), texts, ragged)

    def _arrow(self, data: BytesLike, as_text: set[str], ragged: dict[int, int], *, quotes: bool) -> pa.Table:
        def leave_out(row: pa_csv.InvalidRow) -> str:
            ragged[row.number - 1] = row.actual_columns
            return "skip"

        types = {name: pa.string() if name in as_text else kind for name, kind in self._typed.items()}
        return pa_csv.read_csv(
            pa.py_buffer(data),
            pa_csv.ReadOptions(column_names=self._fields, use_threads=False, block_size=len(data) + 1),
            pa_csv.ParseOptions(quote_char='"' if quotes else False, invalid_row_handler=leave_out),
            pa_csv.ConvertOptions(
                column_types=types | dict.fromkeys(self._unnamed, pa.string()),
                include_columns=[*self._typed, *self._unnamed],
                null_values=[""],  # a short list is faster, and TLC uses no other null value
                strings_can_be_null=True,
                check_utf8=False,  # already checked for the whole block
            ),
        )

    def normalize(self, lines: Lines, parsed: Parsed) -> tuple[bytes, list[Reject]]:
        """Give ragged lines the usual number of fields, or reject them.

        Returns all lines, those fixed included (b"" if no line could be fixed), and the rejects.
        """
        rejects, fixed = [], {}
        for ordinal, width in parsed.ragged.items():
            line = self._normalize_line(lines.line(ordinal), width)
            if line is None:
                breaks_off = width < self._shape.named_fields
                rejects.append(lines.reject(ordinal, self.count_reason(width), breaks_off=breaks_off))
            else:
                fixed[ordinal] = line
        if not fixed:
            return b"", rejects
        present = (line for line in lines.parsed.split(b"\n")[:-1] if not is_blank(line))
        return b"".join(fixed.get(i, line) + b"\n" for i, line in enumerate(present)), rejects

    def _normalize_line(self, line: BytesLike, width: int) -> BytesLike | None:
        """The line with the usual number of fields, or None if its width or its extra fields are invalid."""
        shape = self._shape
        if not shape.named_fields <= width <= shape.widest:
            return None
        for _ in range(width - shape.width):
            line, cut = _EMPTY_FIELD.subn(b"", line)
            if not cut:
                return None
        return line + b"," * (shape.width - width)

    def count_reason(self, width: int) -> str:
        """The reject reason for a row of `width` fields."""
        return f"{width} field{'s' if width != 1 else ''}, {self._shape.named_fields} expected"
