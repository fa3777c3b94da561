"""Jobs of BigQuery: sent with a random id that is recorded first, waited for with an end, cancelled, found again."""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.api_core import exceptions as answers
from google.auth import default as default_credentials
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY, DEFAULT_RETRY

from taxi_ingest.errors import TransientError, WarehouseError
from taxi_ingest.warehouses.bigquery.errors import is_conflict

RETRY_SECONDS = 60.0
"""How long the client itself tries again before we call a fault one."""

REQUEST_SECONDS = 60.0
"""How long one request may take; a job itself takes as long as it takes, see below."""

UPLOAD_TRIES = 5
"""How often the few bytes of a mark are sent again."""

JOB_SECONDS = 3600.0
"""How long a job may take before it is cancelled; the largest month takes minutes."""

CANCEL_SECONDS = 60.0
"""How long a cancelled job may take to end."""

CONFLICT_TRIES = 6
"""How often a statement is sent again after another writer of the same table came between."""

LABELS = {"made_by": "taxi-ingest"}

_REFERENCE = re.compile(r"(?P<project>.+):(?P<location>[^:.]*)\.(?P<job>[\w-]+)")

Record = Callable[[str], None]


class Jobs:
    """The jobs of one project. `record` is called with the reference of each job that writes, before it is sent."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._client: Any = None

    @property
    def client(self) -> Any:
        """Google's client, made when first needed."""
        if self._client is None:
            self._client = _client(self._project)
        return self._client

    def load(self, uri: str, table: str, config: Any, *, location: str, record: Record) -> Any:
        """Load one object into a table; returns the finished job."""

        def send(job_id: str) -> Any:
            return self.client.load_table_from_uri(
                uri, table, job_id=job_id, job_config=config, location=location, **calls()
            )

        return self._finish(send, location, record)

    def append(self, row: Mapping[str, Any], table: str, config: Any, *, location: str, record: Record) -> None:
        """Append one row to a table by a load job, which is free and needs no billing."""

        def send(job_id: str) -> Any:
            return self.client.load_table_from_json(
                [row],
                table,
                job_id=job_id,
                job_config=config,
                location=location,
                num_retries=UPLOAD_TRIES,
                timeout=REQUEST_SECONDS,
            )

        self._until_no_conflict(lambda: self._finish(send, location, record))

    def execute(self, sql: str, parameters: Mapping[str, tuple[str, Any]], *, location: str, record: Record) -> None:
        """Run a statement that changes a table, again when another writer came between."""

        def send(job_id: str) -> Any:
            config = _config(parameters)
            return self.client.query(
                sql, job_id=job_id, job_config=config, location=location, job_retry=None, **calls()
            )

        self._until_no_conflict(lambda: self._finish(send, location, record))

    def ask(self, sql: str, parameters: Mapping[str, tuple[str, Any]], *, location: str = "") -> list[Any]:
        """The rows of a question; it changes nothing, so its job is not recorded."""
        rows = self.client.query_and_wait(
            sql,
            job_config=_config(parameters),
            location=location or None,
            api_timeout=REQUEST_SECONDS,
            wait_timeout=JOB_SECONDS,
            retry=retry(),
            job_retry=DEFAULT_JOB_RETRY.with_timeout(RETRY_SECONDS),
        )
        return list(rows)

    def settle(self, reference: str) -> None:
        """See to it that the job `reference` of an earlier run does no more; one unknown to the server is fine.

        What it did before proves nothing: the table does.
        """
        match = _REFERENCE.fullmatch(reference)
        project, location, job_id = match.group("project", "location", "job") if match else ("", "", reference)
        try:
            job = self.client.get_job(
                job_id,
                project=project or self._project,
                location=location or None,
                retry=retry(),
                timeout=REQUEST_SECONDS,
            )
            ended = job.state == "DONE" or self._stop(job)
        except answers.NotFound:
            return
        if not ended:
            raise TransientError(f"The job {reference} of an earlier run is still running. Run again when it is done.")

    def _finish(self, send: Callable[[str], Any], location: str, record: Record) -> Any:
        job_id = f"taxi_ingest_{uuid.uuid4().hex}"
        record(f"{self._project}:{location}.{job_id}")
        try:
            job = send(job_id)
        except answers.Conflict:
            # nobody else has this id: our own job, whose reply was lost
            job = self._ours(job_id, location)
        self._wait(job)
        refused = job.exception(timeout=REQUEST_SECONDS)
        if refused:
            raise refused
        return job

    def _ours(self, job_id: str, location: str) -> Any:
        try:
            return self.client.get_job(job_id, location=location, retry=retry(), timeout=REQUEST_SECONDS)
        except answers.NotFound as error:
            raise TransientError(f"BigQuery accepted the job {job_id} and does not find it. Run again.") from error

    def _wait(self, job: Any) -> None:
        if self._ended(job, JOB_SECONDS) or (self._stop(job) and not job.error_result):
            return
        raise TransientError(
            f"The job {job.job_id} did not end within {JOB_SECONDS:.0f} s and was cancelled. Run again."
        )

    def _stop(self, job: Any) -> bool:
        """Cancel a job; whether it then ended."""
        job.cancel(retry=retry(), timeout=REQUEST_SECONDS)
        return self._ended(job, CANCEL_SECONDS)

    @staticmethod
    def _ended(job: Any, seconds: float) -> bool:
        give_up, pause = time.monotonic() + seconds, 0.1
        while job.state != "DONE":
            if time.monotonic() > give_up:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 5.0)
            job.reload(retry=retry(), timeout=REQUEST_SECONDS)
        return True

    @staticmethod
    def _until_no_conflict(work: Callable[[], Any]) -> None:
        for pause in range(CONFLICT_TRIES):
            try:
                work()
            except answers.GoogleAPICallError as error:
                if not is_conflict(error) or pause == CONFLICT_TRIES - 1:
                    raise
                time.sleep(0.25 * 2**pause)
            else:
                return


def on_emulator() -> bool:
    """Whether the client talks to a server of the tests, as it does itself."""
    return bool(os.environ.get("BIGQUERY_EMULATOR_HOST"))


def calls() -> dict[str, Any]:
    """How each call is made: with an end, and tried again for a while."""
    return {"retry": retry(), "timeout": REQUEST_SECONDS}


def retry() -> Any:
    """The client's own rule of what to try again, with our end."""
    return DEFAULT_RETRY.with_timeout(RETRY_SECONDS)


def who() -> str:
    """Whose credentials are in force."""
    if on_emulator():
        return "none needed by the emulator"
    credentials, _ = default_credentials()
    return getattr(credentials, "service_account_email", "") or "your own, by gcloud auth application-default login"


def bucket_location(bucket: str, project: str) -> str:
    """Where a bucket is, such as `EU` or `US-CENTRAL1`."""
    from google.cloud import storage

    # else each client asks for the bucket's metadata once, for traces that nobody collects
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        client = storage.Client(project=project, credentials=AnonymousCredentials())
    else:
        credentials, _ = default_credentials(scopes=["https://www.googleapis.com/auth/devstorage.read_only"])
        client = storage.Client(project=project, credentials=credentials)
    with contextlib.closing(client):
        try:
            return str(client.get_bucket(bucket, timeout=REQUEST_SECONDS).location)
        except answers.NotFound as error:
            raise WarehouseError(f"There is no bucket gs://{bucket}. Run upload first.") from error
        except answers.Forbidden as error:
            raise WarehouseError(
                f"These credentials may not see where gs://{bucket} is. Grant them roles/storage.bucketViewer on the "
                "bucket, or make the dataset yourself, in the bucket's location."
            ) from error


def _client(project: str) -> Any:
    if on_emulator():
        return bigquery.Client(project=project, credentials=AnonymousCredentials())
    credentials, _ = default_credentials(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return bigquery.Client(project=project, credentials=credentials)


def _config(parameters: Mapping[str, tuple[str, Any]]) -> Any:
    values: Sequence[Any] = [bigquery.ScalarQueryParameter(name, *value) for name, value in parameters.items()]
    return bigquery.QueryJobConfig(query_parameters=values, labels=LABELS)
