"""How jobs are named and recorded, so that a later run finds them, or knows when they have ended."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

LONGEST_JOB = timedelta(hours=6)
"""When Google ends a job: https://docs.cloud.google.com/bigquery/quotas#load_jobs."""

_SENT = "%Y%m%dT%H%M%S"
_ID = re.compile(r"taxi_ingest_(\d{8}T\d{6})_\w+")
_RECORDED = re.compile(r"(?P<project>.+):(?P<location>[^:.]*)\.(?P<job>[\w-]+)")


def new_id() -> str:
    """A random id for a job that is sent now."""
    return f"taxi_ingest_{datetime.now(UTC):{_SENT}}_{uuid.uuid4().hex}"


@dataclass(frozen=True)
class Reference:
    """A job as it is recorded: `project:location.job`; of an old record, only the job is known."""

    project: str
    location: str
    job_id: str

    def __str__(self) -> str:
        return f"{self.project}:{self.location}.{self.job_id}"

    @classmethod
    def parse(cls, recorded: str) -> Self:
        """The job that was recorded so."""
        match = _RECORDED.fullmatch(recorded)
        return cls(*match.group("project", "location", "job")) if match else cls("", "", recorded)

    @property
    def ended_by(self) -> datetime:
        """When the job has ended at the latest; one whose id tells no time was sent by an earlier release."""
        match = _ID.fullmatch(self.job_id)
        if match is None:
            return datetime.min.replace(tzinfo=UTC)
        return datetime.strptime(match[1], _SENT).replace(tzinfo=UTC) + LONGEST_JOB
