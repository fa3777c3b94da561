"""What doit says to what cannot be done, with the dodo file and without a clone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, process, query

DODO = [sys.executable, "-m", "doit", "-f", str(REPOSITORY / "dodo.py")]
MODULE = [sys.executable, "-m", "taxi_ingest.dodo"]
WAYS = pytest.mark.parametrize("way", [DODO, MODULE], ids=["dodo.py", "module"])

DEMO = {"TAXI_INGEST_GLOBAL__SOURCE": "demo", "TAXI_INGEST_DEMO__ROWS": "100"}


def typed(way: list[str], *words: str) -> list[str]:
    """A command line; doit takes `-f` after its command."""
    program, options = way[:3], way[3:]
    return [*program, words[0], *options, *words[1:]] if options else [*program, *words]


@WAYS
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["list", "month=2021-13"], "'2021-13' is not a month"),
        (["list", "dataset=yelow"], "Did you mean yellow?"),
        (["forget"], "taxi-ingest STEP --force"),
        (["reset-dep"], "taxi-ingest verify"),
        (["strace", "load"], "not supported"),
        (["ignore", "load"], "not supported"),
    ],
)
def test_what_cannot_be_done_is_answered_in_one_sentence(
    tmp_path: Path, way: list[str], words: list[str], sentence: str
) -> None:
    ran = process(typed(way, *words), tmp_path)
    assert (ran.code, ran.err.count("\n"), sentence in ran.err) == (2, 1, True), ran.err


@pytest.mark.parametrize("words", [["forget"], ["strace", "load"], ["reset-dep"], ["ignore", "load"]])
def test_options_before_the_command_hide_it_from_nobody(tmp_path: Path, words: list[str]) -> None:
    ran = process([*DODO, "-d", str(tmp_path), *words], tmp_path)
    assert (ran.code, ran.err.count("\n"), ran.out) == (2, 1, ""), ran.err


def test_dumpdb_in_the_folder_of_the_dodo_file_has_nothing_to_show() -> None:
    ran = process([*DODO[:3], "dumpdb"], REPOSITORY)
    assert (ran.code, "receipts are the state" in ran.err, ran.err.count("\n")) == (2, True, 1), ran.err


def test_dumpdb_has_nothing_to_show(tmp_path: Path) -> None:
    ran = process([*MODULE, "dumpdb"], tmp_path)
    assert (ran.code, "receipts are the state" in ran.err, "Traceback" in ran.err) == (2, True, False)


def test_the_package_brings_a_way_to_doit_without_a_clone(tmp_path: Path) -> None:
    ran = process([*MODULE, "month=2021-02", "load"], tmp_path, DEMO)
    assert ran.code == 0, ran.err
    assert query(tmp_path / "demo-data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(100,)]
    listed = process([*MODULE, "list", "--all", "--status", "month=2021-02"], tmp_path, DEMO).out
    assert "U load:yellow-2021-02" in listed
