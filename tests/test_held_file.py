"""The DuckDB file is open in another program, such as a notebook: waited for once a run, and only loads fail of it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import MONTH, Command, Publisher, query

MONTHS = ("2020-01", "2020-02", "2020-03")


@contextlib.contextmanager
def holding(file: Path, seconds: float = 600) -> Iterator[None]:
    """Another program that has `file` open."""
    code = f"import duckdb, time; c = duckdb.connect({str(file)!r}); print('held', flush=True); time.sleep({seconds})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.terminate()


@pytest.fixture
def months(publisher: Publisher, taxi: Command, tmp_path: Path) -> list[str]:
    """What to type for three months, the first of which is loaded."""
    for month in MONTHS:
        publisher.files[f"/yellow_tripdata_{month}.csv"] = MONTH.read_bytes()
    first = taxi("run", "--month", MONTHS[0], "--source", publisher.template)
    assert first.code == 0, first.err
    return ["--month", f"{MONTHS[0]}..{MONTHS[-1]}", "--source", publisher.template]


def test_a_file_that_stays_held_fails_every_load_after_one_wait(
    taxi: Command, months: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "data" / "taxi.duckdb"
    with holding(file):
        begun = time.monotonic()
        ran = taxi("run", *months, "--json")
        waited = time.monotonic() - begun
    done = dict.fromkeys(("download", "parquetize", "upload"), "done") | {"load": "failed"}
    assert (ran.code, ran.steps) == (1, [dict.fromkeys(done, "up_to_date") | {"load": "failed"}, done, done])
    assert 30 <= waited < 45
    assert ran.err.count(f"waiting up to 30 s for {file}, which another program has open") == 1
    assert re.search(r"which another program has open \(.+, process \d+\)", ran.err)
    assert ran.err.count("load: failed: duckdb:") == 3
    assert "Try 2 of" not in ran.err
    attempts = taxi("history", "latest", "--json").document["attempts"]
    failed = [(one["step"], one["attempt"]) for one in attempts if one["outcome"] == "failed"]
    assert failed == [("load", 1)] * 3
    assert all("held by another program" in one["error"] for one in attempts if one["outcome"] == "failed")
    again = taxi("run", *months, "--json")
    assert [steps["load"] for steps in again.steps] == ["up_to_date", "done", "done"]
    assert query(file, "SELECT count(*) FROM yellow_tripdata") == [(3 * 999,)]


def test_a_file_that_is_let_go_is_waited_for(taxi: Command, months: list[str], tmp_path: Path) -> None:
    with holding(tmp_path / "data" / "taxi.duckdb", seconds=8):
        ran = taxi("run", *months, "--json")
    assert (ran.code, [steps["load"] for steps in ran.steps]) == (0, ["up_to_date", "done", "done"]), ran.err
    assert ran.err.count("waiting up to 30 s") == 1


def test_who_only_looks_does_not_wait(taxi: Command, months: list[str], tmp_path: Path) -> None:
    with holding(tmp_path / "data" / "taxi.duckdb"):
        begun = time.monotonic()
        status = taxi("status", "--json")
        plan = taxi("plan", *months, "--json")
        doctor = taxi("doctor")
        assert time.monotonic() - begun < 15
    assert status.document["parts"][0]["load"]["state"] == "done"
    assert [part["steps"]["load"]["action"] for part in plan.document["parts"]] == ["maybe"] * 3
    assert "another program has it open" in plan.document["parts"][0]["steps"]["load"]["why"]
    assert [part["steps"]["download"]["action"] for part in plan.document["parts"]] == ["up_to_date", "run", "run"]
    assert (doctor.code, "held by another program" in doctor.out) == (1, True)


def test_a_file_that_is_no_database_is_refused_at_once(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    file = tmp_path / "blocks" / "lock.duckdb"
    file.parent.mkdir()
    file.write_text("not a database\n" * 500)
    begun = time.monotonic()
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, "--warehouse", f"duckdb:{file}")
    assert (ran.code, ran.err.count("cannot be opened as a DuckDB file")) == (1, 1), ran.out + ran.err
    assert ("waiting" in ran.out, "download" in ran.out) == (False, False)
    assert time.monotonic() - begun < 15
