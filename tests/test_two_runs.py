"""Two runs at once: one works, the other ends 75 or waits, whoever started them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MONTH, REPOSITORY, Command, Publisher, answer, query, serve

TRIES = int(os.environ.get("TAXI_TRIES", "6"))
"""How often each pair is tried; a hundred by hand takes a few minutes."""

CLI = [sys.executable, "-m", "taxi_ingest", "run", "--month", "2020-01"]
DOIT = [sys.executable, "-m", "doit", "-f", str(REPOSITORY / "dodo.py"), "month=2020-01", "load"]


def together(first: list[str], second: list[str], folder: Path, source: str) -> list[int]:
    """Start two runs at once and return their exit codes."""
    environment = os.environ | {
        "TAXI_INGEST_GLOBAL__DATA_DIR": str(folder),
        "TAXI_INGEST_GLOBAL__SOURCE": source,
    }
    started = [
        subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in (first, second)
    ]
    return [one.wait(timeout=60) for one in started]


@pytest.mark.parametrize(("first", "second"), [(CLI, CLI), (CLI, DOIT), (DOIT, DOIT)], ids=["cli", "mixed", "doit"])
def test_of_two_runs_started_together_one_works_and_one_ends_75(
    publisher: Publisher, tmp_path: Path, first: list[str], second: list[str]
) -> None:
    # the publisher answers only when the other run has given up, so that the two always overlap
    def patient(to: object) -> None:
        import time

        time.sleep(1.5)
        serve(to, MONTH.read_bytes())  # type: ignore[arg-type]

    publisher.files["/yellow_tripdata_2020-01.csv"] = patient
    for number in range(TRIES):
        folder = tmp_path / str(number)
        codes = together(first, second, folder, publisher.template)
        assert sorted(codes) == [0, 75]
        assert query(folder / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]
    assert len(publisher.requests) == TRIES


def test_with_wait_the_second_run_waits_and_finds_nothing_to_do(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    for number in range(TRIES):
        folder = tmp_path / str(number)
        assert together([*CLI, "--wait"], [*CLI, "--wait"], folder, publisher.template) == [0, 0]
        assert query(folder / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]
    assert len(publisher.requests) == TRIES


def test_looking_does_not_keep_a_run_from_starting(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    publisher.files["/yellow_tripdata_2020-02.csv"] = lambda to: answer(to, 404, b"")
    taxi("run", "--month", "2020-01", "--source", publisher.template)
    lookers = [
        subprocess.Popen([sys.executable, "-m", "taxi_ingest", "status"], cwd=tmp_path, stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]
    codes = [taxi("run", "--month", "2020-01", "--source", publisher.template).code for _ in range(3)]
    assert [looker.wait(timeout=60) for looker in lookers] == [0] * 4
    assert codes == [0] * 3
