"""How long steps take and how much goes by in them, by dataset."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from taxi_ingest.graph import STEPS, Step
from taxi_ingest.history.reading import PastAttempt
from taxi_ingest.page.charts import share
from taxi_ingest.page.facts import Facts
from taxi_ingest.page.markup import Markup, element
from taxi_ingest.report import words

_NUMBERS = ("tries", "went wrong", "usual", "slowest", "in all", "a second")
_HEADINGS = (("step", None), ("dataset", None), *((name, "number") for name in _NUMBERS), ("share of the time", None))


def speed(facts: Facts) -> Markup:
    """A line for each step of each dataset."""
    attempts = facts.attempts
    whole = sum(attempt.seconds or 0.0 for attempt in attempts)
    groups = [
        (step, dataset, [one for one in attempts if one.step == step and one.dataset == dataset])
        for step in STEPS
        for dataset in dict.fromkeys(one.part.dataset for one in facts.parts)
    ]
    lines = [_line(step, dataset, found, whole) for step, dataset, found in groups if found]
    if not lines:
        return element("p", "No try of a step is in the history.")
    head = element("tr", [element("th", name, scope="col", class_=css) for name, css in _HEADINGS])
    table = element("table", element("thead", head), element("tbody", lines))
    return element("div", table, class_="scrolled", tabindex="0", role="region", aria_label="seconds and throughput")


def _line(step: Step, dataset: str, attempts: Sequence[PastAttempt], whole: float) -> Markup:
    done = [one for one in attempts if one.outcome == "done" and one.seconds is not None]
    seconds = [one.seconds or 0.0 for one in done]
    spent = sum(one.seconds or 0.0 for one in attempts)
    cells = (
        f"{len(attempts):,}",
        f"{sum(one.went_wrong for one in attempts):,}",
        words.took(statistics.median(seconds)) if seconds else "",
        words.took(max(seconds)) if seconds else "",
        words.took(spent),
        _throughput(done),
    )
    return element(
        "tr",
        element("th", step, scope="row"),
        element("td", dataset),
        [element("td", cell, class_="number") for cell in cells],
        element("td", share(spent, whole), f" {spent / whole:.0%}" if whole else "", class_="share"),
    )


def _throughput(done: Sequence[PastAttempt]) -> str:
    """Rows a second of a step that counts rows, else bytes; over all that were done."""
    seconds = sum(one.seconds or 0.0 for one in done)
    rows, size = sum(one.rows or 0 for one in done), sum(one.bytes or 0 for one in done)
    if not seconds or not (rows or size):
        return ""
    return f"{words.rows(rows / seconds)} rows" if rows else words.size(size / seconds)
