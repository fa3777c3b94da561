"""A file of somebody else's in the store, under the name of an object of ours, is never replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import DATA, Command

MONTH = "yellow_tripdata_2025-01.parquet"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """TLC's own file, kept as many keep them: in a folder of its dataset."""
    target = tmp_path / "tlc" / "yellow" / MONTH
    target.parent.mkdir(parents=True)
    return Path(shutil.copy(DATA / MONTH, target))


def run(taxi: Command, folder: Path, *more: str) -> tuple[int, str]:
    ran = taxi(
        "run",
        "--month",
        "2025-01",
        "--source",
        f"file://{folder}/{{dataset}}/{{dataset}}_tripdata_{{month}}.parquet",
        *more,
    )
    return ran.code, ran.err + ran.out


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_the_published_file_is_not_replaced_by_what_is_made_of_it(
    taxi: Command, tmp_path: Path, published: Path, force: list[str]
) -> None:
    code, said = run(taxi, tmp_path / "tlc", "--store", "tlc", *force)
    assert (code, published.read_bytes()) == (1, (DATA / MONTH).read_bytes())
    assert f"{published} was not made by taxi-ingest" in said


def test_an_object_of_ours_whose_mark_was_lost_is_replaced(taxi: Command, tmp_path: Path, published: Path) -> None:
    assert run(taxi, tmp_path / "tlc")[0] == 0
    shutil.rmtree(tmp_path / "data" / "lake.marks")
    code, said = run(taxi, tmp_path / "tlc")
    assert code == 0, said
    assert (tmp_path / "data" / "lake.marks" / "yellow" / f"{MONTH}.json").exists()
    assert pq.read_metadata(tmp_path / "data" / "lake" / "yellow" / MONTH).num_rows > 0
    assert not list(tmp_path.glob("data/**/*.tmp"))
