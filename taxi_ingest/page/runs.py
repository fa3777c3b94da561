"""The runs: how long each took as a bar, and a line for each of the newest."""

from __future__ import annotations

from datetime import datetime

from taxi_ingest import exits
from taxi_ingest.history.reading import PastRun
from taxi_ingest.page.charts import RunBar, seconds_of_runs
from taxi_ingest.page.facts import Facts
from taxi_ingest.page.markup import Markup, element, joined
from taxi_ingest.report import words

_BARS = 120
_LISTED = 100

_LEGEND = "The scale is logarithmic. A bar with a dashed edge is a run that failed or was stopped."
_HEADINGS = ("started", "took", "ended", "steps", "request")

_ENDINGS = {exits.OK: "✓ ok", exits.NOT_PUBLISHED: "○ not published", exits.BUG: "✕ bug"}


def runs(facts: Facts) -> Markup:
    """Bars, and a table under them."""
    if not facts.runs:
        return element("p", "No run is in the history.")
    bars = [
        RunBar(run.seconds or 0.0, "done" if _is_well(run) else "failed", _in_words(run), run.started[:10])
        for run in reversed(facts.runs[:_BARS])
    ]
    head = element("tr", [element("th", name, scope="col") for name in _HEADINGS])
    lines = [_line(run, facts.run_notes.get(run.run, ())) for run in facts.runs[:_LISTED]]
    table = element("table", element("thead", head), element("tbody", lines))
    scrolled = element("div", table, class_="scrolled", tabindex="0", role="region", aria_label="list of runs")
    told = f"The newest {words.count(len(lines), 'run')}" if len(lines) > 1 else "The run"
    legend = element("p", _LEGEND, class_="legend")
    return joined(
        seconds_of_runs(bars), legend, element("details", element("summary", told), scrolled, open=len(lines) <= 10)
    )


def ending(run: PastRun) -> str:
    """How a run ended, in a word with a sign."""
    if run.state == "running":
        return "▸ running"
    if run.state == "interrupted" or run.exit is None:
        return "! interrupted"
    return _ENDINGS.get(run.exit, "✕ failed")


def local_time(iso: str) -> Markup:
    """A moment, as this machine's clock shows it."""
    return element("time", words.local_time(iso), datetime=datetime.fromisoformat(iso).isoformat(timespec="seconds"))


def _line(run: PastRun, notes: tuple[str, ...]) -> Markup:
    counted = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in run.outcomes.items())
    return element(
        "tr",
        element("th", local_time(run.started), scope="row"),
        element("td", words.took(run.seconds), class_="number"),
        element("td", ending(run)),
        element("td", counted),
        element("td", element("code", run.request), [element("p", note) for note in notes]),
    )


def _is_well(run: PastRun) -> bool:
    return run.state == "running" or run.exit in exits.FINE


def _in_words(run: PastRun) -> str:
    return f"{words.local_time(run.started)}: {ending(run)} {words.took(run.seconds)}"
