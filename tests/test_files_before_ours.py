"""A file of one's own that lies where a first run puts its own keeps its content, under another name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import DATA, Command

NAME = "yellow_tripdata_2025-01.parquet"
SOURCE = DATA.as_uri() + "/{dataset}_tripdata_{month}.parquet"


def run(taxi: Command) -> None:
    ran = taxi("run", "--month", "2025-01", "--source", SOURCE)
    assert ran.code == 0, ran.err


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("folder", ["raw", "parquet"])
def test_a_file_that_was_there_before_the_first_run_is_put_aside(taxi: Command, tmp_path: Path, folder: str) -> None:
    mine = tmp_path / "data" / folder / "yellow" / NAME
    mine.parent.mkdir(parents=True)
    shutil.copy(DATA / "green_tripdata_2024-01.parquet", mine)
    before = mine.read_bytes()
    for _ in range(2):
        run(taxi)
    after = content(mine.parent)
    assert after.keys() == {NAME, f"{NAME}.before"}
    assert (after[f"{NAME}.before"], after[NAME] == before) == (before, False)


def test_a_raw_file_that_is_the_published_one_is_left_alone(taxi: Command, tmp_path: Path) -> None:
    mine = tmp_path / "data" / "raw" / "yellow" / NAME
    mine.parent.mkdir(parents=True)
    shutil.copy(DATA / NAME, mine)
    run(taxi)
    assert content(mine.parent) == {NAME: (DATA / NAME).read_bytes()}


def test_our_own_files_are_replaced_when_their_receipts_are_gone(taxi: Command, tmp_path: Path) -> None:
    run(taxi)
    data = tmp_path / "data"
    shutil.rmtree(data / "state")
    (data / "parquet" / "yellow" / NAME).write_bytes(b"PAR1 damaged")
    run(taxi)
    assert [len(content(data / folder / "yellow")) for folder in ("raw", "parquet", "lake")] == [1, 1, 1]


@pytest.mark.parametrize("folder", ["raw/yellow", "parquet/yellow", "rejects/yellow", "lake/yellow"])
def test_hidden_files_of_other_programs_stay(taxi: Command, tmp_path: Path, folder: str) -> None:
    theirs = [tmp_path / "data" / folder / name for name in (".hidden.tmp", ".a.part.tmp", ".DRAFT.Abcdefgh.tmp")]
    ours = tmp_path / "data" / folder / ".yellow_tripdata_2020-01.csv.abcdefgh.tmp"
    ours.parent.mkdir(parents=True)
    for path in (*theirs, ours):
        path.touch()
    run(taxi)
    assert ([path.exists() for path in theirs], ours.exists()) == ([True] * 3, False)
