"""What tests of `clean`, of orphans and of `keep` share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import MONTH, Command, Loaded, Ran

RAW, PARQUET = "raw/yellow/yellow_tripdata_2020-01.csv", "parquet/yellow/yellow_tripdata_2020-01.parquet"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def clean(loaded: Loaded, *options: str) -> Ran:
    return loaded.taxi("clean", *options, "--json")


def removed(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.err
    return [file["path"].partition("/data/")[2] for file in ran.document["files"]]


@pytest.fixture
def mine(taxi: Command, tmp_path: Path) -> Path:
    """A file of one's own, loaded from where it lies."""
    mine = tmp_path / "mine" / "yellow_2020-01.csv"
    mine.parent.mkdir()
    shutil.copy(MONTH, mine)
    assert taxi("run", "--month", "2020-01", "--source", f"file://{mine.parent}/{{dataset}}_{{month}}.csv").code == 0
    return mine
