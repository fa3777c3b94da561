"""BigQuery as warehouse, on a real server that reads gs:// from a real GCS server, with method=merge.

The server knows no partition decorators; the other modules test_bigquery_*.py hold method=partition to the wire
contract.
"""

from __future__ import annotations

import os
import sys
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conformance_of_warehouses import *  # noqa: F403
from conformance_of_warehouses import TRIPS, Bench, UnfinishedJob, write
from emulators.servers import BUCKET, PROJECT
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from recording_server import DATASET as WIRE_DATASET
from recording_server import PROJECT as WIRE_PROJECT
from recording_server import recording

from taxi_ingest.errors import TaxiError, WarehouseError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import HeldMonth, open_warehouse

Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def client(gcs_server: str, bigquery_server: str, monkeypatch: pytest.MonkeyPatch) -> bigquery.Client:
    """Google's client, pointed at the servers as the product is."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_server)
    return bigquery.Client(project=PROJECT, credentials=AnonymousCredentials())


@pytest.fixture
def dataset() -> str:
    """The name of a dataset of its own."""
    return f"taxi_{uuid.uuid4().hex}"


@pytest.fixture
def start_job(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], UnfinishedJob]]:
    """Starts a job on the recording server, because jobs on the real one have ended when it answers."""
    with recording() as server:

        def start() -> UnfinishedJob:
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.url)
            server.add_job("unfinished", "RUNNING")
            return UnfinishedJob(
                open_warehouse(Place.parse(f"bigquery://{WIRE_PROJECT}/{WIRE_DATASET}")),
                f"{WIRE_PROJECT}:EU.unfinished",
                lambda: server.jobs["unfinished"]["status"]["state"] == "RUNNING",
            )

        yield start


BQ = r"""
import re, sys
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
verb, option, table = sys.argv[1:]
assert verb == "head"
rows = re.fullmatch(r"--max_rows=(\d+)", option)[1]
project, name = re.fullmatch(r"([\w-]+):(\w+\.\w+)", table).groups()
client = bigquery.Client(project=project, credentials=AnonymousCredentials())
for row in client.query_and_wait(f"SELECT * FROM {name} LIMIT {rows}"):
    print(*row.values())
"""


@pytest.fixture(autouse=True)
def bq(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program `bq` that knows `head`, in place of the one in the Google Cloud CLI."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "bq").write_text(f"#!{sys.executable}\n{BQ}")
    (folder / "bq").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.fixture
def bench(
    client: bigquery.Client,
    dataset: str,
    gcs_server: str,
    tmp_path: Path,
    start_job: Callable[[], UnfinishedJob],
) -> Bench:
    def hand_over(path: Path) -> str:
        name = f"{dataset}/{path.name}"
        if path.exists():
            where = f"{gcs_server}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={name}"
            urllib.request.urlopen(urllib.request.Request(where, path.read_bytes())).close()
        return f"gs://{BUCKET}/{name}"

    def query(sql: str) -> list[tuple[Any, ...]]:
        config = bigquery.QueryJobConfig(default_dataset=f"{PROJECT}.{dataset}")
        return [tuple(row.values()) for row in client.query_and_wait(sql, job_config=config)]

    elsewhere = bigquery.Dataset(f"{PROJECT}.{dataset}_elsewhere")
    elsewhere.location = "europe-west4"  # the bucket is in US-CENTRAL1
    client.create_dataset(elsewhere)
    return Bench(
        open_warehouse(Place.parse(f"bigquery://{PROJECT}/{dataset}?method=merge")),
        hand_over,
        query,
        tmp_path,
        store=Place.parse(f"gs://{BUCKET}/trips"),
        unusable=Place.parse(f"bigquery://{PROJECT}/{elsewhere.dataset_id}"),
        start_job=start_job,
    )


@pytest.fixture
def tables(client: bigquery.Client, dataset: str) -> Callable[[], list[str]]:
    """Names of the tables there are."""
    return lambda: sorted(table.table_id for table in client.list_tables(dataset))


def test_months_are_partitions_and_rows_are_clustered(bench: Bench, client: bigquery.Client, dataset: str) -> None:
    bench.load("2021-01", [1])
    made = client.get_table(f"{dataset}.trips")
    by = made.time_partitioning
    assert (by.type_, by.field, made.clustering_fields) == ("MONTH", "file_month", ["pickup_datetime"])


def test_columns_are_described_by_meaning_and_unit(bench: Bench, client: bigquery.Client, dataset: str) -> None:
    bench.load("2021-01", [1])
    assert [(f.name, f.field_type, f.mode, f.description) for f in client.get_table(f"{dataset}.trips").schema] == [
        ("VendorID", "INTEGER", "NULLABLE", "who's meter [code]"),
        ("pickup_datetime", "DATETIME", "NULLABLE", "start [New York wall clock]"),
        ("fare_amount", "FLOAT", "NULLABLE", "fare [USD]"),
        ("flag", "STRING", "NULLABLE", "a flag [Y/N]"),
        ("file_month", "DATE", "NULLABLE", "First day of the file's month; the partition's key."),
    ]


def test_tables_have_title_and_label(bench: Bench, client: bigquery.Client, dataset: str) -> None:
    bench.load("2021-01", [1])
    made = client.get_table(f"{dataset}.trips")
    assert (made.description, made.labels) == ("Trips, made up", {"made_by": "taxi-ingest"})


def test_a_new_dataset_is_created_where_the_bucket_is(bench: Bench, client: bigquery.Client, dataset: str) -> None:
    bench.load("2021-01", [1])
    assert client.get_dataset(dataset).location == "US-CENTRAL1"


def test_a_new_dataset_is_created_where_the_url_says(bench: Bench, client: bigquery.Client, dataset: str) -> None:
    url = f"{bench.warehouse.place.url}&location=europe-west4"
    replace(bench, warehouse=open_warehouse(Place.parse(url))).load("2021-01", [1])
    assert client.get_dataset(dataset).location == "europe-west4"


def test_without_its_record_of_loads_no_month_is_held(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("DROP TABLE _loads")
    assert bench.warehouse.held("trips")["trips"] == {}


def test_a_month_without_its_record_is_loaded_again_and_nothing_doubled(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("DROP TABLE _loads")
    bench.load("2021-01", [1, 2])
    assert (bench.vendors(), bench.warehouse.held("trips")["trips"]) == (
        [1, 2],
        {"2021-01": HeldMonth("m1", 2, 2, "csv")},
    )


def test_a_load_that_started_and_is_not_done_is_not_held(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.load("2021-01", [1, 2])
    broken_off(bench, monkeypatch, "_merge")
    assert (bench.warehouse.held("trips")["trips"], bench.vendors()) == ({}, [1, 2])


@pytest.mark.parametrize("vendors", [[7, 8], [7, 8, 9]], ids=["equal row count", "other row count"])
def test_a_crash_between_load_and_mark_leaves_a_month_that_is_not_held(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, vendors: list[int]
) -> None:
    bench.load("2021-01", [1, 2])
    broken_off(bench, monkeypatch, "_count", vendors)
    assert (bench.vendors(), bench.warehouse.held("trips")["trips"]) == (vendors, {})


def test_the_next_load_repairs_what_a_crash_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.load("2021-01", [1, 2])
    broken_off(bench, monkeypatch, "_count", [7, 8])
    bench.load("2021-01", [7, 8], mark="m2")
    assert (bench.vendors(), bench.warehouse.held("trips")["trips"]) == (
        [7, 8],
        {"2021-01": HeldMonth("m2", 2, 2, "csv")},
    )


def broken_off(bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str, vendors: list[int] | None = None) -> None:
    """Replace January, and die at one step of it: `_count` comes after the rows, before the mark."""

    class Killed(BaseException):
        pass

    def die(self: Any, *_: Any) -> None:
        if at == "_merge":
            self._revoke_mark()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"taxi_ingest.warehouses.bigquery.replacing.Replacement.{at}", die)
        with pytest.raises(Killed):
            bench.load("2021-01", vendors or [1, 2], mark="m2")


def test_two_runs_that_crossed_leave_a_month_that_is_not_held(bench: Bench, client: bigquery.Client) -> None:
    bench.load("2021-01", [1, 2])
    columns = "'trips', DATE '2021-01-01', 'm2', 2, 'csv'"
    for second, (state, load) in enumerate([("started", "a"), ("started", "b"), ("done", "a"), ("done", "b")]):
        at = f"TIMESTAMP '2099-01-01 00:00:0{second}+00'"
        bench.query(f"INSERT INTO _loads VALUES ({columns}, '{state}', {at}, '{load}')")
    assert bench.warehouse.held("trips")["trips"] == {}


def test_a_clock_that_is_behind_does_not_hide_the_newest_load(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("UPDATE _loads SET `at` = TIMESTAMP '2099-01-01 00:00:00+00' WHERE TRUE")
    bench.load("2021-01", [3], mark="m2")
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m2", 1, 1, "csv")}


def test_a_month_loaded_into_a_table_of_another_name_is_a_failed_load(
    bench: Bench, client: bigquery.Client, dataset: str
) -> None:
    """The server takes `trips$202101` for the name of a table, and loads into it with success."""
    bench.load("2021-02", [4])
    write(bench.folder / "wrong.parquet", TRIPS, "2021-01", [1, 2])
    parquet = bigquery.LoadJobConfig(source_format="PARQUET")
    wrong = bench.hand_over(bench.folder / "wrong.parquet")
    client.load_table_from_uri(wrong, f"{dataset}.trips$202101", job_config=parquet).result()
    partition = open_warehouse(Place.parse(bench.warehouse.place.url.removesuffix("?method=merge")))
    with pytest.raises(WarehouseError, match="trips 2021-01 has 0 rows in "):
        replace(bench, warehouse=partition).load("2021-01", [1, 2])
    assert bench.warehouse.held("trips")["trips"] == {"2021-02": HeldMonth("m1", 1, 1, "csv")}


def test_a_table_partitioned_otherwise_is_counted(bench: Bench) -> None:
    bench.load("2021-01", [1, 2])
    bench.query("CREATE OR REPLACE TABLE trips AS SELECT * FROM trips")
    assert bench.warehouse.held("trips")["trips"] == {"2021-01": HeldMonth("m1", 2, 2, "csv")}


def test_a_failed_merge_leaves_the_old_month(bench: Bench, tables: Callable[[], list[str]]) -> None:
    bench.load("2021-01", [1, 2])
    with pytest.raises(TaxiError):
        fail_in_merge(bench)
    assert bench.vendors() == [1, 2]


def test_a_failed_merge_leaves_no_staging_table(bench: Bench, tables: Callable[[], list[str]]) -> None:
    bench.load("2021-01", [1, 2])
    with pytest.raises(TaxiError):
        fail_in_merge(bench)
    assert tables() == ["_loads", "trips"]


def test_a_load_that_is_done_leaves_no_staging_table(bench: Bench, tables: Callable[[], list[str]]) -> None:
    bench.load("2021-01", [1, 2])
    assert tables() == ["_loads", "trips"]


def fail_in_merge(bench: Bench) -> None:
    """Let the staging table be loaded and the MERGE be refused: by then the flag does not fit into the table."""
    jobs: list[str] = []

    def spoil(job: str) -> None:
        jobs.append(job)
        if len(jobs) == 3:  # after the load of the staging table and the row `started`
            bench.query("ALTER TABLE trips DROP COLUMN flag")
            bench.query("ALTER TABLE trips ADD COLUMN flag INT64")

    try:
        bench.load("2021-01", [3, 4], mark="m2", record=spoil)
    finally:
        assert len(jobs) >= 3
