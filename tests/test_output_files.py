"""A file that a verb writes never takes the place of anything else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import DATA, Command

SOURCE = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
OURS = (
    "data/taxi.duckdb",
    "data/parquet/yellow/yellow_tripdata_2020-01.parquet",
    "data/lake/yellow/yellow_tripdata_2020-01.parquet",
    "data/lake/yellow/another.parquet",
    "data/raw/yellow/yellow_tripdata_2020-01.csv",
    "data/state/history.sqlite",
    "data/state/another",
)
ANOTHER_KIND = "notes.txt"

WRITES = {
    "query": ("query", "SELECT 1 AS one", "--parquet"),
    "report": ("report", "--output"),
}


@pytest.fixture
def folder(loaded_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(loaded_once, tmp_path / "data")
    (tmp_path / ANOTHER_KIND).write_text("mine")
    return tmp_path


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize("target", [*OURS, ANOTHER_KIND])
@pytest.mark.parametrize("verb", WRITES)
def test_a_verb_writes_over_nothing_else(taxi: Command, folder: Path, verb: str, target: str) -> None:
    before = content(folder / target)
    ran = taxi(*WRITES[verb], target)
    assert (ran.code, content(folder / target)) == (2, before)
    assert target in ran.err


@pytest.mark.parametrize("target", [*OURS, ANOTHER_KIND])
def test_metrics_are_written_over_nothing_else(taxi: Command, folder: Path, target: str) -> None:
    (folder / "config.toml").write_text(f'[operate]\nmetrics_file = "{target}"\n')
    before = content(folder / target)
    ran = taxi("run", "--month", "2020-01", "--source", SOURCE)
    assert (ran.code, content(folder / target)) == (2, before)


def test_what_a_verb_wrote_is_written_again(taxi: Command, folder: Path) -> None:
    for verb, name in (("query", "answer.parquet"), ("report", "page.html")):
        for _ in range(2):
            assert taxi(*WRITES[verb], name).code == 0
    assert pq.read_table(folder / "answer.parquet").to_pydict() == {"one": [1]}


def test_a_link_to_the_database_is_not_written_over_either(taxi: Command, folder: Path) -> None:
    (folder / "answer.parquet").symlink_to("data/parquet/yellow/yellow_tripdata_2020-01.parquet")
    assert taxi(*WRITES["query"], "answer.parquet").code == 2


def test_a_link_that_leads_in_a_circle_is_no_bug(taxi: Command, folder: Path) -> None:
    (folder / "answer.parquet").symlink_to("answer.parquet")
    assert taxi(*WRITES["query"], "answer.parquet").code in {0, 1, 2}
