"""What a job wants of one of its parts."""

from __future__ import annotations

from taxi_ingest import sources
from taxi_ingest.catalog import Part
from taxi_ingest.job import Job
from taxi_ingest.state.decide import Wanted
from taxi_ingest.state.receipts import Downloaded


def wanted(job: Job, part: Part) -> Wanted:
    """What `job` wants of `part`. The source counts only when it was given, or the download is forced."""
    source = sources.identity(job.source, part, job.demo) if job.source_given or "download" in job.forced else ""
    return Wanted(source, job.writer, job.targets, job.kept, job.forced, job.strict)


def source_of(job: Job, part: Part, had: Downloaded | None) -> str:
    """The source that `part` is downloaded from: the one wanted, else that of the file it has, else the job's."""
    return wanted(job, part).source or (had.source if had else sources.identity(job.source, part, job.demo))
