"""How outcomes, amounts, times and parts are put."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taxi_ingest.catalog import Part

MARKS: dict[str, tuple[str, str]] = {
    "done": ("done", "bright_green"),
    "up_to_date": ("up to date", "dim"),
    "failed": ("failed", "bright_red"),
    "blocked": ("blocked", "bright_magenta"),
    "not_published": ("not published", "bright_cyan"),
    "running": ("running", "bright_yellow"),
    "interrupted": ("interrupted", "bright_magenta"),
}
"""How an outcome is worded and coloured."""


def amount(step: str, number: float) -> str:
    """What a step has moved: rows in full, where it makes rows, else bytes; "1,369,769 rows", "140.0 MB"."""
    return f"{number:,.0f} rows" if step == "parquetize" else size(number)


def rows(number: float) -> str:
    """A number of rows, short: "8,120", "45 k", "12.3 M"."""
    if number < 10_000:
        return f"{number:,.0f}"
    return f"{number / 1e3:.0f} k" if number < 1e6 else f"{number / 1e6:.1f} M"


def size(number: float) -> str:
    """A number of bytes, short: "812 B", "1.2 kB", "140.0 MB", "3.20 GB"."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.2f} GB"


def count(number: int, noun: str) -> str:
    """A number of things: "1 part", "1,234 parts"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def parts(of: Sequence[Part]) -> str:
    """Parts by the first and last of each dataset: "green-2021-01, yellow-2019-01..2021-12"."""
    spans = []
    for _, of_dataset in groupby(of, key=lambda part: part.dataset):
        theirs = list(of_dataset)
        spans.append(str(theirs[0]) if len(theirs) == 1 else f"{theirs[0]}..{theirs[-1].month}")
    return ", ".join(spans)


def took(seconds: float | None) -> str:
    """A duration: "0.4 s", "59.9 s", "0:12:03"; "" when it is not known."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def local_time(iso: str) -> str:
    """A time of the history on this machine's clock."""
    return f"{datetime.fromisoformat(iso).astimezone():%Y-%m-%d %H:%M:%S}"
