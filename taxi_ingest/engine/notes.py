"""What a person should know of a conversion."""

from __future__ import annotations

from collections.abc import Iterator

from taxi_ingest.catalog import Part
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import Parquetized

MAX_DEVIATION = 0.01
"""By how much, as a share, a month may differ from its known rows before it is worth a word."""


def notes(part: Part, converted: Parquetized, layout: Layout) -> Iterator[str]:
    """A sentence for each thing that is odd about the file that was converted."""
    if converted.rejects:
        yield f"{converted.rejects:,} lines could not be read: {layout.rejects(part)} tells why"
    if not converted.rows:
        yield "the file has no rows"
    if converted.unknown_columns:
        yield f"unknown columns were left out: {', '.join(converted.unknown_columns)}"
    known, rows = converted.rows_expected, converted.rows
    if known and abs(rows - known) > MAX_DEVIATION * known:
        yield f"{rows:,} rows, but {known:,} are known of this month"
    for column, text, count in converted.unknown_codes:
        yield f"unknown code {text!r} in {column} became null {count:,} times"
    for column, what, count in converted.changed_values:
        yield f"{column}: {what}, {count:,} times"
    if converted.empty_lines:
        yield f"{converted.empty_lines:,} lines without any value were left out"
    if converted.unterminated:
        yield "the last line has no line end: the file may have been cut there"
    if converted.shares and not converted.shares.are_usual:
        yield f"{converted.shares.in_words(part.month)}: check that this is the right file"
