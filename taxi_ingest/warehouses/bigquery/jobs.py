"""Jobs of BigQuery: recorded under a random id before they are sent, waited for, cancelled, found again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypedDict, TypeVar

from google.api_core import exceptions as answers
from google.api_core.retry import Retry
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY, DEFAULT_RETRY
from google.cloud.bigquery.table import RowIterator

from taxi_ingest import google_cloud
from taxi_ingest.errors import TransientError, WarehouseError
from taxi_ingest.warehouses.bigquery.errors import is_rate_limited
from taxi_ingest.warehouses.bigquery.references import Reference, new_id
from taxi_ingest.warehouses.bigquery.repeating import again_if_nothing_changed

UPLOAD_RETRIES = 5
"""How often the upload of a row of `_loads` is retried."""

JOB_SECONDS = 3600.0
"""How long a job may take before it is cancelled; the largest month takes minutes."""

CANCEL_SECONDS = 60.0
"""How long a cancelled job may take to end."""

APPEARING_SECONDS = 30.0
"""How long BigQuery may not find a job that it accepted."""

PAGE_ROWS = 10_000
"""Rows of a query's answer that are fetched at a time."""

SIGN = {"made_by": "taxi-ingest"}
"""The label by which we know tables as ours."""

Record = Callable[[str], None]

Parameters = Mapping[str, tuple[str, str | date | None]]
"""Query parameters: name → (type in SQL, value)."""

_Value = TypeVar("_Value", int, datetime)

Job = bigquery.LoadJob | bigquery.QueryJob | bigquery.CopyJob | bigquery.ExtractJob | bigquery.UnknownJob


@dataclass(frozen=True)
class Sending:
    """Where a job that writes runs, and the function that records its reference before it is sent."""

    location: str
    record: Record


class CallOptions(TypedDict):
    """Arguments of every call of the client."""

    retry: Retry
    timeout: float


def call_options() -> CallOptions:
    """The client's own retry policy, limited to RETRY_SECONDS, and a time limit for each request."""
    return {"retry": google_cloud.limited(DEFAULT_RETRY), "timeout": google_cloud.REQUEST_SECONDS}


class Jobs:
    """The jobs of one project, which pays for them. Methods raise what Google's client raises.

    Jobs are given `labels`; a question that would be billed for more than `maximum_bytes_billed` (0: no limit) is
    refused by BigQuery before it is answered.
    """

    def __init__(self, project: str, *, labels: Mapping[str, str] | None = None, maximum_bytes_billed: int = 0) -> None:
        self.labels = {**(labels or {}), **SIGN}
        self._project = project
        self._most_billed = maximum_bytes_billed
        self._client: bigquery.Client | None = None

    @property
    def client(self) -> bigquery.Client:
        """Google's client, created when first needed."""
        if self._client is None:
            self._client = google_cloud.bigquery_client(self._project)
        return self._client

    def load(self, uri: str, table: str, config: bigquery.LoadJobConfig, sending: Sending) -> None:
        """Load one object into a table."""

        def send(job_id: str) -> Job:
            return self.client.load_table_from_uri(
                uri, table, job_id=job_id, job_config=config, location=sending.location, **call_options()
            )

        again_if_nothing_changed(lambda: self._run(send, sending))

    def append(
        self, row: Mapping[str, str | int | None], table: str, config: bigquery.LoadJobConfig, sending: Sending
    ) -> None:
        """Append one row to a table by a load job, which is free and needs no billing."""

        def send(job_id: str) -> Job:
            return self.client.load_table_from_json(
                [dict(row)],
                table,
                job_id=job_id,
                job_config=config,
                location=sending.location,
                num_retries=UPLOAD_RETRIES,
                timeout=google_cloud.REQUEST_SECONDS,
            )

        again_if_nothing_changed(lambda: self._run(send, sending))

    def execute(self, sql: str, parameters: Parameters, sending: Sending) -> None:
        """Run a statement that changes a table."""

        def send(job_id: str) -> Job:
            return self.client.query(
                sql,
                job_id=job_id,
                job_config=self._config(parameters),
                location=sending.location,
                job_retry=None,
                **call_options(),
            )

        again_if_nothing_changed(lambda: self._run(send, sending))

    def query(
        self, sql: str, parameters: Parameters, *, location: str = "", most_bytes: int | None = None
    ) -> list[bigquery.Row]:
        """The rows of a query; it changes nothing, so its job is not recorded.

        BigQuery refuses one that it would bill for more than `most_bytes`, which otherwise are those of all questions.
        """
        config = self._limited(self._config(parameters))
        config.use_query_cache = False  # what is there now, whatever BigQuery still knows
        if most_bytes is not None:
            config.maximum_bytes_billed = most_bytes
        rows = self.client.query_and_wait(
            sql,
            job_config=config,
            location=location or None,
            api_timeout=google_cloud.REQUEST_SECONDS,
            wait_timeout=JOB_SECONDS,
            retry=google_cloud.limited(DEFAULT_RETRY),
            job_retry=google_cloud.limited(DEFAULT_JOB_RETRY),
        )
        return list(google_cloud.listed(rows)) if rows.total_rows else []

    def value(self, sql: str, parameters: Parameters, kind: type[_Value], *, location: str = "") -> _Value | None:
        """The one value of a query that has one, which may be null. Raises TransientError if another answer comes."""
        rows = [row.values() for row in self.query(sql, parameters, location=location)]
        if len(rows) != 1 or len(rows[0]) != 1 or not isinstance(rows[0][0], kind | None):
            raise TransientError("BigQuery answered something else than it was asked. Run again.")
        value: _Value | None = rows[0][0]
        return value

    def count(self, sql: str, parameters: Parameters, *, location: str = "") -> int:
        """The number that a query of COUNT(*) answers."""
        return self.value(sql, parameters, int, location=location) or 0

    def bytes_read(self, sql: str, parameters: Parameters) -> int:
        """The bytes that a query would read; found by a dry run, which is free."""
        config = self._config(parameters)
        config.dry_run = True
        config.use_query_cache = False  # an answer that BigQuery still knows would make it 0
        job = self.client.query(sql, job_config=config, job_retry=None, **call_options())
        return int(job.total_bytes_processed or 0)

    def foresee(self, sql: str, dataset: str = "", *, location: str = "") -> tuple[str, int]:
        """What kind of statement `sql` is, as `SELECT`, and the bytes it would read; `dataset` has its tables.

        It is looked at, with the permissions it needs, and changes nothing.
        """
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False, labels=self.labels)
        if dataset:
            config.default_dataset = dataset
        job = self.client.query(sql, job_config=config, location=location or None, job_retry=None, **call_options())
        return str(job.statement_type), int(job.total_bytes_processed or 0)

    def rows(self, sql: str, dataset: str) -> RowIterator:
        """The rows of a query of a user's, fetched page by page; `dataset` has the tables named alone."""
        return self.client.query_and_wait(
            sql,
            job_config=self._limited(bigquery.QueryJobConfig(default_dataset=dataset, labels=self.labels)),
            api_timeout=google_cloud.REQUEST_SECONDS,
            wait_timeout=JOB_SECONDS,
            retry=google_cloud.limited(DEFAULT_RETRY),
            job_retry=google_cloud.limited(DEFAULT_JOB_RETRY),
            page_size=PAGE_ROWS,
        )

    def settle(self, reference: str) -> None:
        """Make sure that the job `reference`, recorded by an earlier run, has ended; it may never have been sent.

        One that these credentials may not see has ended when Google lets no job run as long. Raises WarehouseError
        until then, and TransientError for one that cannot be ended.
        """
        recorded = Reference.parse(reference)
        project, location = recorded.project or self._project, recorded.location or None
        try:
            job = self.client.get_job(recorded.job_id, project=project, location=location, **call_options())
            ended = job.state == "DONE" or _cancel(job)
        except (answers.NotFound, answers.BadRequest):  # BigQuery has no such job, or can have none
            return
        except answers.Forbidden as error:
            if is_rate_limited(error):
                raise
            if recorded.ended_by < datetime.now(UTC):
                return
            raise WarehouseError(
                f"The job {reference} of an earlier run may still write, and these credentials may not see it. Run "
                "with those of that run, grant roles/bigquery.resourceViewer on its project, or wait until "
                f"{recorded.ended_by:%F %H:%M} UTC, when it has ended."
            ) from error
        if not ended:
            raise TransientError(f"The job {reference} of an earlier run is still running. Run again when it is done.")

    def _config(self, parameters: Parameters) -> bigquery.QueryJobConfig:
        values = [bigquery.ScalarQueryParameter(name, kind, value) for name, (kind, value) in parameters.items()]
        return bigquery.QueryJobConfig(query_parameters=values, labels=self.labels)

    def _limited(self, config: bigquery.QueryJobConfig) -> bigquery.QueryJobConfig:
        """The same, of a question that is refused if it would cost too much."""
        if self._most_billed:
            config.maximum_bytes_billed = self._most_billed
        return config

    def _run(self, send: Callable[[str], Job], sending: Sending) -> None:
        job_id = new_id()
        sending.record(str(Reference(self._project, sending.location, job_id)))
        try:
            job = send(job_id)
        except answers.Conflict:
            # the id is random, so this is our own job, whose reply was lost
            job = self._find(job_id, sending.location)
        _wait(job)
        error = job.exception(timeout=google_cloud.REQUEST_SECONDS)  # type: ignore[no-untyped-call]
        if error:
            raise error

    def _find(self, job_id: str, location: str) -> Job:
        try:
            return self.client.get_job(job_id, location=location, **call_options())
        except answers.NotFound as error:
            raise _lost(job_id) from error


def _wait(job: Job) -> None:
    """Wait until `job` has ended. Raises TransientError if it takes too long and cancelling stopped it."""
    if _has_ended(job, JOB_SECONDS) or (_cancel(job) and not job.error_result):
        return
    raise TransientError(f"The job {job.job_id} did not end within {JOB_SECONDS:.0f} s and was cancelled. Run again.")


def _cancel(job: Job) -> bool:
    """Cancel a job; return whether it then ended."""
    job.cancel(**call_options())
    return _has_ended(job, CANCEL_SECONDS)


def _has_ended(job: Job, seconds: float) -> bool:
    """Whether `job` ends within `seconds`."""
    deadline, pause = time.monotonic() + seconds, 0.1
    while job.state != "DONE":
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 5.0)
        _look(job)
    return True


def _look(job: Job) -> None:
    """Ask for the state of a job. Raises TransientError if BigQuery, which accepted it, does not find it for long."""
    deadline = time.monotonic() + APPEARING_SECONDS
    while True:
        try:
            job.reload(**call_options())
        except answers.NotFound as error:
            if time.monotonic() > deadline:
                raise _lost(str(job.job_id)) from error
            time.sleep(1)
        else:
            return


def _lost(job_id: str) -> TransientError:
    return TransientError(f"BigQuery accepted the job {job_id} but cannot find it. Run again.")
