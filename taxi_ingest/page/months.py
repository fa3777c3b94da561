"""A line for every part: its steps, rows beside those expected, rejects, notes, and every try with its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from taxi_ingest.graph import STEPS
from taxi_ingest.history.reading import PastAttempt
from taxi_ingest.page.facts import PartFacts
from taxi_ingest.page.markup import Content, Markup, element, joined, local_link
from taxi_ingest.page.states import LOOKS, foremost, in_words, sign_of
from taxi_ingest.report import words

_HEADINGS = ("month", "state", "rows", "expected", "rejects", "published file", *STEPS, "notes")


def months(datasets: Mapping[str, Sequence[PartFacts]], logs_from: str) -> Markup:
    """A table a dataset, closed until somebody opens it or follows a link into it."""
    return joined(*(_dataset(dataset, parts, logs_from) for dataset, parts in datasets.items()))


def _dataset(dataset: str, parts: Sequence[PartFacts], logs_from: str) -> Markup:
    rows = sum(one.rows or 0 for one in parts)
    rejects = sum(one.rejects or 0 for one in parts)
    summary = f"{dataset}: {words.count(len(parts), 'part')}, {rows:,} rows, {rejects:,} rejects"
    head = element("tr", [element("th", name, scope="col") for name in _HEADINGS])
    lines = [_line(one, logs_from) for one in parts]
    table = element("table", element("thead", head), element("tbody", lines), class_="months")
    scrolled = element("div", table, class_="scrolled", tabindex="0", role="region", aria_label=f"months of {dataset}")
    return element("details", element("summary", summary), scrolled)


def _line(one: PartFacts, logs_from: str) -> Markup:
    look = LOOKS[foremost(cell.state for cell in one.steps.values())]
    state = look.words if look.css != "missing" else in_words(one.steps)
    tries = {step: list(found) for step, found in groupby(_by_step(one.attempts), key=lambda one: one.step)}
    return element(
        "tr",
        element("th", one.part.month or one.part.dataset, scope="row"),
        element("td", f"{look.sign} {state}"),
        _number(_known(one.rows), odd=one.is_odd),
        _number(_known(one.expected)),
        _number(_known(one.rejects)),
        _number("" if one.raw_bytes is None else words.size(one.raw_bytes)),
        [element("td", _tries(tries.get(step, ()), logs_from)) for step in STEPS],
        element("td", "; ".join(one.notes)),
        id=str(one.part),
    )


def _by_step(attempts: Sequence[PastAttempt]) -> list[PastAttempt]:
    return sorted(attempts, key=lambda attempt: attempt.step)


def _tries(attempts: Sequence[PastAttempt], logs_from: str) -> Content:
    """Every try of a step with its log, the newest first."""
    return [joined(_try(attempt, logs_from), " ") for attempt in attempts]


def _try(attempt: PastAttempt, logs_from: str) -> Markup:
    sign = f"{sign_of(attempt.outcome)} " if attempt.outcome != "done" else ""
    says = f"{sign}{words.took(attempt.seconds) or 'log'}"
    return element("a", says, href=local_link(f"{logs_from}/{attempt.log}"))


def _known(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _number(text: str, *, odd: bool = False) -> Markup:
    return element("td", "≠ " if odd else None, text, class_="odd" if odd else None)
