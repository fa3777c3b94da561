"""One block of CSV lines to one Batch.

Most blocks are clean and are parsed straight into their types. When a cell does not fit, the block is parsed again
as text and `columns.convert` finds the bad cells; when the lines themselves do not parse (an open quote, bytes that
are no UTF-8, a CR within a line), the block is halved until the bad lines stand alone. Which way a block takes never
changes what comes of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.readers import Batch, Reject
from taxi_ingest.readers.blocks import Octets, is_utf8
from taxi_ingest.readers.columns import Converted, all_but, complaint, convert, schema_of, trimmed, with_null_columns
from taxi_ingest.readers.parsing import Layout, Lines, Parsed, Parser

_FEW = 16
"""So many rows are cut out of a table without copying it; with more, the pieces would be too many to write."""


@dataclass
class _Outcome:
    """What came of some lines; reject lines count from 1 at the start of the block."""

    tables: list[pa.Table] = field(default_factory=list)
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
        self._published = frozenset(layout.positions)
        self._as_text: set[str] = set()

    def batch(self, block: Octets) -> tuple[Batch, int]:
        """Read whole lines, the last one ending in LF.

        Returns the Batch, whose reject lines count from 1 at the start of the block, and the number of lines with
        the blank ones.
        """
        lines = Lines(block)
        outcome = self._read(lines)
        table = pa.concat_tables(outcome.tables or [self._schema.empty_table()])
        return Batch(table, lines.filled, outcome.rejects, outcome.codes), lines.physical

    def _read(self, lines: Lines) -> _Outcome:
        parsed = self._parser.parse(lines, self._as_text) or self._parser.parse(lines, self._published)
        if parsed is None:
            if not lines.filled:
                return _Outcome()
            return self._alone(lines) if lines.filled == 1 else self._halved(lines)
        rejects: list[Reject] = []
        if parsed.ragged:
            normal, rejects = self._parser.normal(lines, parsed)
            if normal:
                return self._read(Lines(lines.published, lines.before, normal))
        return self._rows(lines, parsed, rejects)

    def _rows(self, lines: Lines, parsed: Parsed, rejects: list[Reject]) -> _Outcome:
        """Convert what Arrow parsed to the canonical columns, and reject the rows that do not convert."""
        reasons = self._surplus(parsed.table)
        surplus = set(reasons)
        columns = dict(zip(parsed.table.column_names, parsed.table.itercolumns(), strict=True))
        unknown: dict[str, Counter[str]] = {}
        for name in filter(parsed.texts.__contains__, self._layout.positions):
            converted = self._converted(name, parsed.table)
            columns[name] = converted.array
            if converted.unknown:
                unknown[name] = converted.unknown
            for row in set(_true(converted.bad)) - surplus:
                text = parsed.table[name][row].as_py()
                reasons.setdefault(row, []).append(complaint(self._by_name[name], text))
        table = with_null_columns(self._schema, columns, parsed.table.num_rows)
        if reasons:
            rejects += [lines.reject(parsed.ordinal(row), "; ".join(why)) for row, why in reasons.items()]
            rejects.sort(key=lambda reject: reject.line)
            table = _without(sorted(reasons), table)
            if unknown:
                kept = _without(sorted(reasons), parsed.table)
                unknown = {name: self._converted(name, kept).unknown for name in unknown}
        codes = Counter({(name, text): n for name, texts in unknown.items() for text, n in texts.items()})
        return _Outcome([table], rejects, codes)

    def _converted(self, name: str, table: pa.Table) -> Converted:
        """A column that was read as text."""
        column = self._by_name[name]
        converted = convert(_one_array(table[name]), column)
        if not converted.direct and column.type != "string":
            self._as_text.add(name)
        return converted

    def _surplus(self, table: pa.Table) -> dict[int, list[str]]:
        """The rows that have something in a field after the named ones."""
        reason = self._parser.count_reason(self._layout.width)
        filled = (_true(pc.is_valid(trimmed(_one_array(table[name])))) for name in self._parser.spares)
        return {row: [reason] for rows in filled for row in rows}

    def _halved(self, lines: Lines) -> _Outcome:
        block, middle = lines.published, len(lines.published) // 2
        cut = block.find(b"\n", middle, -1) + 1 or block.rfind(b"\n", 0, middle) + 1
        between = lines.before + block.count(b"\n", 0, cut)
        outcome = self._read(Lines(block[:cut], lines.before))
        return outcome.add(self._read(Lines(block[cut:], between)))

    @staticmethod
    def _alone(lines: Lines) -> _Outcome:
        """Reject a single line that does not parse on its own."""
        reason = "a quote is never closed"
        if lines.stray_cr:
            reason = "a carriage return within the line"
        elif not is_utf8(lines.published):
            reason = "not valid UTF-8"
        return _Outcome(rejects=[lines.reject(0, reason)])


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _true(mask: pa.BooleanArray | None) -> list[int]:
    """The positions at which a mask (or None: nowhere) is true."""
    positions: list[int] = [] if mask is None else pc.indices_nonzero(mask).to_pylist()
    return positions


def _without(rows: Sequence[int], table: pa.Table) -> pa.Table:
    """The table without some rows, given in order."""
    if len(rows) > _FEW:
        return table.filter(all_but(rows, table.num_rows))
    starts, ends = [0, *(row + 1 for row in rows)], [*rows, table.num_rows]
    return pa.concat_tables([table.slice(start, end - start) for start, end in zip(starts, ends, strict=True)])
