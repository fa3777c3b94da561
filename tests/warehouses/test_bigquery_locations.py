"""BigQuery on the wire: bucket and dataset are compared before any work, by Google's table of locations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import load
from commands import DATA, Command, Ran
from recording_server import DATASET, PROJECT, Recording, refuse

from taxi_ingest.errors import WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Warehouse, foresee, open_warehouse
from taxi_ingest.warehouses.bigquery.locations import BucketLocation, Distance, distance, location_for

STORE = Place.parse("gs://bucket/trips")


@pytest.mark.parametrize(
    ("dataset", "bucket", "between"),
    [
        ("EU", "EU", "together"),
        ("us-central1", "US-CENTRAL1", "together"),
        ("EU", "EUROPE-WEST4", "together"),
        ("EU", "EUROPE-NORTH1", "together"),
        ("EU", "EUROPE-WEST2", "apart"),
        ("EU", "EUROPE-WEST6", "apart"),
        ("europe-west4", "EU", "together"),
        ("europe-west2", "EU", "apart"),
        ("EU", "EUR4", "together"),
        ("europe-north1", "EUR4", "together"),
        ("europe-west1", "EUR4", "apart"),
        ("europe-west2", "EUR5", "together"),
        ("EU", "EUR5", "together"),
        ("EU", "EUR7", "together"),
        ("europe-west6", "EUR8", "together"),
        ("US", "NAM4", "together"),
        ("us-east1", "NAM4", "together"),
        ("us-west1", "NAM4", "apart"),
        ("us-central1", "US", "together"),
        ("asia-northeast2", "ASIA1", "together"),
        ("asia-northeast1", "ASIA", "together"),
        ("US", "EU", "transfer"),
        ("US", "SOUTHAMERICA-EAST1", "transfer"),
        ("US", "NORTHAMERICA-NORTHEAST1", "transfer"),
        ("asia-northeast1", "EU", "transfer"),
        ("EU", "US", "apart"),
        ("us-central1", "EU", "apart"),
        ("asia-east1", "EU", "apart"),
    ],
)
def test_which_datasets_and_buckets_go_together(dataset: str, bucket: str, between: Distance) -> None:
    assert distance(dataset, BucketLocation(bucket)) == between


@pytest.mark.parametrize(
    ("dataset", "between"),
    [("US", "together"), ("us-west1", "together"), ("us-east4", "apart"), ("EU", "apart")],
)
def test_a_bucket_in_a_pair_of_regions_that_its_owner_chose_is_in_these(dataset: str, between: Distance) -> None:
    assert distance(dataset, BucketLocation("US", ("US-WEST1", "US-CENTRAL1"))) == between


@pytest.mark.parametrize(
    ("bucket", "location"),
    [("EU", "EU"), ("US", "US"), ("EUROPE-WEST4", "EUROPE-WEST4"), ("NAM4", "US"), ("EUR5", "EU"), ("EUR8", "EU"),
     ("ASIA1", "ASIA-NORTHEAST1"), ("ASIA", "")],
)  # fmt: skip
def test_a_new_dataset_is_made_where_it_can_load_from_the_bucket(bucket: str, location: str) -> None:
    assert location_for(BucketLocation(bucket)) == location
    assert not location or distance(location, BucketLocation(bucket)) == "together"


@pytest.mark.parametrize("use", [load, lambda warehouse: foresee(warehouse, STORE)], ids=["load", "foresee"])
def test_a_dataset_that_is_somewhere_else_than_the_url_asks_for_is_refused(
    google: Recording, use: Callable[[Warehouse], object]
) -> None:
    google.dataset["location"] = google.bucket_location = "US"
    warehouse = open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}?location=EU"))
    with pytest.raises(
        WarehouseError, match=r"is in US, not in EU as the warehouse's URL asks for.* Leave \?location= "
    ):
        use(warehouse)
    assert {request.method for request in google.requests} == {"GET"}
    (wrong,) = [check.sentence for check in warehouse.checks(STORE) if not check.ok]
    assert "is in US, not in EU" in wrong


def test_a_dataset_that_is_where_the_url_asks_for_is_loaded(google: Recording) -> None:
    warehouse = open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}?location=eu"))
    assert load(warehouse) == 2


def test_a_pair_of_regions_is_asked_of_the_bucket(google: Recording, warehouse: Warehouse) -> None:
    google.dataset["location"], google.bucket_location = "us-west1", "US"
    assert foresee(warehouse, STORE) == []
    google.bucket_regions = ("US-EAST1", "US-EAST4")
    (wrong,) = [check.sentence for check in warehouse.checks(STORE) if not check.ok]
    assert "is in us-west1 and the bucket gs://bucket in US (US-EAST1, US-EAST4), but both must be in one" in wrong


def test_where_the_bucket_may_not_be_seen_nothing_is_foreseen(google: Recording, warehouse: Warehouse) -> None:
    google.always["buckets.get"] = refuse(403, "forbidden", "a@b.c does not have storage.buckets.get access.")
    assert foresee(warehouse, STORE) == []


def test_a_bucket_that_is_refused_for_another_reason_is_told_with_that(google: Recording, warehouse: Warehouse) -> None:
    google.always["buckets.get"] = refuse(
        403, "accountDisabled", "The billing account for the owning project is absent"
    )
    with pytest.raises(WarehouseError, match="Billing is off"):
        foresee(warehouse, STORE)


def run(taxi: Command, google: Recording) -> Ran:
    emulators = {"STORAGE_EMULATOR_HOST": google.url, "BIGQUERY_EMULATOR_HOST": google.url}
    source = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
    where = ("--store", "gs://bucket/trips", "--warehouse", f"bigquery://{PROJECT}/{DATASET}")
    return taxi("run", "--month", "2019-02,2019-06", "--source", source, *where, "--quiet", **emulators)


def nothing_held(google: Recording) -> None:
    google.always["jobs.query"] = refuse(404, "notFound", f"Not found: Dataset {PROJECT}:{DATASET}")


def test_a_run_whose_loads_must_fail_is_refused_before_anything_is_uploaded(google: Recording, taxi: Command) -> None:
    nothing_held(google)
    google.bucket_location = "US"
    ran = run(taxi, google)
    assert (ran.code, ran.err.count("is in EU and the bucket gs://bucket in US, but both must be in one loc")) == (1, 1)
    assert {request.method for request in google.requests if request.name != "jobs.query"} == {"GET"}


def test_a_bucket_that_is_missing_is_told_once_and_before_any_download(google: Recording, taxi: Command) -> None:
    nothing_held(google)
    google.always["objects.list"] = refuse(404, "notFound", "The specified bucket does not exist.")
    ran = run(taxi, google)
    assert (ran.code, ran.err.count("There is no bucket gs://bucket. Create it: gcloud storage")) == (1, 1)
    assert "download" not in ran.out + ran.err


def test_a_transfer_that_google_bills_is_told(google: Recording, warehouse: Warehouse) -> None:
    google.dataset["location"] = "US"
    (told,) = foresee(warehouse, STORE)
    assert told == (
        "The dataset wire-project:taxi is in US and the bucket gs://bucket in EU: Google bills the transfer of what "
        "is loaded."
    )
    assert told in [check.sentence for check in warehouse.checks(STORE) if check.ok]
