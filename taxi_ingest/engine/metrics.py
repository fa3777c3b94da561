"""How the last run ended, in the text format of Prometheus, as its node exporter collects it from files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, get_args

from taxi_ingest.graph import STEPS, Outcome

if TYPE_CHECKING:
    from taxi_ingest.engine.outside import Ended

_PREFIX = "taxi_ingest"

BEGINNING = f"# HELP {_PREFIX}_"
"""How every file of metrics begins."""


def prometheus(ended: Ended, now: float, last_good: float | None) -> str:
    """The metrics of one run; `now` and `last_good` are in seconds since 1970."""
    counts = Counter((step, outcome) for result in ended.results for step, outcome in result.steps.items())
    steps = {
        f'{{step="{step}",outcome="{outcome}"}}': counts[step, outcome]
        for step in STEPS
        for outcome in get_args(Outcome)
    }
    rows = sum(result.rows or 0 for result in ended.results)
    rejects = sum(result.rejects or 0 for result in ended.results)
    lines = [
        *_metric("last_run_end_timestamp_seconds", "When the last run ended.", {"": round(now, 3)}),
        *_metric("last_run_exit_code", "The exit code of the last run; 0 and 4 are no failure.", {"": ended.exit}),
        *_metric("last_run_duration_seconds", "How long the last run took.", {"": round(ended.seconds, 3)}),
        *_metric("last_run_parts", "Months of datasets that the last run was asked for.", {"": len(ended.results)}),
        *_metric("last_run_failed_parts", "Those of them that did not come through.", {"": len(ended.failed)}),
        *_metric("last_run_steps", "Steps of the last run by how they ended.", steps),
        *_metric("last_run_rows", "Rows of the parts that the last run converted or found converted.", {"": rows}),
        *_metric("last_run_rejects", "Rows of these parts that could not be read.", {"": rejects}),
    ]
    if last_good is not None:
        help_text = "When the last run that did not fail ended."
        lines += _metric("last_success_timestamp_seconds", help_text, {"": round(last_good, 3)})
    return "\n".join(lines) + "\n"


def _metric(name: str, help_text: str, values: Mapping[str, float]) -> Iterator[str]:
    """One gauge: `values` by their labels."""
    yield f"# HELP {_PREFIX}_{name} {help_text}"
    yield f"# TYPE {_PREFIX}_{name} gauge"
    yield from (f"{_PREFIX}_{name}{labels} {value}" for labels, value in values.items())
