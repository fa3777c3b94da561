"""BigQuery on the wire: what is checked or refused before any work."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import FIELDS, OBJECT, body_of_load, load
from conformance_of_warehouses import TRIPS
from recording_server import DATASET, PROJECT, Recording, refusal

from taxi_ingest.errors import UsageError, WarehouseError
from taxi_ingest.place import Check, Place
from taxi_ingest.warehouses import Options, Warehouse, foreseen_refusals, open_warehouse


def test_a_partition_that_would_be_dropped_at_once_is_not_loaded(google: Recording, warehouse: Warehouse) -> None:
    sixty_days = str(60 * 86_400_000)
    google.table["timePartitioning"] = {"type": "MONTH", "field": "file_month", "expirationMs": sixty_days}
    with pytest.raises(
        WarehouseError, match=r"drops partitions 60 days after .* ALTER TABLE `wire-project.taxi.trips`"
    ):
        load(warehouse)
    assert google.sent("jobs.insert") == []


SIXTY_DAYS = str(60 * 86_400_000)


def without_tables(google: Recording) -> None:
    google.always["tables.get"] = lambda _: refusal(404, "notFound", "Not found: Table")


def test_a_table_that_will_be_dropped_is_not_loaded(google: Recording, warehouse: Warehouse) -> None:
    google.table["expirationTime"] = "4070908800000"
    with pytest.raises(
        WarehouseError,
        match=r"drops the table wire-project:taxi.trips with all of its months at 2099-01-01 00:00 UTC\. .* "
        r"ALTER TABLE `wire-project.taxi.trips` SET OPTIONS \(expiration_timestamp = NULL\)",
    ):
        load(warehouse)
    assert {request.name for request in google.requests} & CHANGES == set()


def test_a_new_table_that_would_be_dropped_by_default_is_not_made(google: Recording, warehouse: Warehouse) -> None:
    without_tables(google)
    google.dataset["defaultTableExpirationMs"] = SIXTY_DAYS
    with pytest.raises(
        WarehouseError,
        match=r"drops each new table 60 days after it is made, with all of its months\. .* ALTER SCHEMA "
        r"`wire-project.taxi` SET OPTIONS \(default_table_expiration_days = NULL\)",
    ):
        load(warehouse)
    assert {request.name for request in google.requests} & CHANGES == set()


def test_a_default_expiry_of_partitions_counts_instead_of_that_of_tables(
    google: Recording, warehouse: Warehouse
) -> None:
    without_tables(google)
    google.dataset |= {
        "defaultTableExpirationMs": SIXTY_DAYS,
        "defaultPartitionExpirationMs": str(100 * 366 * 86_400_000),
    }
    assert load(warehouse) == 2


def test_a_default_expiry_of_tables_does_not_matter_to_those_that_are_there(
    google: Recording, warehouse: Warehouse
) -> None:
    google.dataset["defaultTableExpirationMs"] = SIXTY_DAYS
    assert load(warehouse) == 2


def test_a_table_that_is_partitioned_otherwise_is_not_loaded(google: Recording, warehouse: Warehouse) -> None:
    google.table["timePartitioning"] = {"type": "DAY", "field": "pickup_datetime"}
    with pytest.raises(WarehouseError, match=r"not partitioned by MONTH\(file_month\). Use \?method=merge"):
        load(warehouse)
    assert google.sent("jobs.insert") == []


CHANGES = {"tables.insert", "tables.patch", "tables.delete", "jobs.insert", "upload"}
OTHER_TYPES = [{**one, "type": "STRING"} if one["name"] == "fare_amount" else one for one in FIELDS]


@pytest.mark.parametrize(
    ("table", "recorded", "reason"),
    [
        ({"labels": {}}, False, r"has a table trips that taxi-ingest did not make\. It was left as it is"),
        ({"labels": {"made_by": "someone"}}, False, "did not make"),
        ({"labels": {}, "schema": {"fields": OTHER_TYPES}}, False, "fare_amount is STRING instead of FLOAT64"),
        ({"schema": {"fields": OTHER_TYPES}}, True, "not as it was made .fare_amount is STRING instead of FLOAT64"),
        ({"labels": {}, "schema": {"fields": OTHER_TYPES}}, True, "fare_amount is STRING instead of FLOAT64"),
        ({"schema": {"fields": [{**FIELDS[0], "mode": "REPEATED"}, *FIELDS[1:]]}}, True, "VendorID is REPEATED INT64"),
        ({"schema": {"fields": FIELDS[:4]}}, True, "it has no file_month"),
        ({"type": "VIEW"}, True, "has a view trips that taxi-ingest did not make"),
        ({"type": "MATERIALIZED_VIEW"}, True, "has a materialized view trips"),
        ({"type": "EXTERNAL", "labels": {}}, True, "has an external table trips that"),
    ],
)
@pytest.mark.parametrize("method", ["partition", "merge"])
def test_a_table_that_is_not_ours_is_refused_before_it_is_touched(
    google: Recording, table: dict[str, Any], recorded: bool, reason: str, method: str
) -> None:
    google.table |= table
    google.recorded = recorded
    there = open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"), Options(method=method))
    with pytest.raises(WarehouseError, match=reason) as raised:
        load(there)
    assert "Rename or drop it, or name another dataset" in str(raised.value)
    assert {request.name for request in google.requests} & CHANGES == set()


@pytest.mark.parametrize("method", ["partition", "merge", "external"])
@pytest.mark.parametrize("table", [{"labels": {}}, {"type": "VIEW"}])
def test_a_table_that_is_not_ours_is_foreseen_and_nothing_is_changed(
    google: Recording, table: dict[str, Any], method: str
) -> None:
    google.recorded = False
    google.table |= table
    there = open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"), Options(method=method))
    (refusal,) = foreseen_refusals(there, [TRIPS])
    assert re.search("did not make|Rows were copied|not as it was made", refusal)
    assert {request.name for request in google.requests} & CHANGES == set()


def test_nothing_is_foreseen_of_a_table_of_ours_and_of_a_dataset_to_come(
    google: Recording, warehouse: Warehouse
) -> None:
    assert foreseen_refusals(warehouse, [TRIPS]) == []
    google.always["datasets.get"] = lambda _: refusal(404, "notFound", f"Not found: Dataset {PROJECT}:{DATASET}")
    assert foreseen_refusals(warehouse, [TRIPS]) == []


def test_a_foreign_table_is_refused_before_a_table_of_loads_is_made(google: Recording, warehouse: Warehouse) -> None:
    google.table["labels"] = {}
    google.always["tables.get"] = lambda request: (
        refusal(404, "notFound", "Not found: Table") if request.of == "_loads" else google._tables_get(request)
    )
    with pytest.raises(WarehouseError, match="did not make"):
        load(warehouse)
    assert {request.name for request in google.requests} & CHANGES == set()


@pytest.mark.parametrize(
    "loads", [{"schema": {"fields": [{"name": "mark", "type": "INTEGER"}]}}, {"type": "VIEW"}], ids=["types", "view"]
)
def test_a_table_of_loads_that_is_not_ours_is_refused(
    google: Recording, warehouse: Warehouse, loads: dict[str, Any]
) -> None:
    google.loads |= loads
    with pytest.raises(WarehouseError, match="_loads that taxi-ingest did not make"):
        load(warehouse)
    assert {request.name for request in google.requests} & CHANGES == set()


def test_a_table_that_lost_its_label_is_ours_while_a_load_into_it_is_recorded(
    google: Recording, warehouse: Warehouse
) -> None:
    google.table["labels"] = {}
    assert load(warehouse) == 2


def test_a_table_of_ours_without_a_recorded_load_is_known_by_its_label(google: Recording, warehouse: Warehouse) -> None:
    google.recorded = False
    assert load(warehouse) == 2


def test_names_and_order_of_columns_may_differ_and_the_owners_columns_stay(
    google: Recording, warehouse: Warehouse
) -> None:
    note = {"name": "note", "type": "STRING", "mode": "NULLABLE"}
    google.table["schema"] = {"fields": [note, *[{**one, "name": one["name"].upper()} for one in FIELDS[::-1]]]}
    load(warehouse)
    assert google.sent("tables.patch") == []
    assert body_of_load(google)["configuration"]["load"]["schema"]["fields"] == [*FIELDS, note]


def checks(warehouse: Warehouse) -> list[Check]:
    return list(warehouse.checks(Place.parse("gs://bucket/trips")))


def test_a_usable_warehouse_passes_every_check(google: Recording, warehouse: Warehouse) -> None:
    assert [check.ok for check in checks(warehouse)] == [True] * 6


def test_a_bucket_in_another_location_is_reported_beforehand(google: Recording, warehouse: Warehouse) -> None:
    google.bucket_location = "US"
    assert [check.sentence for check in checks(warehouse) if not check.ok] == [
        "The dataset wire-project:taxi is in EU and the bucket gs://bucket in US, but both must be in one location. "
        "Use another dataset (a new one is created where the bucket is) or bucket."
    ]


def test_default_expiries_are_reported_beforehand_with_the_remedy(google: Recording, warehouse: Warehouse) -> None:
    google.dataset |= {"defaultPartitionExpirationMs": SIXTY_DAYS, "defaultTableExpirationMs": SIXTY_DAYS}
    sentence, another = [check.sentence for check in checks(warehouse) if not check.ok]
    assert sentence.startswith("The dataset wire-project:taxi drops partitions 60 days after their month")
    assert another.startswith("The dataset wire-project:taxi drops each new table 60 days after it is made")
    assert sentence.endswith(
        "ALTER SCHEMA `wire-project.taxi` SET OPTIONS "
        "(default_table_expiration_days = NULL, default_partition_expiration_days = NULL)"
    )


def test_no_right_to_run_jobs_is_reported_beforehand(google: Recording, warehouse: Warehouse) -> None:
    google.always["jobs.query"] = lambda _: refusal(403, "accessDenied", "Access Denied: bigquery.jobs.create")
    assert [check.ok for check in checks(warehouse)] == [True, False]


def test_no_right_to_create_tables_is_reported_beforehand_with_the_role(
    google: Recording, warehouse: Warehouse
) -> None:
    denied = "Access Denied: Dataset wire-project:taxi: Permission bigquery.tables.create denied on dataset"
    google.always["jobs.insert"] = lambda _: refusal(403, "accessDenied", denied)
    (sentence,) = [check.sentence for check in checks(warehouse) if not check.ok]
    assert "Grant roles/bigquery.dataEditor on the dataset wire-project:taxi." in sentence
    (asked,) = google.sent("jobs.insert")
    assert asked.body["configuration"]["dryRun"] is True


def test_no_right_to_create_a_dataset_is_reported_beforehand_with_the_role(
    google: Recording, warehouse: Warehouse
) -> None:
    google.always["datasets.get"] = lambda _: refusal(404, "notFound", "Not found: Dataset wire-project:taxi")
    denied = "Access Denied: Project wire-project: User does not have bigquery.datasets.create permission in project"
    google.always["jobs.insert"] = lambda _: refusal(403, "accessDenied", denied)
    (sentence,) = [check.sentence for check in checks(warehouse) if not check.ok]
    assert "Grant roles/bigquery.user on the project wire-project." in sentence


def test_a_bucket_whose_location_may_not_be_seen_fails_no_check_of_a_dataset_that_is_there(
    google: Recording, warehouse: Warehouse
) -> None:
    google.always["buckets.get"] = lambda _: refusal(403, "forbidden", "a@b.c does not have storage.buckets.get")
    assert all(check.ok for check in checks(warehouse))
    google.always["datasets.get"] = lambda _: refusal(404, "notFound", "Not found: Dataset wire-project:taxi")
    (sentence,) = [check.sentence for check in checks(warehouse) if not check.ok]
    assert "Grant them roles/storage.bucketViewer on the bucket" in sentence


def test_checks_change_nothing(google: Recording, warehouse: Warehouse) -> None:
    checks(warehouse)
    assert {request.name for request in google.requests} == {"jobs.query", "jobs.insert", "datasets.get", "buckets.get"}
    (tried,) = google.sent("jobs.insert")
    assert tried.body["configuration"]["dryRun"] is True


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
        open_warehouse(Place.parse(url))


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


def test_the_preview_command_reads_only_what_it_shows(warehouse: Warehouse) -> None:
    assert warehouse.preview_command("trips") == "bq head --max_rows=10 wire-project:taxi.trips"


@pytest.mark.parametrize(
    "url",
    [
        "bigquery://user:secret@wire-project/taxi",
        "bigquery://wire-project/taxi?secret=secret",
        "bigquery://wire-project/taxi?method=secret",
        "bigquery://wire-project/taxi?location=!secret",
        "bigquery://wire/taxi?location=EU#secret",
    ],
)
def test_a_refused_url_is_shown_without_what_may_be_secret(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_warehouse(Place.parse(url))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("url", "sent"), [("", "merge"), ("?method=partition", "partition")])
def test_the_method_in_the_url_wins_over_the_option(google: Recording, url: str, sent: str) -> None:
    place = Place.parse(f"bigquery://{PROJECT}/{DATASET}{url}")
    open_warehouse(place, Options(method="merge")).replace(
        TRIPS, "2021-01", file=OBJECT, rows=2, mark="m1", source="csv"
    )
    assert bool(google.sent("tables.insert")) == (sent == "merge")


def test_an_unknown_method_is_refused_with_those_that_are_possible() -> None:
    with pytest.raises(UsageError, match="Possible: partition or merge or external"):
        open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"), Options(method="delete"))
