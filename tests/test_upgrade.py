"""What an earlier release left is gone on from. `data/releases` has a data directory as each of them made it, with two
months from files that are not there any more."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ALL_UP_TO_DATE, Command, only, query

RELEASES = sorted((Path(__file__).parent / "data" / "releases").glob("*.tar.xz"))
MONTHS = {"yellow": "2019-02", "green": "2019-10"}
RUNS = 4
"""In each history: three runs that went well and one that failed."""


@pytest.fixture(params=RELEASES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / "data"


def rows(data: Path, dataset: str) -> list[tuple[Any, ...]]:
    return query(data / "taxi.duckdb", f"FROM {dataset}_tripdata ORDER BY ALL")


def test_a_run_after_an_upgrade_fetches_nothing_and_leaves_the_same_rows(taxi: Command, earlier: Path) -> None:
    for dataset, month in MONTHS.items():
        before = rows(earlier, dataset)
        asked = ("run", "--dataset", dataset, "--month", month, "--json")
        first, second = taxi(*asked), taxi(*asked)
        assert (first.code, first.steps) == (0, [only("parquetize", "upload", "load")]), first.err
        assert (second.code, second.steps) == (0, [ALL_UP_TO_DATE]), second.err
        assert rows(earlier, dataset) == before != []


def test_looking_after_an_upgrade_shows_what_was_done_before_it_and_changes_nothing(
    taxi: Command, earlier: Path
) -> None:
    held = {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}
    assert [run["exit"] for run in taxi("history", "--json").document["runs"]] == [0, 1, 0, 0]
    for verb in ("status", "report", "doctor"):
        assert taxi(verb).code == 0
    assert "the way it is read changed" in taxi("plan", "--month", MONTHS["yellow"]).out
    assert {path: path.read_bytes() for path in earlier.rglob("*") if path in held} == held


def test_a_run_after_an_upgrade_keeps_the_history(taxi: Command, earlier: Path) -> None:
    assert taxi("run", "--month", MONTHS["yellow"]).code == 0
    assert len(taxi("history", "--json").document["runs"]) == RUNS + 1


def test_verify_after_an_upgrade_tells_that_every_copy_is_intact(taxi: Command, earlier: Path) -> None:
    for dataset, month in MONTHS.items():
        ran = taxi("verify", "--dataset", dataset, "--month", month)
        assert (ran.code, "1 part intact" in ran.out) == (0, True), ran.out + ran.err
