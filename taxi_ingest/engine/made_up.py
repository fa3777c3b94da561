"""The demo's made-up months stay out of tables that hold real ones."""

from __future__ import annotations

from taxi_ingest.errors import UsageError
from taxi_ingest.job import Job
from taxi_ingest.sources import DEMO, is_demo
from taxi_ingest.state.observe import Observer


def refuse_demo_among_real(job: Job, observer: Observer) -> None:
    """Raise UsageError when `job` would load made-up months into a table with real ones."""
    if str(job.source) != DEMO or "load" not in job.targets:
        return
    for dataset in {part.dataset for part in job.parts}:
        if any(not is_demo(held.source) for held in observer.held_months(dataset).values()):
            raise UsageError(
                f"{job.warehouse} holds real months of {dataset}; the demo's made-up rows stay out of it. "
                "Leave --data-dir and --warehouse out, and the demo goes to ./demo-data."
            )
