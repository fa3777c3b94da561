"""BigQuery on the wire: the views of trips with the names of zones, and what it costs to look at them.

A view is a table resource with `view` {`query`, `useLegacySql`}; one that is there has the type VIEW.
"""

from __future__ import annotations

from typing import Any

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from recording_server import DATASET, PROJECT, Answer, Play, Recording, Request, refusal, refuse

from taxi_ingest.catalog.reading import dataset
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options, Warehouse, open_warehouse, table_of
from taxi_ingest.warehouses.bigquery.tables import schema
from taxi_ingest.warehouses.zone_views import digest

VIEW = "yellow_trips_with_zones"
YELLOW, ZONES = table_of(dataset("yellow")), table_of(dataset("zones"))
LABELS = {"made_by": "taxi-ingest"}
NOT_FOUND = refusal(404, "notFound", "Not found: Table")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture(params=["partition", "external"])
def warehouse(google: Recording, told: list[str], request: pytest.FixtureRequest) -> Warehouse:
    google.dataset["method"] = request.param
    options = Options(method=request.param, announce=told.append)
    return open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"), options)


def load(warehouse: Warehouse, month: str = "2021-01") -> int:
    file = f"gs://bucket/yellow/yellow_tripdata_{month}.parquet"
    return warehouse.replace(YELLOW, month, file=file, rows=2, mark="m1", source="csv")


def has(google: Recording, *, zones: bool = True, view: dict[str, Any] | None = None) -> None:
    """Let BigQuery have the trips, the zones or not, and what is described of the view's name."""
    default = google._tables_get

    def answer(request: Request) -> Answer:
        if request.of == VIEW:
            if view is None:
                return NOT_FOUND
            return 200, {**default(request)[1], "timePartitioning": None, **view}  # type: ignore[index]
        if request.of == ZONES.name:
            return (200, {**default(request)[1], "schema": fields(ZONES)}) if zones else NOT_FOUND  # type: ignore[index]
        if request.of == YELLOW.name:
            shown = {"schema": fields(YELLOW)}
            if google.dataset["method"] == "external":
                uris = ["gs://bucket/yellow/*.parquet"]
                config = {"sourceFormat": "PARQUET", "sourceUris": uris}
                shown |= {"type": "EXTERNAL", "timePartitioning": None, "externalDataConfiguration": config}  # type: ignore[dict-item]
            return 200, {**default(request)[1], **shown}  # type: ignore[index]
        return default(request)

    google.always["tables.get"] = answer


def fields(table: Any) -> dict[str, Any]:
    return {"fields": [field.to_api_repr() for field in schema(table)]}


def made(google: Recording) -> list[dict[str, Any]]:
    """The views that were asked for."""
    return [request.body for request in google.sent("tables.insert") if "view" in request.body]


def looks(google: Recording) -> list[str]:
    """The tables that were looked at for the view's sake."""
    return [request.of for request in google.sent("tables.get") if request.of in {VIEW, ZONES.name}]


def test_a_view_is_made_once_trips_and_zones_are_there(google: Recording, warehouse: Warehouse) -> None:
    has(google)
    assert load(warehouse) == 2
    (view,) = made(google)
    assert view["view"]["useLegacySql"] is False
    assert "FROM `wire-project.taxi.yellow_tripdata` AS trips LEFT JOIN (SELECT `LocationID`" in view["view"]["query"]
    assert view["labels"].items() >= LABELS.items()
    assert view["tableReference"]["tableId"] == VIEW


def test_no_view_is_made_without_zones(google: Recording, warehouse: Warehouse, told: list[str]) -> None:
    has(google, zones=False)
    load(warehouse)
    assert (made(google), told) == ([], [])


def test_a_view_that_is_there_costs_one_look_however_many_months_are_loaded(
    google: Recording, warehouse: Warehouse
) -> None:
    has(google)
    load(warehouse)
    (view,) = made(google)
    has(google, view={**view, "type": "VIEW"})
    google.requests.clear()
    later = open_warehouse(warehouse.place, Options(method=google.dataset["method"]))
    for month in ("2021-01", "2021-02", "2021-03"):
        load(later, month)
    assert (looks(google), made(google), google.sent("tables.patch")) == ([VIEW], [], [])


def test_a_view_of_ours_with_older_sql_is_changed_in_place(google: Recording, warehouse: Warehouse) -> None:
    labels = {**LABELS, "zone_view": digest("SELECT 1"), "team": "a"}
    has(google, view={"type": "VIEW", "view": {"query": "SELECT 1"}, "labels": labels})
    load(warehouse)
    (changed,) = google.sent("tables.patch")
    assert changed.of == VIEW
    assert "LEFT JOIN" in changed.body["view"]["query"]
    assert changed.body["labels"]["team"] == "a"


def test_a_view_of_ours_that_somebody_edited_is_left_and_told(
    google: Recording, warehouse: Warehouse, told: list[str]
) -> None:
    has(google)
    load(warehouse)
    (view,) = made(google)
    query = f"{view['view']['query']} WHERE false"
    has(google, view={**view, "type": "VIEW", "view": {"query": query}})
    google.requests.clear()
    load(open_warehouse(warehouse.place, Options(method=google.dataset["method"], announce=told.append)))
    assert (made(google), google.sent("tables.patch")) == ([], [])
    (sentence,) = told
    assert f"the view {VIEW} was changed since it was made" in sentence


@pytest.mark.parametrize("theirs", [{"type": "VIEW", "labels": {}}, {"type": "TABLE"}])
def test_what_somebody_else_made_of_that_name_is_left_and_told_once(
    google: Recording, warehouse: Warehouse, told: list[str], theirs: dict[str, Any]
) -> None:
    has(google, view=theirs)
    load(warehouse)
    load(warehouse, "2021-02")
    assert (made(google), google.sent("tables.patch")) == ([], [])
    (sentence,) = told
    assert f"has a {VIEW} that taxi-ingest did not make" in sentence


@pytest.mark.parametrize(
    "answer",
    [
        refuse(403, "accessDenied", "Access Denied: bigquery.tables.create"),
        refuse(503, "backendError", "no"),
        lambda _: None,
    ],
    ids=["refused", "unavailable", "cut"],
)
def test_a_view_that_cannot_be_made_is_told_in_a_line_and_the_month_counts(
    google: Recording, warehouse: Warehouse, told: list[str], impatient: None, answer: Play
) -> None:
    has(google)
    google.always["tables.insert"] = answer
    assert load(warehouse) == 2
    (sentence,) = told
    assert f"the rows were loaded, but not the view {VIEW} made" in sentence
    assert "\n" not in sentence
