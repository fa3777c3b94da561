"""The pipeline to GCS and BigQuery servers, through the command line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest
from clouds import BUCKET, PROJECT, SAMPLES, Cloud
from conftest import DATA, Command
from emulators.forwarding import forwarding


@pytest.mark.parametrize("dataset", SAMPLES)
def test_a_real_sample_of_every_dataset_arrives_and_a_second_run_does_nothing(cloud: Cloud, dataset: str) -> None:
    first = cloud.run(dataset)
    assert first.code == 0, first.err
    assert cloud.count(dataset) == first.document["parts"][0]["rows"]
    assert set(cloud.run(dataset).steps[0].values()) == {"up_to_date"}


@pytest.mark.parametrize(("dataset", "column"), [("yellow", "total_amount"), ("green", "trip_distance")])
def test_sums_are_those_of_duckdb_from_the_same_file(cloud: Cloud, dataset: str, column: str) -> None:
    cloud.run(dataset)
    there = cloud.ask(f"SELECT SUM({column}), MIN(file_month) FROM $.{dataset}_tripdata")
    (parquet,) = (cloud.folder / "data" / "parquet" / dataset).iterdir()
    assert there == duckdb.sql(f"SELECT SUM({column}), MIN(file_month) FROM '{parquet}'").fetchall()


def test_the_same_month_loaded_three_times_is_the_same_table(cloud: Cloud) -> None:
    rows = cloud.run("yellow").document["parts"][0]["rows"]
    for _ in range(2):
        assert cloud.run("yellow", "--force").code == 0
    assert cloud.count("yellow") == rows


def test_a_republished_month_replaces_exactly_that_month(cloud: Cloud) -> None:
    cloud.run("yellow")
    cloud.run("yellow", month="2019-06")
    before = cloud.count("yellow")
    shorter = cloud.folder / "shorter.csv"
    lines = (DATA / "yellow_tripdata_2019-02.csv").read_bytes().splitlines(keepends=True)
    shorter.write_bytes(b"".join(lines[:4]))
    assert cloud.run("yellow", file=shorter.as_uri()).code == 0
    assert cloud.count("yellow") == before - (len(lines) - 4)


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM $.yellow_tripdata WHERE file_month = DATE '2019-02-01'",
        "DROP TABLE $._loads",
        "DELETE FROM $._loads WHERE state = 'done'",
        "DROP TABLE $.yellow_tripdata",
    ],
)
def test_what_is_missing_is_loaded_again_and_nothing_doubled(cloud: Cloud, harm: str) -> None:
    rows = cloud.run("yellow").document["parts"][0]["rows"]
    cloud.ask(harm)
    again = cloud.run("yellow")
    done = {step for step, outcome in again.steps[0].items() if outcome == "done"}
    assert (again.code, done, cloud.count("yellow")) == (0, {"load"}, rows), again.err


def test_deleted_receipts_are_adopted_from_the_far_sides(cloud: Cloud) -> None:
    cloud.run("yellow")
    for step in ("parquetize", "upload", "load"):
        (cloud.folder / f"data/state/receipts/yellow/2019-02/{step}.json").unlink()
    assert set(cloud.run("yellow").steps[0].values()) == {"up_to_date"}


def test_jobs_are_recorded_with_their_attempt_before_they_are_sent(cloud: Cloud) -> None:
    cloud.run("yellow")
    with sqlite3.connect(cloud.folder / "data" / "state" / "history.sqlite") as db:
        ((jobs,),) = db.execute("SELECT jobs FROM attempts WHERE step = 'load'").fetchall()
    known = {job.job_id for job in cloud.client.list_jobs(max_results=200)}
    recorded = {job.rpartition(".")[2] for job in jobs.split()}
    assert recorded
    assert recorded <= known


def test_a_job_that_a_killed_run_recorded_is_settled_before_anything_else(cloud: Cloud) -> None:
    cloud.run("yellow")
    with sqlite3.connect(cloud.folder / "data" / "state" / "history.sqlite") as db:
        db.execute("UPDATE attempts SET outcome = 'running' WHERE step = 'load'")
    again = cloud.run("yellow")
    assert (again.code, set(again.steps[0].values())) == (0, {"up_to_date"}), again.err


def test_a_second_run_asks_bigquery_one_question_a_table(cloud: Cloud, bigquery_server: str) -> None:
    cloud.run("yellow")
    with forwarding(bigquery_server) as wire:
        cloud.environment["BIGQUERY_EMULATOR_HOST"] = wire.url
        cloud.run("yellow")
    assert [method for method, _ in wire.requests] == ["POST"], wire.requests


def test_bigquery_with_a_folder_store_is_refused_before_any_work(taxi: Command, tmp_path: Path) -> None:
    ran = taxi("run", "--month", "2021-01", "--warehouse", f"bigquery://{PROJECT}/trips")
    assert (ran.code, list(tmp_path.iterdir())) == (2, [])
    assert "Use a store it reads: gs://" in ran.err


def test_doctor_looks_at_bucket_and_dataset(cloud: Cloud) -> None:
    cloud.run("yellow")
    where = ("--store", f"gs://{BUCKET}/x", "--warehouse", f"bigquery://{PROJECT}/{cloud.name}")
    ran = cloud.taxi("doctor", *where, **cloud.environment)
    assert (ran.code, f"dataset {PROJECT}:{cloud.name} exists" in ran.out) == (0, True), ran.out


def test_verify_counts_the_rows_of_a_month_and_says_that_it_did_no_more(cloud: Cloud) -> None:
    cloud.run("yellow")
    counted = cloud.verify()
    assert (counted.code, counted.document["parts"][0]["copies"]["table"]) == (0, "counted")
    assert "only counted" in counted.document["parts"][0]["notes"][0]
    cloud.ask("DELETE FROM $.yellow_tripdata WHERE VendorID = 1")
    found = cloud.verify()
    assert (found.code, [one["copy"] for one in found.document["parts"][0]["findings"]]) == (1, ["table"])
