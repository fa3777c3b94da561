"""What needs a look: every step that failed, was stopped or is out of date, with why, and the end of its log."""

from __future__ import annotations

from collections.abc import Iterator

from taxi_ingest.graph import Step
from taxi_ingest.page.facts import Facts, PartFacts
from taxi_ingest.page.markup import Markup, element, joined, local_link
from taxi_ingest.page.states import LOOKS
from taxi_ingest.state.status import Cell, State

_TELLING: tuple[State, ...] = ("failed", "interrupted", "stale")

_MOST = 100


def trouble(facts: Facts, logs_from: str) -> Markup:
    """A list of what is not as it should be, or a sentence that there is nothing."""
    found = list(_troubled(facts))
    if not found:
        return element("p", "Nothing has failed, and nothing is out of date.")
    listed = [_item(one, step, cell, facts, logs_from) for one, step, cell in found[:_MOST]]
    more = element("p", f"And {len(found) - _MOST:,} more: see the months below.") if len(found) > _MOST else None
    return joined(element("ul", listed, class_="trouble"), more)


def _troubled(facts: Facts) -> Iterator[tuple[PartFacts, Step, Cell]]:
    for state in _TELLING:
        for one in facts.parts:
            for step, cell in one.steps.items():
                if cell.state == state:
                    yield one, step, cell


def _item(one: PartFacts, step: Step, cell: Cell, facts: Facts, logs_from: str) -> Markup:
    look = LOOKS[cell.state]
    sign = element("b", look.sign, class_=look.css, aria_hidden="true")
    part = element("a", str(one.part), href=f"#{one.part}")
    sentence = element("p", sign, " ", part, f" {step} {look.words}: {cell.why}")
    return element("li", sentence, _log(one, step, cell, facts, logs_from))


def _log(one: PartFacts, step: Step, cell: Cell, facts: Facts, logs_from: str) -> Markup | None:
    """The end of the log of the attempt that brought the step into its state."""
    last = next((attempt for attempt in one.attempts if attempt.step == step), None)
    if last is None or cell.state == "stale":
        return None
    link = element("a", "the whole log", href=local_link(f"{logs_from}/{last.log}"))
    text = facts.logs.get(last.log)
    if text is None:
        return link
    summary = element("summary", f"end of the log of {one.part} {step}, try {last.attempt}")
    pre = element("pre", text, tabindex="0", role="region", aria_label=f"log of {one.part} {step}")
    return element("details", summary, pre, link)
