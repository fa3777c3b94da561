"""Loads that wait for all uploads of the run.

The load that turns a table into a view shows the files of all its months; those that are not in the store yet may be on
their way there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container

from taxi_ingest.catalog import Part
from taxi_ingest.errors import InUseError
from taxi_ingest.graph import Step
from taxi_ingest.job import Job
from taxi_ingest.state.observe import Observer
from taxi_ingest.warehouses import EXTERNAL


def waits_for_uploads(job: Job, observer: Observer, part: Part, ended: Container[tuple[Part, Step]]) -> bool:
    """Whether the load of `part` may turn a table into a view while uploads of its dataset have not `ended`."""
    if job.warehouse_options.method != EXTERNAL:
        return False
    others = (other for other in job.parts if other.dataset == part.dataset)
    if all((other, "upload") in ended for other in others):
        return False
    with contextlib.suppress(InUseError):  # then the load tells of it
        return any(held.stale for held in observer.held_months(part.dataset).values())
    return False
