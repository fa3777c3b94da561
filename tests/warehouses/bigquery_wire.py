"""What the tests of BigQuery on the wire share: a recording server and a warehouse that talks to it.

method=partition is held to Google's documented wire contract, on a loopback server that records and plays answers.

No server that can be installed knows partition decorators, so what is sent is compared field by field with the REST
reference (v2):

* `jobs.insert` takes a Job: `jobReference` {`projectId`, `jobId`, `location`} and `configuration` {`load`, `labels`}.
* `configuration.load` (JobConfigurationLoad): `sourceUris`, `sourceFormat` ("PARQUET", "NEWLINE_DELIMITED_JSON"),
  `schema` {`fields`: [{`name`, `type`, `mode`, `description`}]}, `destinationTable` {`projectId`, `datasetId`,
  `tableId`; `table$YYYYMM` is one partition}, `writeDisposition` (WRITE_TRUNCATE: the data is overwritten, as one
  atomic update upon job completion), `createDisposition` (CREATE_NEVER: the table must be there).
* A Job answers with `status` {`state`: PENDING, RUNNING or DONE; `errorResult` {`reason`, `message`}; `errors`}; it
  failed if `errorResult` is there. A `jobId` that was used is refused with 409 `duplicate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conformance_of_warehouses import TRIPS
from recording_server import DATASET, PROJECT, Answer, Play, Recording, Request, recording

from taxi_ingest.place import Place
from taxi_ingest.warehouses import Warehouse, open_warehouse

__all__ = ["google", "impatient", "warehouse"]


GOOGLE_CLOUD = "taxi_ingest.google_cloud"
JOBS = "taxi_ingest.warehouses.bigquery.jobs"
OBJECT = "gs://bucket/trips/trips_2021-01.parquet"
FIELDS = [
    {"name": "VendorID", "type": "INT64", "mode": "NULLABLE", "description": "who's meter [code]"},
    {
        "name": "pickup_datetime",
        "type": "DATETIME",
        "mode": "NULLABLE",
        "description": "start [New York wall clock]",
    },
    {"name": "fare_amount", "type": "FLOAT64", "mode": "NULLABLE", "description": "fare [USD]"},
    {"name": "flag", "type": "STRING", "mode": "NULLABLE", "description": "a flag [Y/N]"},
    {
        "name": "file_month",
        "type": "DATE",
        "mode": "NULLABLE",
        "description": "First day of the file's month; the partition's key.",
    },
]


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    with recording() as server:
        server.table["schema"] = {"fields": FIELDS}
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.url)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        for name, seconds in [("RETRY", 3.0), ("REQUEST", 5.0)]:
            monkeypatch.setattr(f"{GOOGLE_CLOUD}.{name}_SECONDS", seconds)
        for name, seconds in [("JOB", 0.3), ("CANCEL", 0.3)]:
            monkeypatch.setattr(f"{JOBS}.{name}_SECONDS", seconds)
        monkeypatch.setattr(f"{JOBS}.UPLOAD_RETRIES", 1)
        monkeypatch.setattr("taxi_ingest.warehouses.bigquery.repeating._LONGEST_PAUSE", 0.02)
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry for a moment only, where the server answers the same every time."""
    monkeypatch.setattr(f"{GOOGLE_CLOUD}.RETRY_SECONDS", 0.1)


@pytest.fixture
def warehouse(google: Recording) -> Warehouse:
    return open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"))


def load(warehouse: Warehouse, record: Callable[[str], None] | None = None, rows: int = 2) -> int:
    return warehouse.replace(TRIPS, "2021-01", file=OBJECT, rows=rows, mark="m1", source="csv", record=record)


def body_of_load(google: Recording) -> dict[str, Any]:
    (inserted,) = google.sent("jobs.insert")
    body: dict[str, Any] = inserted.body
    return body


def failed(reason: str, message: str) -> Play:
    """Play a job that was accepted and failed."""

    def play(request: Request) -> Answer:
        job_id = request.body["jobReference"]["jobId"]
        error = {"reason": reason, "message": message}
        status = {"state": "DONE", "errorResult": error, "errors": [error]}
        return 200, {**request.body, "id": job_id, "status": status, "statistics": {}}

    return play
