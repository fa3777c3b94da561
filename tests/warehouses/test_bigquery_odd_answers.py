"""BigQuery on the wire: a 200 that is none of the API's is told and tried again, and a list without an end is ended."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import JOBS, OBJECT, load
from conformance_of_warehouses import TRIPS
from odd_answers import misshapen
from recording_server import DATASET, PROJECT, Answer, Recording, Request

from taxi_ingest.errors import TaxiError, TransientError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options, Warehouse, foresee, open_warehouse
from taxi_ingest.warehouses.bigquery import BigQuery

STORE = Place.parse("gs://bucket/trips")
JOB = "taxi_ingest_20260101T000000_x"
HELD = {"file_month": "DATE", "mark": "STRING", "row_count": "INTEGER", "loaded": "INTEGER", "source": "STRING"}
VERBS: dict[str, Callable[[BigQuery], object]] = {
    "held": lambda warehouse: warehouse.held("trips"),
    "replace": load,
    "checks": lambda warehouse: list(warehouse.checks(STORE)),
    "foresee": lambda warehouse: foresee(warehouse, STORE),
    "settle": lambda warehouse: warehouse.settle(f"{PROJECT}:EU.{JOB}"),
    "refusal": lambda warehouse: warehouse.refusal(TRIPS),
}
METHODS = [
    ("datasets.get", "replace"), ("tables.get", "replace"), ("jobs.insert", "replace"), ("upload", "replace"),
    ("jobs.query", "replace"), ("jobs.query", "held"), ("jobs.query", "checks"), ("jobs.get", "settle"),
    ("buckets.get", "foresee"), ("datasets.get", "refusal"),
]  # fmt: skip
EXTERNAL = [("tables.get", "held"), ("objects.list", "held"), ("tables.list", "checks"), ("tables.get", "replace")]


def table(rows: list[list[str]], **columns: str) -> Answer:
    """The answer to a query."""
    fields = [{"name": name, "type": kind, "mode": "NULLABLE"} for name, kind in columns.items()]
    reference = {"projectId": PROJECT, "jobId": "question", "location": "EU"}
    told = {"jobComplete": True, "schema": {"fields": fields}, "jobReference": reference, "totalRows": str(len(rows))}
    return 200, {**told, "rows": [{"f": [{"v": value} for value in row]} for row in rows]}


def asked(google: Recording, request: Request) -> Answer:
    """What BigQuery says to a question."""
    if "LEFT JOIN" in request.body["query"]:
        return table([["2021-01-01", "m", "2", "2", "csv"]], **HELD)
    return google._jobs_query(request)


def opened(google: Recording, method: str) -> BigQuery:
    google.add_job(JOB, "DONE")
    google.always["jobs.query"] = lambda request: asked(google, request)
    if method == "external":
        config = {"sourceFormat": "PARQUET", "sourceUris": ["gs://bucket/trips/*.parquet"]}
        google.table |= {"type": "EXTERNAL", "externalDataConfiguration": config, "timePartitioning": None}
        google.objects = [{"bucket": "bucket", "name": OBJECT[12:], "metadata": {"taxi-ingest-mark": "m", "rows": "2"}}]
    found = open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"), Options(method=method))
    assert isinstance(found, BigQuery)
    return found


@pytest.mark.parametrize(
    ("method", "api", "verb"),
    [("partition", *one) for one in METHODS] + [("external", *one) for one in EXTERNAL],
)
def test_a_200_of_another_shape_is_no_bug(
    google: Recording, impatient: None, monkeypatch: pytest.MonkeyPatch, method: str, api: str, verb: str
) -> None:
    for name in ("JOB", "APPEARING"):
        monkeypatch.setattr(f"{JOBS}.{name}_SECONDS", 0.05)
    warehouse = opened(google, method)
    usual = google.always.get(api) or getattr(google, "_" + api.replace(".", "_"))
    said: list[Any] = []

    def note(request: Request) -> Answer:
        said.append(usual(request))
        return said[-1]

    google.always[api] = note
    VERBS[verb](warehouse)
    shapes = list(misshapen(said[0][1]))
    told = 0
    for shape in shapes[:5] + shapes[5 :: max(1, len(shapes) // 6)]:
        google.always[api] = lambda _, shape=shape: (200, shape)
        google.jobs.clear()
        google.add_job(JOB, "DONE")
        try:
            VERBS[verb](warehouse)
        except TaxiError:
            told += 1
    assert told or verb == "checks"  # whose sentences are its answer


def test_it_is_told_as_what_it_may_be_and_may_be_gone_next_time(google: Recording, warehouse: Warehouse) -> None:
    google.always["datasets.get"] = lambda _: (200, ["welcome"])
    with pytest.raises(TransientError, match=r"BigQuery answered with something else than its API does\. .*a proxy"):
        load(warehouse)


def test_an_error_of_our_own_stays_a_bug(google: Recording, warehouse: Warehouse) -> None:
    with pytest.raises(KeyError):
        warehouse.replace(TRIPS, "2021-01", file=OBJECT, rows=2, mark="m", source="csv", record={}.__getitem__)


def endless(answer: Answer, token: str) -> Callable[[Request], Answer]:
    """Play an answer that names one and the same next page for ever."""
    assert answer is not None
    return lambda _: (answer[0], {**answer[1], token: "next"})


def test_the_answer_to_a_question_without_an_end_is_given_up(google: Recording, warehouse: Warehouse) -> None:
    page = table([["2021-01-01", "m", "2", "2", "csv"]], **HELD)
    google.add_job("question", "DONE")
    google.jobs["question"]["configuration"] = {"query": {"query": "SELECT 1"}}
    google.always |= {"jobs.query": endless(page, "pageToken"), "jobs.results": endless(page, "pageToken")}
    with pytest.raises(TransientError, match="comes to no end"):
        warehouse.held("trips")


def test_a_listing_without_an_end_is_given_up(google: Recording) -> None:
    warehouse = opened(google, "external")
    items = {"items": google.objects}
    google.always["objects.list"] = endless((200, items), "nextPageToken")
    with pytest.raises(TransientError, match="comes to no end"):
        warehouse.held("trips")


@pytest.mark.parametrize("total", ["1", "3"])
def test_rows_of_a_query_that_are_more_or_fewer_than_bigquery_says_are_told(google: Recording, total: str) -> None:
    warehouse = opened(google, "partition")
    status, answer = table([["1"], ["2"]], one="INTEGER")  # type: ignore[misc]
    google.always["jobs.query"] = lambda _: (status, {**answer, "totalRows": total})
    statistics = {"query": {"statementType": "SELECT"}}
    google.always["jobs.insert"] = lambda request: (200, {**request.body, "statistics": statistics, "status": {}})
    with (
        pytest.raises(TransientError, match=f"says that the answer has {total} rows, and sent 2"),
        warehouse.query("SELECT 1") as found,
    ):
        list(itertools.islice(found.batches, 9))
