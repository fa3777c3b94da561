"""`taxi-ingest catalog`: what is published, for people and for programs."""

from __future__ import annotations

from conftest import Command


def test_every_dataset_is_listed_with_its_sources_and_layouts(taxi: Command) -> None:
    text = taxi("catalog").out
    for words in ("yellow_tripdata", "taxi_zone_lookup", "2019-01..2021-07", "csv-2009", "parquet-2026-06"):
        assert words in text


def test_columns_are_told_for_the_dataset_asked_for(taxi: Command) -> None:
    lines = taxi("catalog", "--dataset", "fhv").out.splitlines()
    (column,) = [line.split() for line in lines if line.split()[:1] == ["dropOff_datetime"]]
    assert (column[1], any("VendorID" in line for line in lines)) == ("timestamp", False)


def test_the_document_holds_columns_vintages_and_sources(taxi: Command) -> None:
    document = taxi("catalog", "--json").document
    assert sorted(document["datasets"]) == ["fhv", "fhvhv", "green", "yellow", "zones"]
    assert [len(document["datasets"][name]["columns"]) for name in ("yellow", "green", "fhv", "fhvhv")] == [
        25,
        26,
        7,
        26,
    ]
    assert sorted(document["sources"]) == ["csv", "tlc"]


def test_an_unknown_dataset_ends_2_with_the_nearest(taxi: Command) -> None:
    ran = taxi("catalog", "--dataset", "gren")
    assert (ran.code, "Did you mean green?" in ran.err) == (2, True)
