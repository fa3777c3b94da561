"""BigQuery on the wire: external tables, which show the store's objects (load.method = external).

No server that can be installed reads objects through an external table, so what is sent is compared with the REST
reference: `externalDataConfiguration` {`sourceFormat`: PARQUET, `sourceUris`}, and a `schema` that is given.
"""

from __future__ import annotations

from typing import Any

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import FIELDS, OBJECT, load
from conformance_of_warehouses import TRIPS
from recording_server import DATASET, PROJECT, Recording, refusal, refuse

from taxi_ingest.errors import UsageError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import EXTERNAL, HeldMonth, Options, Warehouse, check_pair, foresee, open_warehouse

PATTERN = "gs://bucket/trips/*.parquet"
CHANGES = {"tables.insert", "tables.patch", "tables.delete", "jobs.insert", "upload"}


def stored(month: str, folder: str = "trips", **metadata: str) -> dict[str, Any]:
    told = {"taxi-ingest-mark": f"m{month}", "rows": "2", "source": "csv", **metadata}
    return {"bucket": "bucket", "name": f"{folder}/trips_{month}.parquet", "metadata": told}


def shows(google: Recording, *patterns: str) -> None:
    """Let the table be one of ours that shows these objects."""
    del_partitions = {"timePartitioning": None}
    config = {"sourceFormat": "PARQUET", "sourceUris": list(patterns)}
    google.table |= {"type": "EXTERNAL", "externalDataConfiguration": config, **del_partitions}


@pytest.fixture
def warehouse(google: Recording) -> Warehouse:
    return open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"), Options(method=EXTERNAL))


def test_the_first_load_makes_a_table_over_the_folder_with_an_explicit_schema(
    google: Recording, warehouse: Warehouse
) -> None:
    google.play["tables.get"] = [refuse(404, "notFound", "Not found: Table")]
    assert load(warehouse) == 2
    (created,) = google.sent("tables.insert")
    told = created.body["externalDataConfiguration"]
    assert (told["sourceFormat"], told["sourceUris"]) == ("PARQUET", [PATTERN])
    assert created.body["schema"]["fields"] == FIELDS
    assert created.body["labels"] == {"made_by": "taxi-ingest"}
    assert {request.name for request in google.requests} & CHANGES == {"tables.insert"}


def test_the_rows_of_the_object_are_counted_in_the_table(google: Recording, warehouse: Warehouse) -> None:
    shows(google, PATTERN)
    google.rows = 3
    with pytest.raises(WarehouseError, match=r"trips 2021-01 has 3 rows in wire-project:taxi, but gs://bucket/.* 2\."):
        load(warehouse)
    (asked,) = google.sent("jobs.query")
    assert "WHERE _FILE_NAME = @file" in asked.body["query"]
    assert asked.body["queryParameters"][0]["parameterValue"] == {"value": OBJECT}


def test_a_load_into_a_table_that_shows_the_folder_changes_nothing(google: Recording, warehouse: Warehouse) -> None:
    shows(google, PATTERN)
    assert load(warehouse) == 2
    assert {request.name for request in google.requests} & CHANGES == set()


def test_what_is_held_is_what_the_objects_tell(google: Recording, warehouse: Warehouse) -> None:
    shows(google, PATTERN)
    google.objects = [stored("2021-01"), stored("2021-02"), stored("2021-01", folder="elsewhere")]
    held = warehouse.held("trips")["trips"]
    assert held == {month: HeldMonth(f"m{month}", 2, 2, "csv") for month in ("2021-01", "2021-02")}
    assert held["2021-01"].file == OBJECT
    assert {request.name for request in google.requests} == {"tables.get", "objects.list"}


@pytest.mark.parametrize(
    "harm",
    [
        lambda google: google.always.update({"tables.get": refuse(404, "notFound", "Not found: Table")}),
        lambda google: google.table.update({"labels": {}}),
        lambda google: shows(google, PATTERN, "gs://another/trips/*.parquet"),
        lambda google: google.table.update({"type": "TABLE", "externalDataConfiguration": None}),
    ],
    ids=["no table", "somebody's table", "other objects too", "a table with rows"],
)
def test_nothing_is_held_without_such_a_table_of_ours(google: Recording, warehouse: Warehouse, harm: Any) -> None:
    shows(google, PATTERN)
    google.objects = [stored("2021-01")]
    harm(google)
    assert warehouse.held("trips")["trips"] == {}


@pytest.mark.parametrize(
    "stray",
    [
        {"bucket": "bucket", "name": "trips/trips_2021-02.parquet"},
        {"bucket": "bucket", "name": "trips/copy of trips.parquet", "metadata": {"taxi-ingest-mark": "m", "rows": "2"}},
        stored("2021-02", rows="many"),
        stored("2021-13"),
    ],
    ids=["without a mark", "of another name", "without rows", "of no month"],
)
def test_an_object_that_no_run_put_there_is_no_month_and_is_reported(
    google: Recording, warehouse: Warehouse, stray: dict[str, Any]
) -> None:
    shows(google, PATTERN)
    google.objects = [stored("2021-01"), stray]
    assert set(warehouse.held("trips")["trips"]) == {"2021-01"}
    (found,) = [check.sentence for check in warehouse.checks(Place.parse("gs://bucket")) if not check.ok]
    assert found == f"tables show objects that no run put there: gs://bucket/{stray['name']}. Move them elsewhere."


def test_a_table_into_which_rows_were_copied_is_left_as_it_is(google: Recording, warehouse: Warehouse) -> None:
    with pytest.raises(
        WarehouseError, match=r"Rows were copied into the table .*\(bq rm -t wire-project:taxi\.trips\)"
    ):
        load(warehouse)
    assert {request.name for request in google.requests} & CHANGES == set()


@pytest.mark.parametrize("method", ["partition", "merge"])
def test_an_external_table_of_ours_is_not_loaded_into(google: Recording, method: str) -> None:
    shows(google, PATTERN)
    with pytest.raises(WarehouseError, match=r"holds no rows itself\. To copy rows into a table, drop it first"):
        load(open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}?method={method}")))
    assert {request.name for request in google.requests} & CHANGES == set()


def test_an_external_table_of_somebody_else_is_refused(google: Recording, warehouse: Warehouse) -> None:
    shows(google, PATTERN)
    google.table["labels"] = {}
    with pytest.raises(WarehouseError, match="has an external table trips that taxi-ingest did not make"):
        load(warehouse)
    assert {request.name for request in google.requests} & CHANGES == set()


def test_another_store_is_shown_once_it_has_all_months(google: Recording, warehouse: Warehouse) -> None:
    shows(google, "gs://bucket/before/*.parquet")
    google.objects = [stored("2021-01", folder="before"), stored("2021-02", folder="before"), stored("2021-01")]
    with pytest.raises(WarehouseError, match=r"gs://bucket/trips/ lacks 2021-02 of it\. It was left as it is\. Upload"):
        load(warehouse)
    assert google.sent("tables.patch") == []
    google.objects.append(stored("2021-02"))
    assert load(warehouse) == 2
    (changed,) = google.sent("tables.patch")
    assert changed.body["externalDataConfiguration"]["sourceUris"] == [PATTERN]


@pytest.mark.parametrize(
    "patterns", [("gs://bucket/trips/a*.parquet",), ("gs://bucket/a/*.parquet", "gs://bucket/b/*.parquet"), ()]
)
def test_a_table_whose_owner_has_it_show_something_else_is_left_as_it_is(
    google: Recording, warehouse: Warehouse, patterns: tuple[str, ...]
) -> None:
    shows(google, *patterns)
    google.objects = [stored("2021-01")]
    with pytest.raises(WarehouseError, match=r"shows other objects than those of one folder.*bq rm -t wire-project"):
        load(warehouse)
    assert {request.name for request in google.requests} & CHANGES == set()


def test_where_the_readers_of_a_bucket_pay_the_project_that_pays_lists_it(
    google: Recording, warehouse: Warehouse
) -> None:
    shows(google, PATTERN)
    google.objects = [stored("2021-01")]
    unpaid = refuse(400, "required", "Bucket is a requester pays bucket but no user project provided.")
    google.play["objects.list"] = [unpaid]
    assert set(warehouse.held("trips")["trips"]) == {"2021-01"}
    assert [request.query.get("userProject") for request in google.sent("objects.list")] == [None, PROJECT]


@pytest.mark.parametrize("rows", ["²", "9" * 5000, "-1", "1_0", "٢"])
def test_rows_that_are_no_number_are_no_month(google: Recording, warehouse: Warehouse, rows: str) -> None:
    shows(google, PATTERN)
    google.objects = [stored("2021-01", rows=rows)]
    assert warehouse.held("trips") == {"trips": {}}


def test_a_column_that_the_catalog_gained_is_shown(google: Recording, warehouse: Warehouse) -> None:
    shows(google, PATTERN)
    google.table["schema"] = {"fields": [one for one in FIELDS if one["name"] != "flag"]}
    assert load(warehouse) == 2
    (changed,) = google.sent("tables.patch")
    assert changed.body["schema"]["fields"] == FIELDS


def test_a_table_that_would_be_dropped_is_not_made(google: Recording, warehouse: Warehouse) -> None:
    google.always["tables.get"] = lambda _: refusal(404, "notFound", "Not found: Table")
    google.dataset["defaultTableExpirationMs"] = str(60 * 86_400_000)
    with pytest.raises(WarehouseError, match="drops each new table 60 days after it is made"):
        load(warehouse)


def test_a_bucket_elsewhere_is_refused_even_where_loads_would_only_cost(
    google: Recording, warehouse: Warehouse
) -> None:
    google.dataset["location"] = "US"
    with pytest.raises(WarehouseError, match="both must be in one location"):
        foresee(warehouse, Place.parse("gs://bucket/trips"))


def test_a_folder_store_is_refused_before_any_call() -> None:
    with pytest.raises(UsageError, match="cannot load from the store"):
        check_pair(Place.parse("lake"), Place.parse(f"bigquery://{PROJECT}/{DATASET}"), Options(method=EXTERNAL))


def test_the_preview_reads_no_column(warehouse: Warehouse) -> None:
    command = warehouse.preview_command(TRIPS.name)
    assert command == f"bq query --use_legacy_sql=false 'SELECT COUNT(*) FROM `{PROJECT}.{DATASET}.trips`'"
