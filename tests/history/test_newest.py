"""Asking for the newest runs costs the same however many there are."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from taxi_ingest.catalog import Part
from taxi_ingest.history.reading import PastRuns
from taxi_ingest.history.schema import open_for_reading
from taxi_ingest.history.writing import History

RUNS = 40


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "history.sqlite"
    for number in range(RUNS):
        with contextlib.closing(History(path, tmp_path / "logs")) as history:
            history.begin(f"run {number}", "0")
            history.end({(Part("yellow", "2021-01"), "download"): "done"}, number % 2)
    return path


def questions(db: sqlite3.Connection, count: int, *, failed: bool) -> tuple[list[str], int]:
    """The requests of the newest runs, and how many statements that took."""
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    requests = [run.request for run in PastRuns(db, at_work=False).newest(count, failed=failed)]
    db.set_trace_callback(None)
    return requests, len(asked)


@pytest.mark.parametrize("failed", [False, True])
def test_only_the_runs_that_are_shown_are_looked_at(database: Path, failed: bool) -> None:
    with contextlib.closing(open_for_reading(database)) as db:
        requests, few = questions(db, 3, failed=failed)
        everything, many = questions(db, 0, failed=failed)
    assert requests == everything[:3]
    assert len(everything) == (RUNS // 2 if failed else RUNS)
    assert few < many / 5


def test_a_run_is_found_by_the_beginning_of_its_name(database: Path) -> None:
    with contextlib.closing(open_for_reading(database)) as db:
        past = PastRuns(db, at_work=False)
        newest = past.newest(1)[0]
        assert past.named("latest") == past.named(newest.run) == newest
