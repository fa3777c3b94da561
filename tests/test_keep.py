"""`keep`: what a run was not told to keep leaves the disk once it is used, and counts as done."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from cleaning import PARQUET, RAW, tree
from conftest import ALL_UP_TO_DATE, MONTH, Command, Loaded, Publisher


@pytest.mark.parametrize(
    ("keep", "raw", "parquet"),
    [("raw,parquet", True, True), ("parquet", False, True), ("raw", True, False), ("", False, False)],
)
def test_a_run_leaves_what_keep_names(
    taxi: Command, publisher: Publisher, tmp_path: Path, keep: str, raw: bool, parquet: bool
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    arguments = ("run", "--month", "2020-01", "--source", publisher.template, "--json")
    first = taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP=keep)
    assert (first.code, set(first.steps[0].values())) == (0, {"done"}), first.err
    data = tmp_path / "data"
    assert ((data / RAW).exists(), (data / PARQUET).exists()) == (raw, parquet)
    again = taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP=keep)
    assert (again.steps, len(publisher.requests)) == ([ALL_UP_TO_DATE], 1)
    forced = taxi(*arguments, "--force", TAXI_INGEST_GLOBAL__KEEP=keep)
    assert (forced.code, set(forced.steps[0].values())) == (0, {"done"}), forced.err
    assert ((data / RAW).exists(), (data / PARQUET).exists()) == (raw, parquet)


def test_what_a_run_was_not_to_keep_counts_as_done_when_all_is_kept_again(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    arguments = ("run", "--month", "2020-01", "--source", publisher.template, "--json")
    assert taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP="").code == 0
    assert (taxi(*arguments).steps, len(publisher.requests)) == ([ALL_UP_TO_DATE], 1)
    assert not (tmp_path / "data" / PARQUET).exists()


def test_a_run_removes_nothing_that_an_earlier_one_kept(loaded: Loaded) -> None:
    before = tree(loaded.data / "raw") | tree(loaded.data / "parquet")
    assert loaded.run(TAXI_INGEST_GLOBAL__KEEP="").code == 0
    assert tree(loaded.data / "raw") | tree(loaded.data / "parquet") == before


def test_what_is_asked_for_stays_until_a_later_step_has_used_it(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    data, there = tmp_path / "data", []
    for verb in ("download", "parquetize", "upload", "load"):
        arguments = (verb, "--month", "2020-01", "--source", publisher.template)
        assert taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP="").code == 0
        there.append(((data / RAW).exists(), (data / PARQUET).exists()))
    assert there == [(True, False), (False, True), (False, True), (False, False)]
    assert len(publisher.requests) == 1


def test_a_file_that_cannot_be_converted_stays_whatever_keep_says(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes().replace(b"VendorID", b"Seller")
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, TAXI_INGEST_GLOBAL__KEEP="")
    assert (ran.code, (tmp_path / "data" / RAW).exists()) == (1, True)


def test_what_a_killed_run_did_not_remove_goes_with_the_next(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    killer = tmp_path / "killer"
    killer.mkdir()
    (killer / "sitecustomize.py").write_text(KILLED_AT_RAW)
    arguments = ("run", "--month", "2020-01", "--source", publisher.template, "--json")
    killed = taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP="", PYTHONPATH=str(killer))
    data = tmp_path / "data"
    assert (killed.code, (data / RAW).exists(), (data / PARQUET).exists()) == (-signal.SIGKILL, True, True)
    assert taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP="").code == 0
    assert ((data / RAW).exists(), (data / PARQUET).exists(), len(publisher.requests)) == (False, False, 1)


KILLED_AT_RAW = """
import os, signal, sys
def hook(event, arguments):
    if event == "os.remove" and str(arguments[0]).endswith("2020-01.csv") and "/raw/" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""
