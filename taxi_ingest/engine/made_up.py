"""The demo's made-up months stay out of stores and tables that hold real ones."""

from __future__ import annotations

from collections.abc import Iterable

from taxi_ingest.catalog import Part
from taxi_ingest.errors import UsageError
from taxi_ingest.job import Job
from taxi_ingest.layout import object_name
from taxi_ingest.sources import is_demo
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.wanted import wanted


def refuse_demo_among_real(job: Job, observer: Observer, parts: Iterable[Part]) -> None:
    """Raise UsageError when `job` would put made-up months among `parts` where real ones are.

    That is, into a table with real months, or in place of a real object in the store. A month is made up if the demo is
    asked for, or if it made the file that is here or the one that the object in the store was made from.
    """
    made_up = [part for part in parts if _is_made_up(job, observer, part)] if "upload" in job.steps else []
    for dataset in {part.dataset for part in made_up if "load" in job.targets}:
        if any(not is_demo(held.source) for held in observer.held_months(dataset).values()):
            raise UsageError(
                f"{job.warehouse} holds real months of {dataset}; the demo's made-up rows stay out of it. "
                "Leave --data-dir and --warehouse out, and the demo goes to ./demo-data; another --source makes the "
                "month real."
            )
    for part in made_up:
        refuse_demo_over_real(job, observer, part)


def refuse_demo_over_real(job: Job, observer: Observer, part: Part) -> None:
    """Raise UsageError when the upload of `part` would replace a real object by a made-up one."""
    if _is_made_up(job, observer, part) and _is_real_object(observer, part):
        raise UsageError(
            f"{job.store} holds the real {part}; the demo's made-up rows do not take its place. Leave --data-dir and "
            "--store out, and the demo goes to ./demo-data; another --source makes the month real."
        )


def _is_real_object(observer: Observer, part: Part) -> bool:
    """Whether the store tells that the object of `part` was made of a published file."""
    held = observer.held_objects(part.dataset).get(object_name(part))
    source = held.facts.get("source", "") if held else ""
    return bool(source) and not is_demo(source)


def _is_made_up(job: Job, observer: Observer, part: Part) -> bool:
    source = wanted(job, part).source
    if not source:
        known = observer.observe(part).receipts.download
        source = known.source if known else ""
    return is_demo(source)
