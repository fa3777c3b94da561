"""What the plan foresees of the cloud: bytes that are kept there, and bytes that are billed."""

from __future__ import annotations

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from commands import DATA, Command, Ran
from conformance_of_warehouses import TRIPS
from recording_server import DATASET, PROJECT, Recording, refuse

from taxi_ingest.warehouses.bigquery.costs import bill_of
from taxi_ingest.warehouses.capabilities import Bill

ROW = 8 + 8 + 8 + 6 + 8
"""Bytes of a row of TRIPS: two numbers, a time, a text, and the month."""
MIB = 1 << 20


@pytest.mark.parametrize(
    ("method", "rows", "bill"),
    [
        ("partition", 1_000, Bill(ROW * 1_000, 20 * MIB)),
        ("partition", 10_000_000, Bill(ROW * 10_000_000, 10 * MIB + 8 * 10_000_000)),
        ("merge", 1_000, Bill(ROW * 1_000, 40 * MIB)),
        ("merge", 10_000_000, Bill(ROW * 10_000_000, 10 * MIB + (8 + 2 * ROW) * 10_000_000)),
        ("external", 10_000_000, Bill(0, 10 * MIB)),
    ],
)
def test_a_load_costs_what_it_stores_and_what_its_questions_read(method: str, rows: int, bill: Bill) -> None:
    assert bill_of(TRIPS, rows, method) == bill


def planned(taxi: Command, google: Recording, *more: str) -> Ran:
    google.always["jobs.query"] = refuse(404, "notFound", f"Not found: Dataset {PROJECT}:{DATASET}")
    emulators = {"STORAGE_EMULATOR_HOST": google.url, "BIGQUERY_EMULATOR_HOST": google.url}
    where = ("--store", "gs://bucket/trips", "--warehouse", f"bigquery://{PROJECT}/{DATASET}")
    return taxi("plan", "--month", "2021-01,2021-02", "--source", "csv", *where, *more, **emulators)


def test_the_plan_tells_what_the_cloud_will_keep_and_bill(google: Recording, taxi: Command) -> None:
    document = planned(taxi, google, "--json").document
    for part in document["parts"]:
        assert part["cloud_bytes"]["stored"] > part["cloud_bytes"]["uploaded"] > 10 * MIB
        assert part["cloud_bytes"]["billed"] >= 20 * MIB
    for amount in ("uploaded", "stored", "billed"):
        assert document["cloud_bytes"][amount] == sum(part["cloud_bytes"][amount] for part in document["parts"])


def test_the_plan_says_so_in_a_line(google: Recording, taxi: Command) -> None:
    (line,) = [line for line in planned(taxi, google).out.splitlines() if line.startswith("cloud: ")]
    assert "to upload and keep in the store" in line
    assert "at most billed by its queries" in line


def test_the_plan_tells_what_the_run_would_be_refused_for(google: Recording, taxi: Command) -> None:
    google.bucket_location = "US"
    (told,) = planned(taxi, google, "--json").document["refusals"]
    assert "but both must be in one location" in told


def test_the_plan_tells_a_transfer_that_is_billed(google: Recording, taxi: Command) -> None:
    google.dataset["location"] = "US"
    (told,) = planned(taxi, google, "--json").document["costs"]
    assert told.endswith("Google bills the transfer of what is loaded.")


def test_what_stays_on_this_disk_costs_nothing_in_the_cloud(taxi: Command) -> None:
    source = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
    ran = taxi("plan", "--month", "2019-02", "--source", source)
    assert (ran.code, "cloud: " in ran.out) == (0, False)
