"""What a job wants of one of its parts."""

from __future__ import annotations

from taxi_ingest import sources
from taxi_ingest.catalog import Part
from taxi_ingest.job import Job
from taxi_ingest.state.decide import Wanted


def wanted(job: Job, part: Part) -> Wanted:
    """What `job` wants of `part`. The source counts only when it was given, or the download is forced."""
    source = sources.identity(job.source, part, job.demo) if job.source_given or "download" in job.forced else ""
    return Wanted(source, job.writer, job.targets, job.kept, job.forced, job.strict)
