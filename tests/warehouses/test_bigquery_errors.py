"""BigQuery on the wire: errors become sentences with a remedy, and nothing refused counts as done."""

from __future__ import annotations

import time
from typing import Any

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import DATASET, GOOGLE_CLOUD, PROJECT, failed, load
from conformance_of_warehouses import TRIPS
from recording_server import Answer, Play, Recording, Request, refuse

from taxi_ingest.errors import TransientError, UsageError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Warehouse, foresee, open_warehouse

FOREVER = 100
CASES: dict[str, tuple[Play, type[Exception], str]] = {
    "job fails half-way": (
        failed("backendError", "Error encountered during execution. Retrying may solve the problem."),
        TransientError,
        "is temporarily unable to do this. Run again",
    ),
    "schema refused": (
        failed("invalid", "Parquet column 'flag' has type BYTE_ARRAY which does not match the target cpp_type INT64."),
        WarehouseError,
        "refused the columns .* rename it or use another dataset",
    ),
    "object missing": (
        failed("notFound", "Not found: URI gs://bucket/trips/trips_2021-01.parquet"),
        WarehouseError,
        "object to load does not exist. Run upload",
    ),
    "other locations": (
        failed("invalid", "Cannot read and write in different locations: source: US, destination: EU"),
        WarehouseError,
        "are in different locations. Use a dataset in the bucket's location",
    ),
    "cancelled by somebody": (
        failed("stopped", "Job execution was cancelled: User requested cancellation"),
        TransientError,
        "was cancelled. Run again",
    ),
    "another writer": (
        failed("invalidQuery", "Could not serialize access to table wire-project:taxi.trips due to concurrent update"),
        TransientError,
        "another writer changed the table. Run again",
    ),
    "too many updates": (
        failed("rateLimitExceeded", "Exceeded rate limits: too many table update operations for this table."),
        TransientError,
        "too much was asked of BigQuery at once, and waiting did not help. Run again later",
    ),
    "503": (
        refuse(503, "backendError", "Error encountered"),
        TransientError,
        "is temporarily unable to do this. Run again",
    ),
    "502 of a proxy": (lambda _: (502, {}), TransientError, "is temporarily unable to do this. Run again"),
    "rate limit": (
        refuse(403, "rateLimitExceeded", "Exceeded rate limits: too many concurrent jobs"),
        TransientError,
        "too much was asked of BigQuery at once, and waiting did not help. Run again later",
    ),
    "quota": (
        refuse(403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for imports per project"),
        TransientError,
        "quota of BigQuery is used up. It fills again in the course of a day: run again then",
    ),
    "billing off": (
        refuse(403, "billingNotEnabled", "BigQuery: Billing has not been enabled for this project."),
        WarehouseError,
        "Billing is off for project wire-project. Turn it on",
    ),
    "no permission": (
        refuse(403, "accessDenied", "Access Denied: Project wire-project: User does not have bigquery.jobs.create"),
        WarehouseError,
        r"lack a permission in wire-project:taxi\. Grant roles/bigquery.jobUser on the project wire-project\. BigQuery",
    ),
    "no permission to change the table": (
        refuse(403, "accessDenied", "Access Denied: Table t: Permission bigquery.tables.updateData denied on table"),
        WarehouseError,
        r"Grant roles/bigquery.dataEditor on the dataset wire-project:taxi\. BigQuery",
    ),
    "no permission that is named": (
        refuse(403, "accessDenied", "Access Denied: File gs://bucket/trips/trips_2021-01.parquet: Access Denied"),
        WarehouseError,
        "Grant roles/bigquery.dataEditor .* roles/bigquery.jobUser .* roles/storage.objectViewer",
    ),
    "a dataset that is called billing": (
        refuse(403, "accessDenied", "Access Denied: Dataset wire-project:billing is required: no access to billing"),
        WarehouseError,
        "Grant roles/bigquery.dataEditor",
    ),
    "another dataset that is called billing": (
        refuse(403, "accessDenied", "Access Denied: Table wire-project:taxi.billing must be enabled by its owner"),
        WarehouseError,
        "Grant roles/bigquery.dataEditor",
    ),
    "key refused": (
        failed(
            "accessDenied",
            'Access Denied: BigQuery BigQuery: Please grant Cloud KMS CryptoKey Encrypter/Decrypter role for "key1" to '
            '"bq-1@bigquery-encryption.iam.gserviceaccount.com"',
        ),
        WarehouseError,
        "KMS key that encrypts wire-project:taxi cannot be used. .*roles/cloudkms.cryptoKeyEncrypterDecrypter",
    ),
    "perimeter": (
        refuse(
            403,
            "accessDenied",
            "VPC Service Controls: Request is prohibited by organization's policy. "
            "vpcServiceControlsUniqueIdentifier: abc123",
        ),
        WarehouseError,
        "VPC Service Controls keep this machine out of wire-project:taxi. Run inside .* abc123",
    ),
    "API off": (
        refuse(
            403,
            "accessNotConfigured",
            "BigQuery API has not been used in project 1 before or it is disabled. Enable "
            "it by visiting https://console.developers.google.com/apis/bigquery/overview?project=1 then retry.",
        ),
        WarehouseError,
        "gcloud services enable bigquery.googleapis.com --project=wire-project",
    ),
    "no project": (
        refuse(404, "notFound", "Not found: Project wire-project"),
        WarehouseError,
        "There is no project wire-project, or these credentials may not see it",
    ),
    "credentials refused": (
        refuse(401, "authError", "Request had invalid authentication credentials."),
        WarehouseError,
        "gcloud auth application-default login",
    ),
    "barred for the moment": (
        refuse(403, "blocked", "The operation was temporarily added to the denylist"),
        TransientError,
        "bars this for the time being. Run again later; .* BigQuery says: The operation was temporarily",
    ),
    "job barred": (failed("blocked", "denylisted"), TransientError, "bars this for the time being"),
    "too many requests of one user": (
        refuse(403, "userRateLimitExceeded", "User Rate Limit Exceeded"),
        TransientError,
        "too much was asked of BigQuery at once",
    ),
    "timed out": (refuse(400, "timeout", "The job timed out"), TransientError, "temporarily unable"),
    "against a policy": (
        failed("policyViolation", "Organization policy forbids it"),
        WarehouseError,
        "^BigQuery refused in wire-project:taxi: Organization policy forbids it$",
    ),
    "scopes too narrow": (
        refuse(403, "insufficientPermissions", "Request had insufficient authentication scopes."),
        WarehouseError,
        "access scopes are too narrow, whatever their roles are. .* --scopes=cloud-platform",
    ),
    "a filter on partitions": (
        refuse(
            400,
            "invalidQuery",
            "Cannot query over table 'taxi.trips' without a filter over column(s) 'day' that can be used for "
            "partition elimination",
        ),
        WarehouseError,
        "no question without a filter on its own partitions.*require_partition_filter = false",
    ),
    "a job that may not be seen": (
        refuse(403, "accessDenied", "Access Denied: Permission bigquery.jobs.get denied on job p:EU.x"),
        WarehouseError,
        r"Grant roles/bigquery.resourceViewer on the project wire-project\.",
    ),
    "reply cut": (lambda _: None, TransientError, "cannot be reached"),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("play", "kind", "sentence"), CASES.values(), ids=CASES)
def test_an_error_becomes_a_sentence_with_the_remedy(
    google: Recording, warehouse: Warehouse, play: Play, kind: type[Exception], sentence: str
) -> None:
    google.always["jobs.insert"] = play
    with pytest.raises(kind, match=sentence) as raised:
        load(warehouse)
    assert "http" not in str(raised.value)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("play", [case[0] for case in CASES.values()], ids=CASES)
def test_a_refused_load_is_not_recorded_as_done(google: Recording, warehouse: Warehouse, play: Play) -> None:
    google.newest = 1_600_000_000_000_000
    google.always["jobs.insert"] = play
    with pytest.raises((WarehouseError, TransientError)):
        load(warehouse)
    assert google.states() == ["started"]


def test_a_server_that_never_answers_is_abandoned(
    google: Recording, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUEST", "RETRY"):
        monkeypatch.setattr(f"{GOOGLE_CLOUD}.{name}_SECONDS", 0.2)

    def sleep(_: Request) -> Answer:
        time.sleep(2)
        return None

    google.always["jobs.insert"] = sleep
    begun = time.monotonic()
    with pytest.raises(TransientError, match="cannot be reached"):
        load(warehouse)
    assert time.monotonic() - begun < 20


def test_a_server_that_does_not_exist_is_reported(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(f"{GOOGLE_CLOUD}.RETRY_SECONDS", 0.1)
    with pytest.raises(TransientError, match="cannot be reached"):
        warehouse.held("trips")["trips"]


def test_missing_credentials_are_reported_with_the_command_that_creates_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(WarehouseError, match="gcloud auth application-default login"):
        open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}")).held("trips")["trips"]


def test_held_reports_a_missing_project(google: Recording, warehouse: Warehouse) -> None:
    google.always["jobs.query"] = refuse(404, "notFound", "Not found: Project wire-project")
    with pytest.raises(WarehouseError, match="There is no project wire-project"):
        warehouse.held("trips")["trips"]


def test_a_missing_dataset_holds_nothing(google: Recording, warehouse: Warehouse) -> None:
    missing = "Not found: Dataset wire-project:taxi was not found in location US"
    google.always["jobs.query"] = refuse(404, "notFound", missing)
    assert warehouse.held("trips")["trips"] == {}


def test_a_dataset_that_may_not_be_created_is_reported_with_the_command(
    google: Recording, warehouse: Warehouse
) -> None:
    google.always["datasets.get"] = refuse(404, "notFound", "Not found: Dataset wire-project:taxi")
    google.always["datasets.insert"] = refuse(403, "accessDenied", "Access Denied: bigquery.datasets.create")
    with pytest.raises(WarehouseError, match="bq mk --location=EU --dataset wire-project:taxi"):
        load(warehouse)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "localhost:9050", "http//localhost:9050"])
def test_an_emulator_whose_address_is_none_is_told_with_what_is_possible(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", address)
    with pytest.raises(WarehouseError, match=r"BIGQUERY_EMULATOR_HOST and HTTPS_PROXY must look like http://HOST:PORT"):
        warehouse.held("trips")


def test_a_store_whose_name_is_a_pattern_is_refused_before_any_call(google: Recording, warehouse: Warehouse) -> None:
    file = "gs://bucket/tr*ps/trips_2021-01.parquet"
    with pytest.raises(UsageError, match=r"takes the \* in gs://bucket/tr\*ps/.* for a pattern"):
        warehouse.replace(TRIPS, "2021-01", file=file, rows=2, mark="m1", source="csv")
    assert google.requests == []


def test_the_api_that_is_off_is_that_of_the_bucket_if_its_location_is_asked(
    google: Recording, warehouse: Warehouse
) -> None:
    said = "Cloud Storage JSON API has not been used in project 1 before or it is disabled."
    google.always["buckets.get"] = refuse(403, "accessNotConfigured", said)
    with pytest.raises(
        WarehouseError, match=r"Cloud Storage API is off .* enable storage\.googleapis\.com --project=wire"
    ):
        foresee(warehouse, Place.parse("gs://bucket/trips"))
