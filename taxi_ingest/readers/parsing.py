"""One block of CSV lines to one Batch.

Most blocks are clean and are parsed straight into their types. When a cell does not fit, the block is parsed again
as text and `columns.convert` finds the bad cells; when the lines themselves do not parse (an open quote, bytes that
are no UTF-8, a CR within a line), the block is halved until the bad lines stand alone. Which way a block takes never
changes what comes of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from taxi_ingest.catalog import Column
from taxi_ingest.readers import Batch, Reject
from taxi_ingest.readers.blocks import Count, count, fields, is_blank
from taxi_ingest.readers.columns import Converted, arrow_type, complaint, convert, schema_of, trimmed

SPARE = 2
"""How many empty fields a row may have after those the header names."""

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


def usual_width(lines: Iterable[bytes], names: int) -> int:
    """The field count that most of some data lines have, if it is a legal one; else as many as there are names."""
    seen = Counter(len(fields(line)) for line in lines if not is_blank(line))
    legal = {width: n for width, n in seen.items() if names <= width <= names + SPARE}
    return max(legal, key=lambda width: legal[width]) if legal else names


@dataclass
class _Outcome:
    """What came of some lines; reject lines count from 1 at the start of the block."""

    tables: list[Any] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, other: _Outcome) -> _Outcome:
        self.tables += other.tables
        self.rejects += other.rejects
        self.codes += other.codes
        return self


@dataclass
class _Lines:
    """Some lines of a block, the first being line `before` + 1 of it.

    `normal` is the same lines without the blank ones and with the usual number of fields, once that is needed.
    """

    published: bytes
    before: int = 0
    normal: bytes = b""

    @property
    def parsed(self) -> bytes:
        """What the parser gets to see."""
        return self.normal or self.published

    @cached_property
    def filled(self) -> list[tuple[int, bytes]]:
        """Line number and text, without its line end, of all lines that are not blank."""
        lines = enumerate(self.published.split(b"\n")[:-1], self.before + 1)
        return [(number, line.removesuffix(b"\r")) for number, line in lines if not is_blank(line)]

    def reject(self, ordinal: int, reason: str) -> Reject:
        """Reject the line that is number `ordinal`, from 0, of those that are not blank."""
        number, line = self.filled[ordinal]
        return Reject(number, reason, line.decode("utf-8", errors="replace"))


@dataclass
class _Parsed:
    """Rows as Arrow parsed them, and the lines (ordinal from 0 among those not blank → field count) it left out."""

    table: Any
    ragged: dict[int, int]

    def ordinals(self) -> Sequence[int]:
        """The line of each row, as an ordinal from 0 among those not blank."""
        total = self.table.num_rows + len(self.ragged)
        return [i for i in range(total) if i not in self.ragged] if self.ragged else range(total)


class BlockReader:
    """Turns blocks of one file into Batches; may be used by several threads at once.

    It remembers columns that needed text conversion and reads them as text from then on: that saves parsing most
    blocks of a dirty file twice, and changes no result.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._schema = schema_of(layout.columns)
        self._by_name = {column.name: column for column in layout.columns}
        named = {position: name for name, position in layout.positions.items()}
        self._fields = [named.get(i, f" {i}") for i in range(layout.width)]  # no column starts with a space
        self._spares = [self._fields[i] for i in layout.spares]
        self._included = [*layout.positions, *self._spares]
        # An open quote at the very end would go unnoticed without a line behind it.
        self._sentinel = b'""' + b"," * (layout.width - 1) + b"\n"
        self._as_text: set[str] = set()

    def batch(self, block: bytes) -> tuple[Batch, int]:
        """Read whole lines, the last one ending in LF: the Batch, reject lines counted from 1 at its start, and how
        many lines the block has with blank ones."""
        counted = count(block)
        outcome = self._read(_Lines(block), counted)
        table = pa.concat_tables(outcome.tables or [self._schema.empty_table()])
        return Batch(table, counted.lines, outcome.rejects, outcome.codes), counted.physical

    def _read(self, lines: _Lines, counted: Count) -> _Outcome:
        if not counted.lines:
            return _Outcome()
        parsed = self._parse(lines.parsed, counted, self._as_text) or self._parse(
            lines.parsed, counted, self._by_name
        )
        if parsed is None:
            return self._alone(lines) if counted.lines == 1 else self._halved(lines)
        if parsed.ragged:
            fixed, rejects = self._widths(lines, parsed)
            if fixed:
                again = _Lines(lines.published, lines.before, fixed)
                return self._read(again, count(fixed))
        else:
            rejects = []
        return self._rows(lines, parsed, rejects)

    def _parse(self, block: bytes, counted: Count, as_text: Iterable[str]) -> _Parsed | None:
        """Parse a block, some columns as text; None if a cell is not of its type or lines and rows do not add up."""
        if counted.stray_cr:  # the parser would end a line there
            return None
        guarded = b'"' in block
        text = block + self._sentinel if guarded else block
        ragged: dict[int, int] = {}
        try:
            table = self._arrow(text, frozenset(as_text), ragged)
        except (pa.ArrowInvalid, UnicodeDecodeError):  # the latter from a ragged row
            return None
        if table.num_rows + len(ragged) != counted.lines + guarded:
            return None
        return _Parsed(table.slice(0, table.num_rows - guarded), ragged)

    def _arrow(self, text: bytes, as_text: frozenset[str], ragged: dict[int, int]) -> Any:
        def leave_out(row: Any) -> str:
            ragged[row.number - 1] = row.actual_columns
            return "skip"

        types = {
            name: pa.string() if name in as_text else arrow_type(self._by_name[name])
            for name in self._layout.positions
        }
        return pa_csv.read_csv(
            pa.py_buffer(text),
            pa_csv.ReadOptions(column_names=self._fields, use_threads=False, block_size=len(text) + 1),
            pa_csv.ParseOptions(invalid_row_handler=leave_out),
            pa_csv.ConvertOptions(
                column_types=types | dict.fromkeys(self._spares, pa.string()),
                include_columns=self._included,
                null_values=[""],  # a short list is faster, and TLC writes no other
                strings_can_be_null=True,
            ),
        )

    def _widths(self, lines: _Lines, parsed: _Parsed) -> tuple[bytes, list[Reject]]:
        """Sort out rows of another width: the lines once more with the legal ones made usual (b"" if there are none
        of these), and the rejects."""
        rejects, fixed = [], {}
        seen = [line for line in lines.parsed.split(b"\n")[:-1] if not is_blank(line)]
        for ordinal, width in parsed.ragged.items():
            usual = self._usual(seen[ordinal].removesuffix(b"\r"), width)
            if usual is None:
                rejects.append(lines.reject(ordinal, self._count_reason(width)))
            else:
                fixed[ordinal] = usual
        if not fixed:
            return b"", rejects
        return b"".join(fixed.get(i, line) + b"\n" for i, line in enumerate(seen)), rejects

    def _usual(self, line: bytes, width: int) -> bytes | None:
        """A row with the usual number of fields, or None if its width is not legal."""
        layout = self._layout
        if not layout.names <= width <= layout.names + SPARE:
            return None
        for _ in range(width - layout.names):
            line, cut = _EMPTY_FIELD.subn(b"", line)
            if not cut:
                return None
        return line + b"," * (layout.width - layout.names)

    def _count_reason(self, width: int) -> str:
        return f"{width} field{'s' if width != 1 else ''}, {self._layout.names} expected"

    def _rows(self, lines: _Lines, parsed: _Parsed, rejects: list[Reject]) -> _Outcome:
        """Convert what Arrow parsed to the canonical columns, and reject the rows that do not convert."""
        reasons = self._surplus(parsed.table)
        surplus = set(reasons)
        arrays: dict[str, Any] = {}
        unknown: dict[str, Counter[str]] = {}
        for name in self._layout.positions:
            converted = self._converted(name, parsed.table)
            arrays[name] = converted.array
            if converted.unknown:
                unknown[name] = converted.unknown
            for row in set(_true(converted.bad)) - surplus:
                text = parsed.table[name][row].as_py()
                reasons.setdefault(row, []).append(complaint(self._by_name[name], text))
        kept = _all_but(reasons, parsed.table.num_rows) if reasons else None
        if kept is not None:
            ordinals = parsed.ordinals()
            rejects += [lines.reject(ordinals[row], "; ".join(why)) for row, why in reasons.items()]
            rejects.sort(key=lambda reject: reject.line)
            unknown = {name: self._converted(name, parsed.table.filter(kept)).unknown for name in unknown}
        codes = Counter({(name, text): n for name, texts in unknown.items() for text, n in texts.items()})
        return _Outcome([self._table(arrays, parsed.table.num_rows, kept)], rejects, codes)

    def _converted(self, name: str, table: Any) -> Converted:
        array = _one_array(table[name])
        if not pa.types.is_string(array.type):
            return Converted(array)
        converted = convert(array, self._by_name[name])
        if not converted.direct:
            self._as_text.add(name)
        return converted

    def _table(self, arrays: dict[str, Any], rows: int, kept: Any) -> Any:
        """All canonical columns in order, those not published as nulls; without the rows that are not `kept`."""
        table = pa.table(
            [
                arrays[field.name] if field.name in arrays else pa.nulls(rows, field.type)
                for field in self._schema
            ],
            schema=self._schema,
        )
        return table if kept is None else table.filter(kept)

    def _surplus(self, table: Any) -> dict[int, list[str]]:
        """The rows that have something in a field after the named ones."""
        reason = self._count_reason(self._layout.width)
        filled = (_true(pc.is_valid(trimmed(_one_array(table[name])))) for name in self._spares)
        return {row: [reason] for rows in filled for row in rows}

    def _halved(self, lines: _Lines) -> _Outcome:
        block = lines.published
        cut = block.find(b"\n", len(block) // 2, -1) + 1 or block.rfind(b"\n", 0, len(block) // 2) + 1
        first, second = _Lines(block[:cut], lines.before), _Lines(block[cut:])
        second.before = lines.before + block.count(b"\n", 0, cut)
        outcome = self._read(first, count(first.published))
        return outcome.add(self._read(second, count(second.published)))

    @staticmethod
    def _alone(lines: _Lines) -> _Outcome:
        """Reject a single line that does not parse on its own."""
        _, line = lines.filled[0]
        if b"\r" in line:
            reason = "a carriage return within the line"
        elif not _is_utf8(line):
            reason = "not valid UTF-8"
        else:
            reason = "a quote is never closed"
        return _Outcome(rejects=[lines.reject(0, reason)])


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _one_array(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _true(mask: Any) -> list[int]:
    """The positions at which a mask (or None: nowhere) is true."""
    positions: list[int] = [] if mask is None else pc.indices_nonzero(mask).to_pylist()
    return positions


def _all_but(rows: Iterable[int], total: int) -> Any:
    keep = bytearray(b"\x01") * total
    for row in rows:
        keep[row] = 0
    return pc.cast(pa.Array.from_buffers(pa.uint8(), total, [None, pa.py_buffer(keep)]), pa.bool_())
