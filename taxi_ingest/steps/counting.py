"""What is counted while a file is converted."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.catalog import Dataset, Part
from taxi_ingest.catalog.months import first_day, next_month, previous_month
from taxi_ingest.readers import Batch, Reject
from taxi_ingest.writers.findings import ChangedValues, MonthShares, UnknownCode

_DAY = 86_400_000_000  # microseconds

MOST_CODES = 1_000
"""So many different unknown codes are told apart; a column of something else has as many as the file has lines."""

OTHER_CODES = "(any other)"
"""What stands for those beyond them."""


@dataclass
class Tally:
    """Counts of the batches so far. Every line is a row, a reject, or empty (without any value).

    `codes` counts unknown text codes by (column, text), only the first MOST_CODES of them each by itself; `changed`
    counts values that were changed by (column, what was done), and `nameless` are the positions of columns with values
    but no name. `pickups` are those that have a time, `in_month` those of them in the part's month, `in_neighbours`
    those in the month before or after it.
    """

    part: Part
    dataset: Dataset
    lines: int = 0
    rows: int = 0
    rejects: int = 0
    empty: int = 0
    pickups: int = 0
    in_month: int = 0
    in_neighbours: int = 0
    unterminated: bool = False
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: Counter[tuple[str, str]] = field(default_factory=Counter)
    nameless: frozenset[int] = frozenset()
    first_reject: Reject | None = None

    def add(self, batch: Batch) -> None:
        """Count one more batch."""
        self.lines += batch.lines
        self.rows += batch.encoded.num_rows
        self.rejects += len(batch.rejects)
        self.first_reject = self.first_reject or next(iter(batch.rejects), None)
        self.empty += batch.empty
        self._add_codes(batch.codes)
        self.changed += batch.changed
        self.nameless |= batch.nameless
        self.unterminated |= batch.unterminated
        if self.part.month is not None:
            self._add_pickups(batch.encoded[self.dataset.cluster_by], self.part.month)

    def _add_codes(self, codes: Counter[tuple[str, str]]) -> None:
        for (column, text), occurrences in codes.items():
            is_told = (column, text) in self.codes or len(self.codes) < MOST_CODES
            self.codes[column, text if is_told else OTHER_CODES] += occurrences

    def _add_pickups(self, times: pa.ChunkedArray, month: str) -> None:
        pickups = len(times) - times.null_count
        in_month = _count_within(times, month, next_month(month))
        self.pickups += pickups
        self.in_month += in_month
        if in_month < pickups:
            self.in_neighbours += _count_within(times, previous_month(month), next_month(next_month(month))) - in_month

    @property
    def shares(self) -> MonthShares | None:
        """Where the pickups lie; None where nothing has a time."""
        if not self.pickups:
            return None
        strays = self.pickups - self.in_month
        return MonthShares(self.in_month / self.pickups, self.in_neighbours / self.pickups, strays)

    @property
    def nameless_columns(self) -> tuple[str, ...]:
        """The columns without a name as people count them."""
        return tuple(f"nameless column {position + 1}" for position in sorted(self.nameless))

    @property
    def unknown_codes(self) -> tuple[UnknownCode, ...]:
        """The unknown codes as a receipt lists them."""
        return tuple(UnknownCode(*code, count) for code, count in sorted(self.codes.items()))

    @property
    def changed_values(self) -> tuple[ChangedValues, ...]:
        """The changed values as a receipt lists them."""
        return tuple(ChangedValues(*change, count) for change, count in sorted(self.changed.items()))


def _count_within(times: pa.ChunkedArray, first: str, end: str) -> int:
    """How many of `times` lie in the months from `first` until, not including, `end`."""
    begin, until = _midnight(first), _midnight(end)
    return sum(_count_between(chunk.view(pa.int64()), begin, until) for chunk in times.chunks)


def _count_between(numbers: pa.Int64Array, begin: int, until: int) -> int:
    """How many of `numbers` are at least `begin` and less than `until`; quick where all are."""
    extremes = pc.min_max(numbers).as_py()
    if extremes["min"] is None or (begin <= extremes["min"] and extremes["max"] < until):
        return int(pc.count(numbers).as_py())
    inside = pc.and_(pc.greater_equal(numbers, begin), pc.less(numbers, until))
    return int(pc.sum(inside).as_py() or 0)


@functools.cache
def _midnight(month: str) -> int:
    """The beginning of a month in microseconds since 1970."""
    return (first_day(month) - date(1970, 1, 1)).days * _DAY
