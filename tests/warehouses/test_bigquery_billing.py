"""BigQuery on the wire: who pays, for how much at most, and under which labels."""

from __future__ import annotations

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import body_of_load, load
from recording_server import DATASET, PROJECT, Recording, refuse

from taxi_ingest.errors import UsageError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options, Warehouse, open_warehouse

PAYER = "payer-project"


def opened(query: str = "", **options: object) -> Warehouse:
    return open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}{query}"), Options(**options))  # type: ignore[arg-type]


def test_jobs_run_in_the_project_that_pays_and_the_data_stays_where_it_is(google: Recording) -> None:
    assert load(opened(f"?billing_project={PAYER}")) == 2
    paths = {request.name: request.path for request in google.requests}
    assert {name for name, path in paths.items() if f"/projects/{PAYER}/" in path} == {
        "jobs.insert", "jobs.query", "upload"
    }  # fmt: skip
    table = body_of_load(google)["configuration"]["load"]["destinationTable"]
    assert (table["projectId"], table["datasetId"]) == (PROJECT, DATASET)
    assert all(PROJECT in request.body["query"] for request in google.sent("jobs.query"))


def test_jobs_are_recorded_with_the_project_that_pays(google: Recording) -> None:
    recorded: list[str] = []
    load(opened(f"?billing_project={PAYER}"), recorded.append)
    assert {job.partition(":")[0] for job in recorded} == {PAYER}


def test_a_right_that_is_missing_is_asked_for_in_the_project_that_pays(google: Recording) -> None:
    google.always["jobs.query"] = refuse(403, "accessDenied", "Access Denied: User does not have bigquery.jobs.create")
    with pytest.raises(WarehouseError, match=f"Grant roles/bigquery.jobUser on the project {PAYER}"):
        opened(f"?billing_project={PAYER}").held("trips")


def test_a_project_that_cannot_exist_pays_for_nothing() -> None:
    with pytest.raises(UsageError, match="names no project that can exist"):
        opened("?billing_project=No-Such")


def test_labels_are_given_to_jobs_and_tables(google: Recording) -> None:
    google.play["tables.get"] = [refuse(404, "notFound", "Not found: Table")] * 2
    load(opened(labels=("team=data", "env=prod")))
    wanted = {"made_by": "taxi-ingest", "team": "data", "env": "prod"}
    assert [request.body["labels"] for request in google.sent("tables.insert")] == [wanted] * 2
    assert body_of_load(google)["configuration"]["labels"] == wanted
    assert [request.body["job"]["configuration"]["labels"] for request in google.sent("upload")] == [wanted]
    assert [request.body["labels"] for request in google.sent("jobs.query")] == [wanted] * 2


def test_every_question_is_limited(google: Recording) -> None:
    load(opened(maximum_bytes_billed=5_000_000))
    asked = google.sent("jobs.query")
    assert asked
    assert {request.body["maximumBytesBilled"] for request in asked} == {"5000000"}


def test_without_a_limit_none_is_sent(google: Recording) -> None:
    load(opened())
    assert not any("maximumBytesBilled" in request.body for request in google.sent("jobs.query"))


def test_a_question_that_would_cost_more_is_told_with_the_setting(google: Recording) -> None:
    limit = "Query exceeded limit for bytes billed: 1000000. 20971520 or higher required."
    google.always["jobs.query"] = refuse(400, "bytesBilledLimitExceeded", limit)
    with pytest.raises(
        WarehouseError, match=r"more bytes than `load\.maximum_bytes_billed` allows.* 20971520 or higher"
    ):
        opened().held("trips")
