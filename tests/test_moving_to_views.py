"""A table whose files are not in the store yet becomes a view over it in one run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import DATA, Command, query

MONTHS = "2019-02,2020-01,2020-07"
SOURCE = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"


def run(taxi: Command, months: str, *more: str, method: str = "external", code: int = 0) -> list[dict[str, str]]:
    given = ("--month", months, "--source", SOURCE, *more, "--json")
    ran = taxi("run", *given, TAXI_INGEST_LOAD__METHOD=method)
    assert ran.code == code, ran.err
    return ran.steps


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_all_months_move_to_another_store_in_one_run(taxi: Command, tmp_path: Path, jobs: str) -> None:
    run(taxi, MONTHS, method="table")
    before = sorted(query(tmp_path / "data" / "taxi.duckdb", "FROM yellow_tripdata"), key=str)
    steps = run(taxi, f"{MONTHS},2019-07", "--store", "other", "--jobs", jobs, code=1)  # of the last there is no file
    assert [one["load"] for one in steps if one["download"] != "failed"] != []
    assert {one["load"] for one in steps if one["download"] != "failed"} <= {"done", "up_to_date"}
    assert sorted(query(tmp_path / "data" / "taxi.duckdb", "FROM yellow_tripdata"), key=str) == before
    shutil.rmtree(tmp_path / "data" / "lake")
    assert sorted(query(tmp_path / "data" / "taxi.duckdb", "FROM yellow_tripdata"), key=str) == before
    again = run(taxi, MONTHS, "--store", "other")
    assert {outcome for one in again for outcome in one.values()} == {"up_to_date"}


def test_a_month_that_the_run_does_not_bring_still_refuses_the_move(taxi: Command, tmp_path: Path) -> None:
    run(taxi, MONTHS, method="table")
    steps = run(taxi, "2019-02,2020-01", "--store", "other", code=1)
    assert [one["load"] for one in steps] == ["failed", "failed"]
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(DISTINCT file_month) FROM yellow_tripdata") == [(3,)]
