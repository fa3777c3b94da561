"""`clean --orphans`: files that a run left and no part owns any more go, and nothing that may be somebody else's."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from cleaning import PARQUET, RAW, clean, mine, removed, tree
from conftest import ALL_UP_TO_DATE, MONTH, Command, Loaded, Publisher

from taxi_ingest.sources.partial import DAYS_KEPT

__all__ = ["mine"]


def retired(data: Path) -> list[str]:
    """Make of yellow's month one of a dataset that the catalog does not have."""
    moved = []
    for kind in ("raw", "parquet", "lake", "lake.marks", "state/receipts"):
        (data / kind / "yellow").rename(data / kind / "purple")
    (data / "rejects" / "purple").mkdir(parents=True)
    (data / "rejects" / "purple" / "yellow_tripdata_2020-01.csv").write_text("line,reason,raw\n")
    for path in (data / "state" / "receipts" / "purple").rglob("download.json"):
        path.write_text(renamed(path))
    for kind in ("raw", "parquet", "lake", "lake.marks", "rejects", "state/receipts"):
        moved += [str(path.relative_to(data)) for path in (data / kind / "purple").rglob("*") if path.is_file()]
    return sorted(moved)


def renamed(receipt: Path) -> str:
    from taxi_ingest.state.receipts import from_json, to_json

    downloaded: Any = from_json("download", receipt.read_bytes())
    return to_json(type(downloaded)(**{**vars(downloaded), "file": downloaded.file.replace("yellow/", "purple/")}))


def test_a_dataset_that_the_catalog_lost_is_an_orphan_and_its_rows_stay(loaded: Loaded) -> None:
    files = retired(loaded.data)
    (foreign := loaded.data / "raw" / "purple" / "notes.txt").write_text("mine")
    (stranger := loaded.data / "parquet" / "purple" / "theirs.parquet").write_bytes(b"PAR1")
    rows = loaded.table
    ran = clean(loaded, "--orphans", "--yes")
    marks = [name for name in files if name.startswith("lake.marks")]
    assert sorted(removed(ran) + marks) == files
    assert sorted(ran.document["unknown"]) == sorted([str(foreign), str(stranger)])
    assert "yellow_tripdata" in ran.document["notes"][0]
    assert [name for name in files if (loaded.data / name).exists()] == []
    assert (foreign.read_text(), stranger.read_bytes(), loaded.table) == ("mine", b"PAR1", rows)
    assert not (loaded.data / "state" / "receipts" / "purple").exists()


def test_the_raw_file_of_an_earlier_source_is_an_orphan(loaded: Loaded) -> None:
    loaded.publisher.files["/yellow_tripdata_2020-01.txt"] = MONTH.read_bytes()
    other = loaded.publisher.url + "/{dataset}_tripdata_{month}.txt"
    assert loaded.taxi("run", "--month", "2020-01", "--source", other).code == 0
    (loaded.data / (RAW + ".part")).write_bytes(b"cut")
    ran = clean(loaded, "--orphans", "--yes")
    assert removed(ran) == [RAW, RAW + ".part"]
    assert ran.document["files"][0]["why"] == "yellow-2020-01 comes as yellow_tripdata_2020-01.txt now"
    assert not (loaded.data / RAW).exists()
    assert (loaded.data / RAW).with_suffix(".txt").exists()
    again = loaded.taxi("run", "--month", "2020-01", "--json")
    assert again.steps == [ALL_UP_TO_DATE]


def test_the_raw_file_of_an_earlier_source_stays_until_that_of_the_new_one_is_converted(loaded: Loaded) -> None:
    loaded.publisher.files["/yellow_tripdata_2020-01.txt"] = MONTH.read_bytes()[:20_000].replace(b"VendorID", b"Seller")
    other = loaded.publisher.url + "/{dataset}_tripdata_{month}.txt"
    assert loaded.taxi("run", "--month", "2020-01", "--source", other).code == 1
    assert removed(clean(loaded, "--orphans", "--yes")) == []
    assert (loaded.data / RAW).read_bytes() == MONTH.read_bytes()


def test_the_copy_of_a_file_of_ones_own_is_no_orphan_once_the_month_comes_from_elsewhere(
    taxi: Command, mine: Path, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.txt"] = MONTH.read_bytes().replace(b"2020-01-1", b"2020-01-2")
    mine.unlink()
    other = publisher.url + "/{dataset}_tripdata_{month}.txt"
    for _ in range(2):
        assert taxi("run", "--month", "2020-01", "--source", other, "--force").code == 0
    assert taxi("clean", "--orphans", "--yes", "--json").document["files"] == []
    assert (tmp_path / "data" / RAW).read_bytes() == MONTH.read_bytes()


def test_files_with_our_footer_in_folders_that_no_dataset_had_are_left_alone(loaded: Loaded, tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    for folder in (loaded.data / "parquet" / "mine", elsewhere):
        folder.mkdir(exist_ok=True)
        shutil.copy(loaded.data / PARQUET, folder)
    (loaded.data / "parquet" / "archive").symlink_to(elsewhere)
    shutil.copytree(loaded.data / "lake" / "yellow", loaded.data / "lake" / "mine")
    shutil.copytree(loaded.data / "lake.marks" / "yellow", loaded.data / "lake.marks" / "mine")
    before = tree(loaded.data), tree(elsewhere)
    assert removed(clean(loaded, "--orphans", "--yes")) == []
    assert (tree(loaded.data), tree(elsewhere)) == before
    assert (loaded.data / "parquet" / "archive").is_symlink()


def test_what_lies_behind_a_link_in_the_place_of_a_lost_dataset_is_left_alone(loaded: Loaded, tmp_path: Path) -> None:
    retired(loaded.data)
    for kind in ("raw", "parquet", "rejects", "lake"):
        (loaded.data / kind / "purple").rename(tmp_path / kind)
        (loaded.data / kind / "purple").symlink_to(tmp_path / kind)
    before = [tree(tmp_path / kind) for kind in ("raw", "parquet", "rejects", "lake")]
    assert all(name.startswith("state/receipts/") for name in removed(clean(loaded, "--orphans", "--yes")))
    assert [tree(tmp_path / kind) for kind in ("raw", "parquet", "rejects", "lake")] == before
    assert all((loaded.data / kind / "purple").is_symlink() for kind in ("raw", "parquet", "rejects", "lake"))


DAY = 86_400


@pytest.mark.parametrize(("name", "days", "orphan"), [
    ("raw/yellow/yellow_tripdata_2020-02.csv.gz.part", DAYS_KEPT - 1, False),
    ("raw/yellow/yellow_tripdata_2020-02.csv.gz.part", DAYS_KEPT + 1, True),
    ("raw/yellow/yellow_tripdata_2020-02.csv.gz.part.json", DAYS_KEPT + 1, True),
    ("raw/yellow/.yellow_tripdata_2020-02.csv.abcdefgh.tmp", 0, True),
    ("rejects/yellow/yellow_tripdata_2020-01.csv", 1, True),
    ("rejects/yellow/yellow_tripdata_2020-01.csv", 0, False),
    ("raw/yellow/yellow_tripdata_2020-02.csv", 9, False),
    ("raw/yellow/photo.jpg", 9, False),
    ("raw/yellow/yellow_tripdata_2020-13.csv", 9, False),
    ("parquet/yellow/yellow_tripdata_2020-02.parquet", 9, False),
    ("parquet/yellow/my_own.parquet", 9, False),
    ("lake/mine/own.parquet", 9, False),
    ("lake/yellow/own.parquet", 9, False),
    ("elsewhere/a.csv", 9, False),
    ("raw/yellow/yellow_tripdata_2020-01.csv.gz", 0, True),
    ("raw/yellow/yellow_tripdata_2020-01.notes.txt", 99, False),
    ("raw/yellow/yellow_tripdata_2020-01.xlsx", 99, False),
    ("raw/yellow/yellow_tripdata_2020-01.csv.gz.bak", 99, False),
    ("raw/yellow/yellow_tripdata_2020-02.notes.txt.part", 99, False),
    ("parquet/mine/.draft.abcdefgh.tmp", 99, False),
])  # fmt: skip
def test_only_what_a_run_left_is_an_orphan(loaded: Loaded, name: str, days: int, orphan: bool) -> None:
    path = loaded.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"line,reason,raw\n1,why,what\n")
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    ran = clean(loaded, "--orphans", "--yes")
    assert (removed(ran), path.exists()) == ([name] if orphan else [], not orphan)


@pytest.mark.parametrize("name", ["a\nb.parquet", "a\x1bb.parquet", "a\\b.parquet"])
def test_a_name_that_no_object_can_have_is_somebody_elses(loaded: Loaded, name: str) -> None:
    theirs = loaded.data / "lake" / "other" / name
    theirs.parent.mkdir()
    theirs.touch()
    unfinished = loaded.data / "raw" / "yellow" / ".a.parquet.abcdefgh.tmp"
    unfinished.touch()
    ran = clean(loaded, "--orphans", "--yes")
    assert (removed(ran), ran.document["unknown"]) == ([f"raw/yellow/{unfinished.name}"], [str(theirs)])
    assert (theirs.exists(), unfinished.exists()) == (True, False)


def test_a_data_directory_that_lost_its_state_has_no_orphans(loaded: Loaded) -> None:
    """Store and table prove the months to the next run, so nothing of them may go."""
    shutil.rmtree(loaded.data / "state")
    before = tree(loaded.data)
    assert removed(clean(loaded, "--orphans", "--yes")) == []
    after = {name: content for name, content in tree(loaded.data).items() if not name.startswith("state")}
    assert after == before
    assert loaded.run().steps[0]["load"] == "up_to_date"


def test_links_and_a_store_elsewhere_are_left_alone(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    store = tmp_path / "shared lake"
    run = ("run", "--month", "2020-01", "--source", publisher.template, "--store", str(store))
    assert taxi(*run).code == 0
    (store / "yellow").rename(store / "purple")
    link = tmp_path / "data" / "raw" / "yellow" / "yellow_tripdata_2020-01.csv.gz"
    link.symlink_to(tmp_path / "data" / RAW)
    ran = taxi("clean", "--orphans", "--yes", "--store", str(store), "--json")
    assert (ran.document["files"], link.is_symlink()) == ([], True)
    assert len(list((store / "purple").iterdir())) >= 1
