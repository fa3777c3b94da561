"""The page as a whole: a pure function of the facts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from taxi_ingest.page.charts import rows_by_month
from taxi_ingest.page.facts import Facts, PartFacts
from taxi_ingest.page.grid import grids
from taxi_ingest.page.markup import Content, Markup, element, joined
from taxi_ingest.page.months import months
from taxi_ingest.page.runs import ending, local_time, runs
from taxi_ingest.page.speed import speed
from taxi_ingest.page.states import foremost
from taxi_ingest.page.trouble import trouble
from taxi_ingest.report import words

BEGINNING = "<!doctype html>"
"""How every page begins."""

_FOLDER = Path(__file__).parent


def document(facts: Facts, logs_from: str = ".") -> str:
    """The page; `logs_from` leads from its folder to the data directory, as links need it."""
    style, script = (Markup((_FOLDER / name).read_text(encoding="utf-8")) for name in ("style.css", "keyboard.js"))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", f"taxi-ingest: {facts.data_dir.name}"),
        element("style", style),
    )
    body = element("body", _header(facts), element("main", _sections(facts, logs_from), id="main"), _footer(facts))
    return f"{BEGINNING}\n{element('html', head, joined(body, element('script', script)), lang='en')}\n"


def _policy(style: str, script: str) -> str:
    """Nothing may be fetched, sent or framed; only our own style and script work, whatever else gets into the page."""
    allowed = f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _sections(facts: Facts, logs_from: str) -> Content:
    datasets = _by_dataset(facts.parts)
    return (
        _section("What needs a look", trouble(facts, logs_from)),
        _section("Months", grids(datasets)),
        _section("Rows by month", _row_charts(datasets)),
        _section("Runs", runs(facts)),
        _section("Time and throughput", speed(facts)),
        _section("Every part", joined(months(datasets, logs_from), _left_out(facts))),
    )


def _by_dataset(parts: Sequence[PartFacts]) -> Mapping[str, Sequence[PartFacts]]:
    return {dataset: list(theirs) for dataset, theirs in groupby(parts, key=lambda one: one.part.dataset)}


def _section(title: str, content: Markup) -> Markup:
    name = title.lower().replace(" ", "-")
    return element("section", element("h2", title, id=name), content, aria_labelledby=name)


def _header(facts: Facts) -> Markup:
    places = ("data directory", str(facts.data_dir)), ("store", facts.store), ("warehouse", facts.warehouse)
    return element(
        "header",
        element("a", "To the content", href="#main", class_="skip"),
        element("h1", "taxi-ingest"),
        element("dl", [element("div", element("dt", name), element("dd", text)) for name, text in places]),
        element("ul", [_tile(number, name) for number, name in _tiles(facts)], class_="tiles"),
    )


def _tile(number: Content, name: str) -> Markup:
    return element("li", element("strong", number), element("span", name))


def _tiles(facts: Facts) -> list[tuple[Content, str]]:
    states = [foremost(cell.state for cell in one.steps.values()) for one in facts.parts]
    bad = sum(state in {"failed", "interrupted"} for state in states)
    unknown = any(one.steps["parquetize"].state == "failed" for one in facts.parts)
    tiles: list[tuple[Content, str]] = [
        (f"{states.count('done'):,} of {len(states):,}", "parts done"),
        (f"{bad:,}", "parts failed or interrupted"),
        (f"{sum(one.loaded or 0 for one in facts.parts):,}", "rows in the table"),
        (
            f"{sum(one.rejects or 0 for one in facts.parts):,}",
            f"rejected lines{', without failed files' if unknown else ''}",
        ),
    ]
    if facts.runs:
        newest = facts.runs[0]
        tiles.append((ending(newest), f"last run, {words.local_time(newest.started)[:16]}"))
    return tiles


def _row_charts(datasets: Mapping[str, Sequence[PartFacts]]) -> Markup:
    charts = [
        element("div", element("h3", dataset), rows_by_month(dataset, parts))
        for dataset, parts in datasets.items()
        if any(one.part.month and one.rows is not None for one in parts)
    ]
    if not charts:
        return element("p", "No month has been converted yet.")
    legend = (
        "A bar is what was read, the line across it what is known to have been published. A bar with a dashed edge "
        "differs from it by more than 1 %."
    )
    return joined(charts, element("p", legend, class_="legend"))


def _left_out(facts: Facts) -> Markup | None:
    if not facts.attempts_left_out:
        return None
    return element("p", f"{facts.attempts_left_out:,} older tries are left out: `taxi-ingest history RUN` shows them.")


def _footer(facts: Facts) -> Markup:
    made = facts.made.isoformat(timespec="seconds")
    zone = f"UTC{facts.made.astimezone().isoformat()[-6:]}"
    return element("footer", element("p", f"taxi-ingest {facts.version}, ", local_time(made), f"; times are {zone}."))
