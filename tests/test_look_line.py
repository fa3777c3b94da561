"""The last line of a run opens the table, whatever the path of the file holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import Command, process

FOLDERS = [
    "o'brien", 'say "hi"', "$HOME", "`id`", "a\tb", "two\nlines", "with  spaces", "100% #1 & co;", "[1] *", "a:x:b",
    "é ü 日本", "-n", "~", "{x}", "!history", "a'\"'b", "$(touch pwned)",
]  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_line_opens_the_table(taxi: Command, tmp_path: Path, folder: str) -> None:
    ran = taxi("run", "--source", "demo", f"--data-dir={folder}", TAXI_INGEST_DEMO__ROWS="3")
    assert ran.code == 0, ran.err
    before, _, line = ran.out.rpartition("Look at it: ")
    assert line.endswith("\n")
    assert before.endswith("\n")
    looked = process(["sh", "-c", line], tmp_path / folder)
    assert (looked.code, "yellow" in looked.err, "VendorID" in looked.out) == (0, False, True), looked.err
    assert [path.name for path in tmp_path.iterdir()] == [folder]


def test_the_line_stays_whole_with_json_and_a_narrow_terminal(taxi: Command, tmp_path: Path) -> None:
    wide = "x" * 120
    arguments = ("--source", "demo", "--data-dir", wide, "--json")
    ran = taxi("run", *arguments, TAXI_INGEST_DEMO__ROWS="3", COLUMNS="40", FORCE_COLOR="1")
    line = ran.err.splitlines()[-1].removeprefix("Look at it: ")
    assert line.startswith(sys.executable)
    assert process(["sh", "-c", line], tmp_path).code == 0


def test_the_line_is_one_that_a_person_can_read(taxi: Command, tmp_path: Path) -> None:
    ran = taxi("run", "--source", "demo", TAXI_INGEST_DEMO__ROWS="3")
    database = tmp_path / "demo-data" / "taxi.duckdb"
    query = f"query --warehouse duckdb:{database} 'SELECT * FROM yellow_tripdata LIMIT 10'"
    assert ran.out.splitlines()[-1] == f"Look at it: {sys.executable} -m taxi_ingest {query}"


def test_the_line_names_the_program_as_it_was_typed(tmp_path: Path) -> None:
    """The quick start types `.venv/bin/taxi-ingest`, an installed command just its name."""
    script = Path(sys.executable).with_name("taxi-ingest")
    arguments = ["run", "--source", "demo"]
    rows = {"TAXI_INGEST_DEMO__ROWS": "3"}
    on_path = process(["taxi-ingest", *arguments], tmp_path, rows | {"PATH": f"{script.parent}:/usr/bin:/bin"})
    elsewhere = process([str(script), *arguments], tmp_path, rows | {"PATH": "/usr/bin:/bin"})
    lines = [ran.out.splitlines()[-1].removeprefix("Look at it: ") for ran in (on_path, elsewhere)]
    assert [line.partition(" query ")[0] for line in lines] == ["taxi-ingest", str(script)]
