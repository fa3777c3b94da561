"""method=partition held to Google's documented wire contract, on a loopback server that records and plays answers.

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

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from conformance_of_warehouses import TRIPS, ZONES
from recording_server import DATASET, PROJECT, Answer, Play, Recording, Request, recording, refusal, refuse

from taxi_ingest import warehouses
from taxi_ingest.errors import TransientError, UsageError, WarehouseError
from taxi_ingest.warehouses import Warehouse

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
    with recording() as there:
        there.table["schema"] = {"fields": FIELDS}
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", there.url)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", there.url)
        for name, seconds in [("RETRY", 3.0), ("REQUEST", 5.0), ("JOB", 0.3), ("CANCEL", 0.3)]:
            monkeypatch.setattr(f"{JOBS}.{name}_SECONDS", seconds)
        monkeypatch.setattr(f"{JOBS}.UPLOAD_TRIES", 1)
        yield there


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused stays refused: one try shows it."""
    monkeypatch.setattr(f"{JOBS}.RETRY_SECONDS", 0.1)


@pytest.fixture
def warehouse(google: Recording) -> Warehouse:
    return warehouses.connect(f"bigquery://{PROJECT}/{DATASET}")


def load(warehouse: Warehouse, record: Callable[[str], None] | None = None, rows: int = 2) -> int:
    return warehouse.replace(TRIPS, "2021-01", file=OBJECT, rows=rows, mark="m1", source="csv", record=record)


def body_of_load(google: Recording) -> dict[str, Any]:
    (inserted,) = google.sent("jobs.insert")
    body: dict[str, Any] = inserted.body
    return body


# ---- what is sent


def test_the_load_is_what_the_reference_asks_for(google: Recording, warehouse: Warehouse) -> None:
    load(warehouse)
    assert body_of_load(google)["configuration"] == {
        "labels": {"made_by": "taxi-ingest"},
        "load": {
            "sourceUris": [OBJECT],
            "sourceFormat": "PARQUET",
            "destinationTable": {"projectId": PROJECT, "datasetId": DATASET, "tableId": "trips$202101"},
            "schema": {"fields": FIELDS},
            "writeDisposition": "WRITE_TRUNCATE",
            "createDisposition": "CREATE_NEVER",
        },
    }


def test_the_job_runs_where_the_dataset_is_under_the_id_that_was_recorded(
    google: Recording, warehouse: Warehouse
) -> None:
    recorded: list[str] = []
    load(warehouse, recorded.append)
    reference = body_of_load(google)["jobReference"]
    assert reference == {"projectId": PROJECT, "location": "EU", "jobId": recorded[0].removeprefix(f"{PROJECT}:EU.")}


def test_an_id_is_recorded_before_its_job_is_sent(google: Recording, warehouse: Warehouse) -> None:
    jobs_there = []
    load(warehouse, lambda _: jobs_there.append(len(google.jobs)))
    assert jobs_there == [0, 1]


def test_every_attempt_has_an_id_of_its_own(google: Recording, warehouse: Warehouse) -> None:
    load(warehouse)
    load(warehouse)
    assert len({request.body["jobReference"]["jobId"] for request in google.sent("jobs.insert")}) == 2


def test_a_table_without_months_is_replaced_whole(google: Recording, warehouse: Warehouse) -> None:
    warehouse.replace(ZONES, None, file=OBJECT, rows=2, mark="m1", source="csv")
    sent = body_of_load(google)["configuration"]["load"]
    assert (sent["destinationTable"]["tableId"], sent["writeDisposition"]) == ("zones", "WRITE_TRUNCATE")


def test_the_mark_is_appended_by_a_load_job(google: Recording, warehouse: Warehouse) -> None:
    load(warehouse)
    (upload,) = google.sent("upload")
    sent = upload.body["job"]["configuration"]["load"]
    assert {name: sent[name] for name in sent if name != "schema"} == {
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "destinationTable": {"projectId": PROJECT, "datasetId": DATASET, "tableId": "_loads"},
        "writeDisposition": "WRITE_APPEND",
        "createDisposition": "CREATE_NEVER",
    }


def test_the_mark_tells_month_rows_and_source(google: Recording, warehouse: Warehouse) -> None:
    load(warehouse)
    row = google.sent("upload")[0].body["row"]
    assert {name: row[name] for name in row if name not in {"at", "load"}} == {
        "table_name": "trips",
        "file_month": "2021-01-01",
        "mark": "m1",
        "rows": 2,
        "source": "csv",
        "state": "done",
    }


def test_a_month_that_has_a_mark_is_told_to_be_gone_before_it_is_touched(
    google: Recording, warehouse: Warehouse
) -> None:
    google.newest = 1_600_000_000_000_000
    load(warehouse)
    wrote = [r.body["row"]["state"] if r.name == "upload" else "load" for r in google.requests if "jobs" in r.path]
    assert wrote == ["started", "load", "done"]


def test_rows_are_counted_in_the_table_and_not_taken_from_the_job(google: Recording, warehouse: Warehouse) -> None:
    google.rows = 0  # what the count says when a server takes `trips$202101` for the name of another table
    with pytest.raises(WarehouseError, match=r"trips 2021-01 has 0 rows in wire-project:taxi, but .* hold 2\."):
        load(warehouse)
    assert google.states() == []


def test_columns_the_catalog_gained_are_added_behind_the_others(google: Recording, warehouse: Warehouse) -> None:
    google.table["schema"] = {"fields": FIELDS[:3] + FIELDS[4:]}
    load(warehouse)
    (patched,) = google.sent("tables.patch")
    assert patched.body["schema"]["fields"][-2:] == [FIELDS[4], FIELDS[3]]


def test_a_missing_dataset_is_made_where_the_bucket_is(google: Recording, warehouse: Warehouse) -> None:
    google.bucket_location = "EUROPE-WEST4"
    google.play["datasets.get"] = [refuse(404, "notFound", "Not found: Dataset wire-project:taxi")]
    load(warehouse)
    assert google.sent("datasets.insert")[0].body["location"] == "EUROPE-WEST4"


# ---- what comes back


def failed(reason: str, message: str) -> Play:
    """Play a job that was taken in and failed."""

    def play(request: Request) -> Answer:
        job_id = request.body["jobReference"]["jobId"]
        error = {"reason": reason, "message": message}
        status = {"state": "DONE", "errorResult": error, "errors": [error]}
        return 200, {**request.body, "id": job_id, "status": status, "statistics": {}}

    return play


FOREVER = 100
CASES: dict[str, tuple[Play, type[Exception], str]] = {
    "job fails half-way": (
        failed("backendError", "Error encountered during execution. Retrying may solve the problem."),
        TransientError,
        "cannot do it just now; run again",
    ),
    "schema refused": (
        failed("invalid", "Parquet column 'flag' has type BYTE_ARRAY which does not match the target cpp_type INT64."),
        WarehouseError,
        "refused the columns .* rename it or use another dataset",
    ),
    "object missing": (
        failed("notFound", "Not found: URI gs://bucket/trips/trips_2021-01.parquet"),
        WarehouseError,
        "object to load is not there. Run upload",
    ),
    "other locations": (
        failed("invalid", "Cannot read and write in different locations: source: US, destination: EU"),
        WarehouseError,
        "are in different locations. Use a dataset in the bucket's location",
    ),
    "cancelled by somebody": (
        failed("stopped", "Job execution was cancelled: User requested cancellation"),
        TransientError,
        "was cancelled; run again",
    ),
    "another writer": (
        failed("invalidQuery", "Could not serialize access to table wire-project:taxi.trips due to concurrent update"),
        TransientError,
        "somebody else changed the table meanwhile; run again",
    ),
    "too many updates": (
        failed("rateLimitExceeded", "Exceeded rate limits: too many table update operations for this table."),
        TransientError,
        "cannot do it just now; run again",
    ),
    "503": (refuse(503, "backendError", "Error encountered"), TransientError, "cannot do it just now; run again"),
    "502 of a proxy": (lambda _: (502, {}), TransientError, "cannot do it just now; run again"),
    "rate limit": (
        refuse(403, "rateLimitExceeded", "Exceeded rate limits: too many concurrent jobs"),
        TransientError,
        "cannot do it just now; run again",
    ),
    "quota": (
        refuse(403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for imports per project"),
        TransientError,
        "quota of BigQuery is used up; run again later",
    ),
    "billing off": (
        refuse(403, "billingNotEnabled", "BigQuery: Billing has not been enabled for this project."),
        WarehouseError,
        "Billing is off for project wire-project. Turn it on",
    ),
    "no permission": (
        refuse(403, "accessDenied", "Access Denied: Project wire-project: User does not have bigquery.jobs.create"),
        WarehouseError,
        "Grant them roles/bigquery.dataEditor .* roles/bigquery.jobUser .* roles/storage.objectViewer",
    ),
    "API off": (
        refuse(403, "accessNotConfigured", "BigQuery API has not been used in project 1 before or it is disabled."),
        WarehouseError,
        "gcloud services enable bigquery.googleapis.com --project=wire-project",
    ),
    "no project": (
        refuse(404, "notFound", "Not found: Project wire-project"),
        WarehouseError,
        "There is no project wire-project, or it cannot be seen",
    ),
    "credentials refused": (
        refuse(401, "authError", "Request had invalid authentication credentials."),
        WarehouseError,
        "gcloud auth application-default login",
    ),
    "reply cut": (lambda _: None, TransientError, "cannot be reached"),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("play", "kind", "sentence"), CASES.values(), ids=CASES)
def test_an_answer_is_told_in_a_sentence_with_the_remedy(
    google: Recording, warehouse: Warehouse, play: Play, kind: type[Exception], sentence: str
) -> None:
    google.always["jobs.insert"] = play
    with pytest.raises(kind, match=sentence):
        load(warehouse)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("play", [case[0] for case in CASES.values()], ids=CASES)
def test_a_load_that_was_refused_is_not_told_as_done(google: Recording, warehouse: Warehouse, play: Play) -> None:
    google.newest = 1_600_000_000_000_000
    google.always["jobs.insert"] = play
    with pytest.raises((WarehouseError, TransientError)):
        load(warehouse)
    assert google.states() == ["started"]


@pytest.mark.parametrize(
    "play",
    [
        refuse(503, "backendError", "Error encountered"),
        refuse(403, "rateLimitExceeded", "Exceeded rate limits: too many concurrent jobs"),
        lambda _: None,
    ],
    ids=["503", "rate limit", "connection cut"],
)
def test_what_may_pass_is_sent_again_under_the_same_id(google: Recording, warehouse: Warehouse, play: Play) -> None:
    google.play["jobs.insert"] = [play]
    assert load(warehouse) == 2
    assert len({request.body["jobReference"]["jobId"] for request in google.sent("jobs.insert")}) == 1


def lost(google: Recording) -> Play:
    """Play a reply that is lost after the job was taken in."""

    def play(request: Request) -> Answer:
        google.accept(request)
        return None

    return play


def test_a_job_whose_reply_was_lost_runs_once(google: Recording, warehouse: Warehouse) -> None:
    google.play["jobs.insert"] = [lost(google)]
    assert load(warehouse) == 2
    assert (len(google.sent("jobs.insert")), len(google.jobs), google.states()) == (2, 2, ["done"])


def test_a_mark_whose_reply_was_lost_is_set_once(google: Recording, warehouse: Warehouse) -> None:
    google.play["upload"] = [lost(google)]
    assert load(warehouse) == 2
    assert (len(google.sent("upload")), len(google.jobs)) == (2, 2)


def test_a_409_for_our_own_id_is_our_own_job(google: Recording, warehouse: Warehouse) -> None:
    def twice(request: Request) -> Answer:
        google.accept(request)
        return google.accept(request)

    google.play["jobs.insert"] = [twice]
    assert load(warehouse) == 2
    assert google.sent("jobs.get")[0].of == body_of_load(google)["jobReference"]["jobId"]


def test_a_409_for_a_job_that_is_not_found_may_be_tried_again(google: Recording, warehouse: Warehouse) -> None:
    google.always["jobs.insert"] = refuse(409, "duplicate", "Already Exists: Job")
    with pytest.raises(TransientError, match=r"accepted the job taxi_ingest_.* and does not find it"):
        load(warehouse)


def running(google: Recording) -> Play:
    """Play a job that is taken in and still running when asked for."""
    return lambda request: google.accept(request, state="RUNNING")


def test_a_job_that_runs_is_waited_for(
    google: Recording, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{JOBS}.JOB_SECONDS", 10.0)
    google.play["jobs.insert"] = [running(google)]

    def done(request: Request) -> Answer:
        google.jobs[request.of]["status"] = {"state": "DONE"}
        return 200, google.jobs[request.of]

    google.play["jobs.get"] = [lambda request: (200, google.jobs[request.of]), done]
    assert (load(warehouse), len(google.sent("jobs.get"))) == (2, 2)


def test_a_job_that_never_ends_is_cancelled(google: Recording, warehouse: Warehouse) -> None:
    google.play["jobs.insert"] = [running(google)]
    with pytest.raises(TransientError, match="did not end within 0 s and was cancelled"):
        load(warehouse)
    assert len(google.sent("jobs.cancel")) == 1


def test_a_job_that_was_done_when_it_was_to_be_cancelled_counts(google: Recording, warehouse: Warehouse) -> None:
    google.play["jobs.insert"] = [running(google)]

    def too_late(request: Request) -> Answer:
        google.jobs[request.of]["status"] = {"state": "DONE"}
        return 200, {"job": google.jobs[request.of]}

    google.always["jobs.cancel"] = too_late
    assert (load(warehouse), google.states()) == (2, ["done"])


def test_a_server_that_never_answers_is_given_up(
    google: Recording, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUEST", "RETRY"):
        monkeypatch.setattr(f"{JOBS}.{name}_SECONDS", 0.2)

    def sleep(_: Request) -> Answer:
        time.sleep(2)
        return None

    google.always["jobs.insert"] = sleep
    begun = time.monotonic()
    with pytest.raises(TransientError, match="cannot be reached"):
        load(warehouse)
    assert time.monotonic() - begun < 20


def test_a_server_that_is_not_there_is_told(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(f"{JOBS}.RETRY_SECONDS", 0.1)
    with pytest.raises(TransientError, match="cannot be reached"):
        warehouse.held("trips")["trips"]


def test_missing_credentials_are_told_with_the_command_that_makes_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(WarehouseError, match="gcloud auth application-default login"):
        warehouses.connect(f"bigquery://{PROJECT}/{DATASET}").held("trips")["trips"]


def test_a_project_that_is_none_is_told_when_asked_for_what_it_holds(google: Recording, warehouse: Warehouse) -> None:
    google.always["jobs.query"] = refuse(404, "notFound", "Not found: Project wire-project")
    with pytest.raises(WarehouseError, match="There is no project wire-project"):
        warehouse.held("trips")["trips"]


def test_a_dataset_that_is_not_there_holds_nothing(google: Recording, warehouse: Warehouse) -> None:
    missing = "Not found: Dataset wire-project:taxi was not found in location US"
    google.always["jobs.query"] = refuse(404, "notFound", missing)
    assert warehouse.held("trips")["trips"] == {}


def test_a_dataset_that_may_not_be_made_is_told_with_the_command(google: Recording, warehouse: Warehouse) -> None:
    google.always["datasets.get"] = refuse(404, "notFound", "Not found: Dataset wire-project:taxi")
    google.always["datasets.insert"] = refuse(403, "accessDenied", "Access Denied: bigquery.datasets.create")
    with pytest.raises(WarehouseError, match="bq mk --location=EU --dataset wire-project:taxi"):
        load(warehouse)


# ---- method=merge


def merge(google: Recording) -> list[str]:
    """Replace January by method=merge; returns the statements sent."""
    load(warehouses.connect(f"bigquery://{PROJECT}/{DATASET}?method=merge"))
    sent = [request.body["configuration"].get("query", {}) for request in google.sent("jobs.insert")]
    return [" ".join(query["query"].split()) for query in sent if query]


def test_a_merge_is_limited_to_its_month(google: Recording) -> None:
    (statement,) = merge(google)
    staging = google.sent("tables.insert")[0].body["tableReference"]["tableId"]
    columns = "`VendorID`, `pickup_datetime`, `fare_amount`, `flag`, `file_month`"
    assert statement == (
        f"MERGE `wire-project.taxi.trips` AS t USING `wire-project.taxi.{staging}` AS s ON FALSE "
        "WHEN NOT MATCHED BY SOURCE AND t.file_month = @month THEN DELETE "
        f"WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})"
    )


def test_a_merge_that_another_writer_disturbed_is_sent_again(google: Recording) -> None:
    conflict = failed("invalidQuery", "Could not serialize access to table wire-project:taxi.trips due to concurrent")
    google.play["jobs.insert"] = [google.accept, conflict]
    assert len(merge(google)) == 2


def test_a_staging_table_that_a_kill_leaves_behind_has_an_end(google: Recording) -> None:
    merge(google)
    hours = (int(google.sent("tables.insert")[0].body["expirationTime"]) / 1000 - time.time()) / 3600
    assert 23 < hours <= 24


# ---- jobs of an earlier run


def settle(google: Recording, state: str) -> None:
    google.jobs["old"] = {
        "jobReference": {"projectId": PROJECT, "jobId": "old", "location": "EU"},
        "configuration": {"load": {}},
        "status": {"state": state},
        "statistics": {},
    }
    place = warehouses.connect(f"bigquery://{PROJECT}/{DATASET}")
    place.settle(f"{PROJECT}:EU.old")


def test_a_job_of_an_earlier_run_that_still_runs_is_cancelled(google: Recording) -> None:
    settle(google, "RUNNING")
    assert google.jobs["old"]["status"]["state"] == "DONE"


def test_a_job_of_an_earlier_run_is_asked_for_where_it_ran(google: Recording) -> None:
    settle(google, "DONE")
    assert [(request.of, request.query["location"]) for request in google.sent("jobs.get")] == [("old", "EU")]


def test_a_job_of_an_earlier_run_that_ended_is_left_alone(google: Recording) -> None:
    settle(google, "DONE")
    assert google.sent("jobs.cancel") == []


def test_a_job_that_does_not_stop_when_cancelled_is_told(google: Recording) -> None:
    google.always["jobs.cancel"] = lambda request: (200, {"job": google.jobs[request.of]})
    with pytest.raises(TransientError, match="of an earlier run is still running"):
        settle(google, "RUNNING")


@pytest.mark.parametrize("job", ["never-sent", f"{PROJECT}:EU.never-sent"])
def test_a_job_the_server_does_not_know_is_fine(google: Recording, job: str) -> None:
    place = warehouses.connect(f"bigquery://{PROJECT}/{DATASET}")
    place.settle(job)
    assert [request.of for request in google.sent("jobs.get")] == ["never-sent"]


# ---- before work


def test_a_partition_that_would_be_dropped_at_once_is_not_loaded(google: Recording, warehouse: Warehouse) -> None:
    sixty_days = str(60 * 86_400_000)
    google.table["timePartitioning"] = {"type": "MONTH", "field": "file_month", "expirationMs": sixty_days}
    with pytest.raises(
        WarehouseError, match=r"drops partitions 60 days after .* ALTER TABLE `wire-project.taxi.trips`"
    ):
        load(warehouse)
    assert google.sent("jobs.insert") == []


def test_a_table_that_is_partitioned_otherwise_is_not_loaded(google: Recording, warehouse: Warehouse) -> None:
    google.table["timePartitioning"] = {"type": "DAY", "field": "pickup_datetime"}
    with pytest.raises(WarehouseError, match=r"not partitioned by MONTH\(file_month\). Use \?method=merge"):
        load(warehouse)
    assert google.sent("jobs.insert") == []


def examined(warehouse: Warehouse) -> list[tuple[bool, str]]:
    return list(warehouse.examine("bucket"))


def test_a_place_that_is_well_passes_every_check(google: Recording, warehouse: Warehouse) -> None:
    assert [well for well, _ in examined(warehouse)] == [True] * 5


def test_a_bucket_in_another_location_is_told_beforehand(google: Recording, warehouse: Warehouse) -> None:
    google.bucket_location = "US"
    assert [told for well, told in examined(warehouse) if not well] == [
        "The dataset wire-project:taxi is in EU and the bucket gs://bucket in US, but both must be in one location. "
        "Use another dataset (a new one is made where the bucket is) or bucket."
    ]


def test_a_default_expiry_of_partitions_is_told_beforehand_with_the_remedy(
    google: Recording, warehouse: Warehouse
) -> None:
    google.dataset["defaultPartitionExpirationMs"] = str(60 * 86_400_000)
    (told,) = [told for well, told in examined(warehouse) if not well]
    assert "ALTER SCHEMA `wire-project.taxi` SET OPTIONS (default_partition_expiration_days = NULL)" in told


def test_no_right_to_run_jobs_is_told_beforehand(google: Recording, warehouse: Warehouse) -> None:
    google.always["jobs.query"] = lambda _: refusal(403, "accessDenied", "Access Denied: bigquery.jobs.create")
    assert [well for well, _ in examined(warehouse)] == [True, False]


def test_checks_change_nothing(google: Recording, warehouse: Warehouse) -> None:
    examined(warehouse)
    assert {request.name for request in google.requests} == {"jobs.query", "datasets.get", "buckets.get"}


# ---- names


@pytest.mark.parametrize(
    "url",
    [
        "bigquery://",
        "bigquery://wire-project",
        "bigquery://Wire-Project/taxi",
        "bigquery://wire/taxi",
        "bigquery://wire-project-/taxi",
        "bigquery://wire-project/ta-xi",
        "bigquery://wire-project/taxi`; DROP TABLE trips",
        "bigquery://wire-project/taxi/trips",
        "bigquery://wire-project/taxi?method=delete",
        "bigquery://wire-project/taxi?location=E U",
        "bigquery://wire-project/taxi?colour=red",
    ],
)
def test_a_url_google_would_not_allow_is_refused_before_any_call(url: str) -> None:
    with pytest.raises(UsageError):
        warehouses.connect(url)


@pytest.mark.parametrize("name", ["", "trips$202101", "trips`", "a.b", "t" * 1025])
def test_a_name_no_table_can_have_is_refused_before_any_call(
    google: Recording, warehouse: Warehouse, name: str
) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a BigQuery table"):
        warehouse.replace(replace(TRIPS, name=name), "2021-01", file=OBJECT, rows=2, mark="m1", source="csv")
    assert google.requests == []


def test_a_file_of_a_folder_is_refused_before_any_call(google: Recording, warehouse: Warehouse) -> None:
    with pytest.raises(UsageError, match="reads objects of Google Cloud Storage"):
        warehouse.replace(TRIPS, "2021-01", file="/lake/trips.parquet", rows=2, mark="m1", source="csv")
    assert google.requests == []


def test_the_line_that_opens_a_table_reads_only_what_it_shows(warehouse: Warehouse) -> None:
    assert warehouse.opens("trips") == "bq head --max_rows=10 wire-project:taxi.trips"
