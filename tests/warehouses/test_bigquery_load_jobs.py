"""BigQuery on the wire: the requests by which a month is replaced."""

from __future__ import annotations

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import DATASET, FIELDS, OBJECT, PROJECT, body_of_load, load
from conformance_of_warehouses import ZONES
from recording_server import Recording, refuse

from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Warehouse


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
    known_jobs = []
    load(warehouse, lambda _: known_jobs.append(len(google.jobs)))
    assert known_jobs == [0, 1]


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


def test_the_mark_is_recorded_with_month_rows_and_source(google: Recording, warehouse: Warehouse) -> None:
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


def test_the_mark_of_a_month_is_revoked_before_the_month_is_changed(google: Recording, warehouse: Warehouse) -> None:
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


def test_a_missing_dataset_is_created_where_the_bucket_is(google: Recording, warehouse: Warehouse) -> None:
    google.bucket_location = "EUROPE-WEST4"
    google.play["datasets.get"] = [refuse(404, "notFound", "Not found: Dataset wire-project:taxi")]
    load(warehouse)
    assert google.sent("datasets.insert")[0].body["location"] == "EUROPE-WEST4"


def test_an_emulator_that_does_not_know_partitions_is_told_as_what_it_is(
    google: Recording, warehouse: Warehouse
) -> None:
    google.rows = 0
    with pytest.raises(WarehouseError, match=r"An emulator may know no partitions .*: set load\.method = merge"):
        load(warehouse)


def test_no_question_of_ours_is_answered_by_what_bigquery_still_knows(google: Recording, warehouse: Warehouse) -> None:
    load(warehouse)
    assert {request.body["useQueryCache"] for request in google.sent("jobs.query")} == {False}
