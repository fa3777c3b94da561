"""Turn one block of CSV lines into one Batch.

Most blocks are clean and are parsed straight into their types. When a cell does not fit its type, the block is parsed
again as text and `columns.convert` finds the bad cells. When lines do not parse at all (an open quote, invalid UTF-8,
a CR within a line), the block is split in half until each bad line is isolated. All paths give the same result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.readers import NO_VALUE_LOADED, Batch, Reject
from taxi_ingest.readers.blocks import BytesLike, is_utf8
from taxi_ingest.readers.canonical import all_but, rows_with_a_value, schema_of, with_null_columns
from taxi_ingest.readers.columns import Converted, convert, has_finite_sum, reject_reason, trimmed
from taxi_ingest.readers.parsing import Lines, Parsed, Parser, RowShape

_NO_VALUE = b', \t\v\f"'
"""What a line without any value is made of."""

_FEW_ROWS = 16
"""Up to this many rows are cut out by slicing, without a copy; beyond that, many small chunks would slow the writer."""


@dataclass
class _Outcome:
    """The result of reading some lines; line numbers of rejects count from 1 at the start of the block."""

    tables: list[pa.Table] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    empty: int = 0
    nameless: frozenset[int] = frozenset()

    def add(self, other: _Outcome) -> _Outcome:
        self.tables += other.tables
        self.rejects += other.rejects
        self.codes += other.codes
        self.changed += other.changed
        self.empty += other.empty
        self.nameless |= other.nameless
        return self


class BlockReader:
    """Turns blocks of one file into Batches. Thread-safe.

    Columns that once needed conversion from text are read as text from then on, so that most blocks of a dirty file
    are parsed only once. This does not affect the result.
    """

    def __init__(self, shape: RowShape) -> None:
        self._shape = shape
        self._parser = Parser(shape)
        self._schema = schema_of(shape.columns)
        self.no_rows = self._schema.empty_table()
        self._by_name = {column.name: column for column in shape.columns}
        self._published = frozenset(shape.positions)
        self._as_text: set[str] = set()

    def batch(self, block: BytesLike) -> tuple[Batch, int]:
        """Read a block of complete lines; the last one must end in LF.

        Returns the Batch, whose rejects' line numbers count from 1 at the start of the block, and the number of lines
        in the block, including blank ones.
        """
        lines = Lines(block)
        outcome = self._read(lines)
        table = pa.concat_tables(outcome.tables or [self.no_rows])
        batch = Batch(
            table,
            lines.non_blank,
            outcome.rejects,
            outcome.codes,
            outcome.changed,
            outcome.empty,
            outcome.nameless,
        )
        return batch, lines.physical

    def _read(self, lines: Lines) -> _Outcome:
        if _may_be_hexadecimal(lines.parsed):
            self._as_text |= {name for name in self._shape.positions if self._by_name[name].type == "int64"}
        parsed = self._parser.parse(lines, self._as_text) or self._parser.parse(lines, self._published)
        if parsed is not None and (non_finite := self._non_finite(parsed)):
            self._as_text |= non_finite
            parsed = self._parser.parse(lines, self._as_text) or self._parser.parse(lines, self._published)
        if parsed is None:
            if not lines.non_blank:
                return _Outcome()
            return self._reject_single(lines) if lines.non_blank == 1 else self._read_halves(lines)
        rejects: list[Reject] = []
        if parsed.ragged:
            normalized, rejects = self._parser.normalize(lines, parsed)
            if normalized:
                return self._read(Lines(lines.published, lines.before, normalized))
        return self._convert_rows(lines, parsed, rejects)

    def _convert_rows(self, lines: Lines, parsed: Parsed, rejects: list[Reject]) -> _Outcome:
        """Convert parsed rows to the canonical columns; reject the rows that do not convert."""
        reasons = self._surplus_reasons(parsed.table)
        surplus = set(reasons)
        columns = dict(zip(parsed.table.column_names, parsed.table.itercolumns(), strict=True))
        converted = {name: self._convert_column(name, parsed.table) for name in self._texts_in(parsed)}
        for name, column in converted.items():
            columns[name] = column.array
            for row in set(_true_positions(column.bad)) - surplus:
                text = parsed.table[name][row].as_py()
                reasons.setdefault(row, []).append(reject_reason(self._by_name[name], text))
        table = with_null_columns(self._schema, columns, parsed.table.num_rows)
        filled = rows_with_a_value([table[name] for name in self._shape.positions])
        empty = set() if filled is None else set(_true_positions(pc.invert(filled))) - reasons.keys()
        for row in [row for row in empty if lines.line(parsed.ordinal(row)).strip(_NO_VALUE)]:
            empty.remove(row)
            reasons[row] = [NO_VALUE_LOADED]
        if reasons or empty:
            rejects += [lines.reject(parsed.ordinal(row), "; ".join(why)) for row, why in reasons.items()]
            rejects.sort(key=lambda reject: reject.line)
            left_out = sorted({*reasons, *empty})
            table = _drop_rows(left_out, table)
            kept = _drop_rows(left_out, parsed.table)  # what became of rows left out is not counted
            converted = {name: self._convert_column(name, kept) for name, c in converted.items() if c.notable}
        return _Outcome(
            [table],
            rejects,
            Counter({(name, text): n for name, c in converted.items() for text, n in c.unknown.items()}),
            Counter({(name, what): n for name, c in converted.items() for what, n in c.changed.items() if n}),
            len(empty),
            self._filled_nameless(parsed.table),
        )

    def _texts_in(self, parsed: Parsed) -> list[str]:
        return [name for name in self._shape.positions if name in parsed.texts]

    def _non_finite(self, parsed: Parsed) -> set[str]:
        """The columns of numbers that were parsed directly and have NaN or infinity, which only conversion tells."""
        direct = (name for name in self._shape.positions if name not in parsed.texts)
        doubles = (name for name in direct if self._by_name[name].type == "double")
        return {name for name in doubles if not has_finite_sum(parsed.table[name])}

    def _filled_nameless(self, table: pa.Table) -> frozenset[int]:
        """The positions of columns without a name that have a value."""
        named = self._parser.nameless.items()
        return frozenset(p for p, name in named if _true_positions(pc.is_valid(trimmed(_as_array(table[name])))))

    def _convert_column(self, name: str, table: pa.Table) -> Converted:
        """Convert a column that was read as text."""
        column = self._by_name[name]
        converted = convert(_as_array(table[name]), column)
        if not converted.direct and column.type != "string":
            self._as_text.add(name)
        return converted

    def _surplus_reasons(self, table: pa.Table) -> dict[int, list[str]]:
        """Reject reasons by row, for rows with a value in a field beyond the named ones."""
        reason = self._parser.count_reason(self._shape.width)
        filled = (_true_positions(pc.is_valid(trimmed(_as_array(table[name])))) for name in self._parser.spares)
        return {row: [reason] for rows in filled for row in rows}

    def _read_halves(self, lines: Lines) -> _Outcome:
        block, middle = lines.published, len(lines.published) // 2
        cut = block.find(b"\n", middle, -1) + 1 or block.rfind(b"\n", 0, middle) + 1
        between = lines.before + block.count(b"\n", 0, cut)
        outcome = self._read(Lines(block[:cut], lines.before))
        return outcome.add(self._read(Lines(block[cut:], between)))

    @staticmethod
    def _reject_single(lines: Lines) -> _Outcome:
        """Reject a single line that does not parse on its own, with the reason."""
        if lines.stray_cr:
            reject = lines.reject(0, "a carriage return within the line")
        elif not is_utf8(lines.published):
            reject = lines.reject(0, "not valid UTF-8")
        else:
            reject = lines.reject(0, "a quote is never closed", breaks_off=True)
        return _Outcome(rejects=[reject])


def _may_be_hexadecimal(lines: BytesLike) -> bool:
    # a single byte is found many times as fast as two, and is rare
    return any(letter in lines and b"0" + letter in lines for letter in (b"x", b"X"))


def _as_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _true_positions(mask: pa.BooleanArray | None) -> list[int]:
    """The positions at which a mask is true; none for None."""
    positions: list[int] = [] if mask is None else pc.indices_nonzero(mask).to_pylist()
    return positions


def _drop_rows(rows: Sequence[int], table: pa.Table) -> pa.Table:
    """The table without `rows`, which must be sorted."""
    if len(rows) > _FEW_ROWS:
        return table.filter(all_but(rows, table.num_rows))
    starts, ends = [0, *(row + 1 for row in rows)], [*rows, table.num_rows]
    return pa.concat_tables([table.slice(start, end - start) for start, end in zip(starts, ends, strict=True)])
