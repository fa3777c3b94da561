"""What a person should know of a conversion, as the footer of the Parquet file says."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import msgspec

_KEY = b"taxi_ingest_findings"


class UnknownCode(NamedTuple):
    """A text that the catalog has no code for and that became null, and how often."""

    column: str
    text: str
    occurrences: int


class ChangedValues(NamedTuple):
    """Values of a column that were changed on purpose: what was done, and how often."""

    column: str
    what: str
    occurrences: int


ALLOWED_STRAYS = 10
"""So many pickups of other months are usual even in a short file."""

USUAL_SHARE_IN_MONTH = 0.98
"""The share of a file's pickups that lies in its month at least; of all published files, more than this does."""


class MonthShares(NamedTuple):
    """The share of a file's pickups, from 0 to 1, that lies in its month, and in the months before and after it.

    `strays` is the number of those that do not lie in its month.
    """

    in_month: float
    in_neighbours: float
    strays: int

    @property
    def are_usual(self) -> bool:
        """Whether so much lies in the month that it is no file of another one."""
        few = self.strays <= ALLOWED_STRAYS and self.in_month > 0.5
        return few or self.in_month >= USUAL_SHARE_IN_MONTH

    def in_words(self, month: str | None) -> str:
        """Where the pickups lie, in words."""
        return (
            f"only {self.in_month:.0%} of the pickups lie in {month}, {self.in_neighbours:.0%} in the months beside it"
        )


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found in a published file while it was converted; all empty for files of 0.1, which do not say it.

    `empty_lines` had no value; `unterminated` tells that the last line had no line end; `shares` tell in which
    month the pickups lie.
    """

    lines: int | None = None
    empty_lines: int = 0
    unterminated: bool = False
    unknown_columns: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    vintage_expected: str = ""
    rows_expected: int | None = None
    shares: MonthShares | None = None
    unknown_codes: tuple[UnknownCode, ...] = ()
    changed_values: tuple[ChangedValues, ...] = ()

    def as_metadata(self) -> dict[bytes, bytes]:
        """The key-value metadata of the footer."""
        return {_KEY: msgspec.json.encode({field.name: getattr(self, field.name) for field in fields(Findings)})}


def read_findings(parquet: Path) -> Findings:
    """The findings in the footer of `parquet`; empty ones when the file is missing, broken, or does not say them."""
    from taxi_ingest.readers import parquet_footer

    try:
        with parquet.open("rb") as file:
            metadata = parquet_footer.read(file).metadata
        return msgspec.json.decode(metadata[_KEY], type=Findings)
    except (OSError, KeyError, ValueError, RecursionError, msgspec.MsgspecError):
        return Findings()
