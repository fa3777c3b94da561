"""The zone lookup: a dataset of one file, without months, through the same four steps."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import DATA, Command, Ran

LOOKUP = DATA / "taxi_zone_lookup.csv"


def zones(taxi: Command, *more: str) -> Ran:
    return taxi("run", "--dataset", "zones", "--source", LOOKUP.as_uri(), "--json", *more)


def table(folder: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "data" / "taxi.duckdb"), read_only=True) as db:
        return db.execute("FROM taxi_zone_lookup").fetchall()


def test_every_zone_is_loaded_as_published(taxi: Command, tmp_path: Path) -> None:
    assert zones(taxi).code == 0
    with LOOKUP.open(newline="") as file:
        _, *rows = csv.reader(file)
    expected = [(int(number), *(text.strip() or None for text in texts)) for number, *texts in rows]
    assert table(tmp_path) == expected


def test_its_month_is_null_in_the_document(taxi: Command) -> None:
    (part,) = zones(taxi).document["parts"]
    assert (part["month"], part["rows"]) == (None, 265)


def test_a_second_run_does_nothing(taxi: Command) -> None:
    zones(taxi)
    assert set(zones(taxi).steps[0].values()) == {"up_to_date"}


def test_loading_it_again_replaces_the_whole_table(taxi: Command, tmp_path: Path) -> None:
    zones(taxi)
    zones(taxi, "--force")
    assert len(table(tmp_path)) == 265


def test_a_month_typed_for_zones_alone_makes_no_sense(taxi: Command) -> None:
    ran = zones(taxi, "--month", "2021-01")
    assert (ran.code, "zones has no months" in ran.err) == (2, True)


def test_a_configured_month_does_not_count_against_zones(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[shared]\nmonth = "2021-01"\n')
    assert zones(taxi).code == 0


@pytest.mark.parametrize("chosen", ["all", "yellow,zones"])
def test_with_other_datasets_the_month_applies_to_those(taxi: Command, chosen: str) -> None:
    template = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
    arguments = ("--month", "2020-01", "--dataset", chosen, "--source", template, "--json")
    document = taxi("run", *arguments, TAXI_INGEST_DOWNLOAD__TRIES="1").document
    months = {part["dataset"]: part["month"] for part in document["parts"]}
    assert (months["yellow"], months["zones"]) == ("2020-01", None)
    # only TLC publishes the lookup, and TLC is out of a test's reach
    assert [part["source"] for part in document["parts"] if part["dataset"] == "yellow"] == [template]
