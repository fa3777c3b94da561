"""One block of CSV lines to one Batch.

Most blocks are clean and are parsed straight into their types. When a cell does not fit, the block is parsed again
as text and `columns.convert` finds the bad cells; when the lines themselves do not parse (an open quote, bytes that
are no UTF-8, a CR within a line), the block is halved until the bad lines stand alone. Which way a block takes never
changes what comes of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.readers import Batch, Reject
from taxi_ingest.readers.blocks import Count, count
from taxi_ingest.readers.columns import Converted, complaint, convert, schema_of, trimmed
from taxi_ingest.readers.parsing import Layout, Lines, Parsed, Parser


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


class BlockReader:
    """Turns blocks of one file into Batches; may be used by several threads at once.

    It remembers columns that needed text conversion and reads them as text from then on: that saves parsing most
    blocks of a dirty file twice, and changes no result.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._parser = Parser(layout)
        self._schema = schema_of(layout.columns)
        self._by_name = {column.name: column for column in layout.columns}
        self._as_text: set[str] = set()

    def batch(self, block: bytes) -> tuple[Batch, int]:
        """Read whole lines, the last one ending in LF: the Batch, reject lines counted from 1 at its start, and how
        many lines the block has with blank ones."""
        counted = count(block)
        outcome = self._read(Lines(block), counted)
        table = pa.concat_tables(outcome.tables or [self._schema.empty_table()])
        return Batch(table, counted.lines, outcome.rejects, outcome.codes), counted.physical

    def _read(self, lines: Lines, counted: Count) -> _Outcome:
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
                again = Lines(lines.published, lines.before, fixed)
                return self._read(again, count(fixed))
        else:
            rejects = []
        return self._rows(lines, parsed, rejects)

    def _rows(self, lines: Lines, parsed: Parsed, rejects: list[Reject]) -> _Outcome:
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
        if not pa.types.is_string(array.type) and not pa.types.is_dictionary(array.type):
            return Converted(array)
        converted = convert(array, self._by_name[name])
        if not converted.direct and array.type != self._typed[name]:
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
        reason = self.count_reason(self._layout.width)
        filled = (_true(pc.is_valid(trimmed(_one_array(table[name])))) for name in self._spares)
        return {row: [reason] for rows in filled for row in rows}

    def _halved(self, lines: Lines) -> _Outcome:
        block = lines.published
        cut = block.find(b"\n", len(block) // 2, -1) + 1 or block.rfind(b"\n", 0, len(block) // 2) + 1
        first, second = Lines(block[:cut], lines.before), Lines(block[cut:])
        second.before = lines.before + block.count(b"\n", 0, cut)
        outcome = self._read(first, count(first.published))
        return outcome.add(self._read(second, count(second.published)))

    @staticmethod
    def _alone(lines: Lines) -> _Outcome:
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
