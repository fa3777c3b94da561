"""The demo's made-up months stay out of tables that hold real ones."""

from __future__ import annotations

from collections.abc import Iterable

from taxi_ingest.catalog import Part
from taxi_ingest.errors import UsageError
from taxi_ingest.job import Job
from taxi_ingest.sources import is_demo
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.wanted import wanted


def refuse_demo_among_real(job: Job, observer: Observer, parts: Iterable[Part]) -> None:
    """Raise UsageError when `job` would load made-up months among `parts` into a table with real ones.

    They are made up when the demo is asked for, or when it made the file that is here or that the store's object tells.
    """
    if "load" not in job.targets:
        return
    for dataset in {part.dataset for part in parts if _is_made_up(job, observer, part)}:
        if any(not is_demo(held.source) for held in observer.held_months(dataset).values()):
            raise UsageError(
                f"{job.warehouse} holds real months of {dataset}; the demo's made-up rows stay out of it. "
                "Leave --data-dir and --warehouse out, and the demo goes to ./demo-data; another --source makes the "
                "month real."
            )


def _is_made_up(job: Job, observer: Observer, part: Part) -> bool:
    source = wanted(job, part).source
    if not source:
        known = observer.observe(part).receipts.download
        source = known.source if known else ""
    return is_demo(source)
