"""How much may be wrong with a file that is converted, and the sentence for one with which too much is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from taxi_ingest.catalog.reading import largest_month
from taxi_ingest.errors import RejectsError, SchemaError, TaxiError
from taxi_ingest.steps.counting import Tally

ALLOWED_REJECTS = 10
"""So many rejects never fail a file, however short it is."""

_HOPELESS_REJECTS = 1_000
"""From so many rejects on, a file is given up as soon as the rest of it can hardly make up for them."""

_DENSER = 10
"""How many times as many lines per byte the rest of a file might have as what was read of it."""

_TIMES_LARGEST = 2
"""How many times as many lines as the largest month that is known a file may have."""


@dataclass(frozen=True)
class Limits:
    """How much may be wrong with a file that is converted.

    `max_rejects` is the share of lines that may be unreadable; `strict` allows no unknown column or code and no file of
    another month; `allow_empty` allows a file without rows; `expected_rows` is what is known of the month, None where
    nothing is or it shall not count.
    """

    max_rejects: float = 0.001
    strict: bool = False
    allow_empty: bool = False
    expected_rows: int | None = None


def check_columns(unknown: tuple[str, ...], dataset: str, limits: Limits) -> None:
    """Raise SchemaError when no unknown column is allowed and there is one."""
    if limits.strict and unknown:
        raise SchemaError(
            f"The file has columns that {dataset} does not know: {', '.join(unknown)}. "
            "Add them to the catalog, or leave --strict out to load without them."
        )


def is_hopeless(tally: Tally, limits: Limits, read: float) -> bool:
    """Whether there are too many rejects, whatever the rest of the file is like; `read` is the share read so far."""
    known = _TIMES_LARGEST * largest_month(tally.dataset.name)
    possible = max(known, _DENSER * tally.lines / max(read, 1e-9))
    return tally.rejects > _HOPELESS_REJECTS and tally.rejects > limits.max_rejects * possible


def verdict(tally: Tally, limits: Limits, rejects: Path) -> TaxiError | None:
    """Why this conversion may not stand; None when it may."""
    if tally.lines != tally.rows + tally.rejects + tally.empty:
        return RejectsError(
            f"{tally.lines:,} lines went in, but {tally.rows:,} rows, {tally.rejects:,} rejects and {tally.empty:,} "
            "empty lines came out. Nothing was kept; please report this file."
        )
    if tally.rejects > ALLOWED_REJECTS and tally.rejects > limits.max_rejects * tally.lines:
        return too_many(tally, limits, rejects, so_far=False)
    if not tally.rows and not limits.allow_empty:
        return RejectsError(
            "The file has no rows, and nothing was replaced. If the month really is empty, take it with --allow-empty."
        )
    if limits.expected_rows is not None and tally.rows * 2 < limits.expected_rows:
        return RejectsError(
            f"The file has {tally.rows:,} rows, less than half of the {limits.expected_rows:,} that are known of this "
            "month. Download it again with download --force, or take it as it is with parquetize --force."
        )
    return _strict_verdict(tally) if limits.strict else None


def _strict_verdict(tally: Tally) -> TaxiError | None:
    if tally.codes:
        return SchemaError(f"Unknown codes: {_codes_in_words(tally)}. Leave --strict out to load them as null.")
    if tally.nameless_columns:
        return SchemaError(
            f"The file has values in columns without a name: {', '.join(tally.nameless_columns)}. "
            "Leave --strict out to load without them."
        )
    if tally.shares and not tally.shares.are_usual:
        where = tally.shares.in_words(tally.part.month)
        return SchemaError(
            f"{where[0].upper()}{where[1:]}. Check the file, or leave --strict out to load it all the same."
        )
    return None


def too_many(tally: Tally, limits: Limits, rejects: Path, *, so_far: bool) -> RejectsError:
    """The error for more rejects than are allowed, in the whole file or in what was read `so_far`."""
    read = f"the first {tally.lines:,}" if so_far else f"{tally.lines:,}"
    share = f"{tally.rejects / tally.lines:.2%}"
    one = tally.first_reject
    first = f" The first is line {one.line:,}: {one.reason}." if one else ""
    return RejectsError(
        f"{tally.rejects:,} of {read} lines ({share}) could not be read; max_rejects allows {limits.max_rejects:.2%}."
        f"{first} All are in {rejects}, each with its reason."
    )


def _codes_in_words(tally: Tally) -> str:
    return ", ".join(f"{column} {text!r} ({count:,} times)" for (column, text), count in tally.codes.most_common(5))
