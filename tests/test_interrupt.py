"""A run that is killed or stopped: what is finished stays finished, and the next run converges."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from conftest import Command

MONTHS = "2021-01..2021-06"
ROWS = 20_000
RUN = [sys.executable, "-m", "taxi_ingest", "run", "--source", "demo", "--month", MONTHS]


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "TAXI_INGEST_DEMO__ROWS": str(ROWS)}
    return subprocess.Popen(
        RUN,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - the test has one thread
    )


def heed_interrupts() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and so would all that is started from there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until_at_work(folder: Path) -> None:
    """Wait until the run has its lock and history, however busy the machine is."""
    give_up = time.monotonic() + 30
    while not (folder / "demo-data" / "state" / "history.sqlite").exists():
        assert time.monotonic() < give_up, "the run does not begin"
        time.sleep(0.02)


def months_loaded(folder: Path) -> list[int]:
    with duckdb.connect(str(folder / "demo-data" / "taxi.duckdb"), read_only=True) as db:
        return [n for (n,) in db.execute("SELECT count(*) FROM yellow_tripdata GROUP BY file_month").fetchall()]


def test_runs_killed_at_any_moment_converge_to_every_row_once(taxi: Command, tmp_path: Path) -> None:
    moments = random.Random(7)
    for _ in range(6):
        with start(tmp_path) as child:
            time.sleep(moments.uniform(0.3, 2.0))
            child.send_signal(signal.SIGKILL)
    last = taxi("run", "--source", "demo", "--month", MONTHS, "--json", TAXI_INGEST_DEMO__ROWS=str(ROWS))
    assert last.code == 0, last.err
    assert months_loaded(tmp_path) == [ROWS] * 6
    again = taxi("run", "--source", "demo", "--month", MONTHS, "--json", TAXI_INGEST_DEMO__ROWS=str(ROWS))
    assert {outcome for steps in again.steps for outcome in steps.values()} == {"up_to_date"}


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_130_within_two_seconds(tmp_path: Path, signal_number: signal.Signals) -> None:
    with start(tmp_path) as child:
        wait_until_at_work(tmp_path)
        time.sleep(1.0)
        child.send_signal(signal_number)
        stopped = time.monotonic()
        _, err = child.communicate(timeout=20)
        took = time.monotonic() - stopped
    assert (child.returncode, took < 2) == (130, True), (took, err)
    assert "interrupted" in err


def test_a_stopped_run_is_closed_in_the_history_and_lets_the_lock_go(taxi: Command, tmp_path: Path) -> None:
    with start(tmp_path) as child:
        wait_until_at_work(tmp_path)
        time.sleep(1.0)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=20)
    assert taxi("download", "--source", "demo", "--month", "2021-01", TAXI_INGEST_DEMO__ROWS=str(ROWS)).code == 0
    with sqlite3.connect(tmp_path / "demo-data" / "state" / "history.sqlite") as db:
        assert db.execute("SELECT exit FROM runs ORDER BY started").fetchall() == [(130,), (0,)]
        assert db.execute("SELECT count(*) FROM attempts WHERE outcome = 'running'").fetchall() == [(0,)]
