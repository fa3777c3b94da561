"""How many rows there are: a line a month, and a sum a year and a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from taxi_ingest.catalog.months import in_spans
from taxi_ingest.report import say, words
from taxi_ingest.report.words import count

if TYPE_CHECKING:
    from rich.console import Console

    from taxi_ingest.catalog import Part
    from taxi_ingest.state.counts import Counted

_HEAD = ("month", "rows", "in TLC's file", "difference", "")


def nothing(place: str, held: Sequence[Part]) -> list[str]:
    """A sentence where a warehouse has no month that was asked for, but those `held`."""
    return [f"{place} holds none of that, only {words.parts(held)}." if held else f"{place} holds no month yet."]


def missing(months: Mapping[str, tuple[int, Sequence[str]]]) -> list[str]:
    """A sentence a dataset: how many months were asked for, and which of them are not there."""
    return [
        f"{dataset}: {len(left):,} of {words.count(asked, 'month')} asked for {'is' if len(left) == 1 else 'are'} "
        f"not in the table: {in_spans(left)}."
        for dataset, (asked, left) in months.items()
    ]


def months(out: Console, found: Sequence[Counted]) -> None:
    """The months of each dataset with its sums; what the source was, where the numbers are not those of TLC's file."""
    for dataset, of_dataset in groupby(found, key=lambda one: one.part.dataset):
        lines: list[tuple[str, ...]] = [_HEAD]
        theirs = list(of_dataset)
        shared = _shared_source(theirs)
        for year, of_year in groupby(theirs, key=lambda one: (one.part.month or "")[:4]):
            counted = list(of_year)
            lines += [_line(one, tells_source=not shared) for one in counted]
            if year:
                lines.append((year, f"{sum(one.rows for one in counted):,}", "", "", count(len(counted), "month")))
        out.print(f"[bold]{dataset}[/]  {count(sum(one.rows for one in theirs), 'row')}")
        _aligned(out, lines)
        say(out, [f"from {shared}"] if shared else [])
        out.print()


def _shared_source(found: Sequence[Counted]) -> str:
    """The template of all sources that are to be told, where there are several months of it; else ""."""
    told = [one.source.replace(one.part.month or "{month}", "{month}") for one in found if one.differs]
    return told[0] if len(told) > 1 and len(set(told)) == 1 else ""


def _line(one: Counted, *, tells_source: bool) -> tuple[str, ...]:
    known = "" if one.known is None else f"{one.known:,}"
    difference = f"{one.differs:+,}" if one.differs else ""
    return f"  {one.part.month or 'all'}", f"{one.rows:,}", known, difference, _told(one, tells_source=tells_source)


def _told(one: Counted, *, tells_source: bool) -> str:
    if one.rows != one.loaded:
        return f"{one.loaded:,} were loaded"
    return f"from {one.source}" if one.differs and tells_source else ""


def _aligned(out: Console, lines: Sequence[tuple[str, ...]]) -> None:
    """The lines in columns, numbers to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    for line in lines:
        month, *numbers, told = line
        cells = [month.ljust(widths[0]), *(n.rjust(w) for n, w in zip(numbers, widths[1:], strict=False)), told]
        say(out, ["  ".join(cells).rstrip()])
