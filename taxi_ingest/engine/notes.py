"""What a person should know of a conversion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from taxi_ingest.catalog import Part
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import Parquetized
from taxi_ingest.writers.findings import UnknownCode

MAX_DEVIATION = 0.01
"""By how much, as a share, a month may differ from its known rows before it is worth a word."""


MOST_CODES = 10
"""So many unknown codes get a sentence each."""


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
    yield from _of_codes(converted.unknown_codes)
    for column, what, count in converted.changed_values:
        yield f"{column}: {what}, {count:,} times"
    if converted.empty_lines:
        yield f"{converted.empty_lines:,} lines without any value were left out"
    if converted.unterminated:
        yield "the last line has no line end: the file may have been cut there"
    if converted.shares and not converted.shares.are_usual:
        yield f"{converted.shares.in_words(part.month)}: check that this is the right file"


def _of_codes(codes: Sequence[UnknownCode]) -> Iterator[str]:
    """A sentence for each unknown code; of very many, for the most frequent ones and for all others together."""
    told = codes
    if len(codes) > MOST_CODES:
        told = sorted(codes, key=lambda code: code.occurrences, reverse=True)[:MOST_CODES]
    for column, text, count in told:
        yield f"unknown code {text!r} in {column} became null {count:,} times"
    if rest := sum(code.occurrences for code in codes) - sum(code.occurrences for code in told):
        yield f"other unknown codes became null {rest:,} times: check that this is the right file"
