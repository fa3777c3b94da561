"""Bars in plain SVG. Places along the x axis are percentages, so that a chart fits a phone and a desk alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from taxi_ingest.catalog.months import month_range
from taxi_ingest.page.facts import PartFacts
from taxi_ingest.page.markup import Markup, element
from taxi_ingest.report import words

_HEIGHT = 150
_TOP, _BOTTOM = 20, 130
_YEARS, _DAYS = 6, 3
"""So many labels fit under a chart on a phone."""

_FEWEST_SLOTS = 24
"""So many bars have room at least: a few are not drawn as wide as walls."""

_SHORTEST = 0.1  # seconds
_TICKS = ((1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3600, "1 h"), (36000, "10 h"))


@dataclass(frozen=True)
class Bar:
    """One bar: its height and that of its marker (None: no marker) between 0 and 1, its class, and what it says."""

    height: float
    css: str
    says: str
    marker: float | None = None


def rows_by_month(dataset: str, parts: Sequence[PartFacts]) -> Markup:
    """Rows of each month as bars, with a line across each where the number is known that was published.

    A month between the first and the last of which no rows are here has room, and no bar.
    """
    months = {one.part.month: one for one in parts if one.part.month and one.rows is not None}
    most = max((max(one.rows or 0, one.expected or 0) for one in months.values()), default=0) or 1
    span = month_range(min(months), max(months)) if months else []
    bars = [_bar_of_rows(months[month], most) if month in months else None for month in span]
    odd = sum(one.is_odd for one in months.values())
    says = f"{dataset}: rows of {words.count(len(months), 'month')}, {most:,} at most; {odd} differ from what is known"
    labels = [month[:4] for month in span]
    return _chart(bars, says, labels, _YEARS, [(1.0, words.rows(most)), (0.5, words.rows(most / 2))])


def _bar_of_rows(one: PartFacts, most: int) -> Bar:
    return Bar(
        height=(one.rows or 0) / most,
        css="odd" if one.is_odd else "done",
        says=_rows_in_words(one),
        marker=one.expected / most if one.expected else None,
    )


@dataclass(frozen=True)
class RunBar:
    """How long a run took, in seconds, the class of its bar, what it says, and the day as 2024-03-05."""

    seconds: float
    css: str
    says: str
    day: str


def seconds_of_runs(runs: Sequence[RunBar]) -> Markup:
    """How long runs took, on a logarithmic scale, the oldest first."""
    longest = max((run.seconds for run in runs), default=0.0)
    scale = math.log10(max(longest, 10 * _SHORTEST) / _SHORTEST)

    def height(seconds: float) -> float:
        return math.log10(max(seconds, _SHORTEST * 1.2) / _SHORTEST) / scale

    bars = [Bar(height(run.seconds), run.css, run.says) for run in runs]
    ticks = [(height(tick), name) for tick, name in _TICKS if tick <= longest]
    says = f"How long {words.count(len(runs), 'run')} took, the longest {words.took(longest)}"
    return _chart(bars, says, [run.day for run in runs], _DAYS, ticks)


def share(part: float, whole: float) -> Markup:
    """A bar for `part` of `whole`, beside a number that says the same."""
    width = f"{100 * part / whole:.1f}%" if whole else "0%"
    bar = element("rect", class_="done", width=width, height="10")
    return element("svg", bar, class_="share", height="10", aria_hidden="true")


def _rows_in_words(one: PartFacts) -> str:
    known = f", {one.expected:,} expected" if one.expected else ""
    return f"{one.part.month}: {one.rows:,} rows{known}"


def _chart(
    bars: Sequence[Bar | None], says: str, labels: Sequence[str], most_labels: int, ticks: Sequence[tuple[float, str]]
) -> Markup:
    lines = [_line(_y(height), "0", "100%", "tick") for height, _ in ticks]
    names = [element("text", name, x="-6", y=_y(height) + 4, class_="left") for height, name in ticks]
    slots = max(len(bars), _FEWEST_SLOTS)
    drawn = [_bar(bar, index, slots) for index, bar in enumerate(bars) if bar]
    axis = _line(_BOTTOM, "0", "100%", "axis")
    content = (lines, drawn, axis, _labels(labels, slots, most_labels), names)
    chart = element("svg", *content, height=_HEIGHT, role="img", aria_label=says)
    return element("div", chart, class_="chart")


def _bar(bar: Bar, index: int, slots: int) -> Markup:
    x, width = f"{100 * index / slots:.2f}%", f"{80 / slots:.2f}%"
    top = _y(bar.height)
    title = element("title", bar.says)
    marker = None
    if bar.marker is not None:
        marker = _line(_y(bar.marker), x, f"{(100 * index + 80) / slots:.2f}%", "known")
    return element(
        "g",
        element("rect", title, class_=bar.css, x=x, y=top, width=width, height=max(round(_BOTTOM - top, 1), 1)),
        marker,
    )


def _labels(labels: Sequence[str], slots: int, most: int) -> list[Markup]:
    """The first of several equal labels, and so many at most."""
    first = [index for index, label in enumerate(labels) if index == 0 or label != labels[index - 1]]
    stride = math.ceil(len(first) / most) or 1
    y = _HEIGHT - 4
    return [element("text", labels[index], x=f"{100 * index / slots:.2f}%", y=y) for index in first[::stride]]


def _line(y: float, x1: str, x2: str, css: str) -> Markup:
    return element("line", x1=x1, x2=x2, y1=y, y2=y, class_=css)


def _y(height: float) -> float:
    return round(_BOTTOM - height * (_BOTTOM - _TOP), 1)
