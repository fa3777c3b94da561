"""Older runs are folded: what was up to date is counted, and what the history shows stays what it was."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from taxi_ingest import exits
from taxi_ingest.catalog import Part
from taxi_ingest.graph import STEPS, Outcome, Step
from taxi_ingest.history import schema
from taxi_ingest.history.folding import LISTED_RUNS
from taxi_ingest.history.reading import PastRun, past_runs
from taxi_ingest.history.writing import History

PARTS = [Part("yellow", f"2020-{number:02}") for number in range(1, 13)] + [Part("zones")]
Ends = dict[tuple[Part, Step], Outcome]
ALL_UP_TO_DATE: Ends = {(part, step): "up_to_date" for part in PARTS for step in STEPS}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


def night(database: Path, ends: Ends) -> History:
    """One run, as a session records it; the history is closed."""
    with contextlib.closing(History(database, database.parents[1] / "logs")) as history:
        history.begin("run", "0")
        history.fold()
        history.end(ends, exits.FAILED if "failed" in ends.values() else exits.OK)
    return history


def nights(database: Path, count: int) -> None:
    for _ in range(count):
        night(database, ALL_UP_TO_DATE)


def newest(database: Path, count: int = 0) -> list[PastRun]:
    with past_runs(database, at_work=False) as past:
        return past.newest(count)


def listed(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as db:
        return int(db.execute("SELECT count(*) FROM outcomes").fetchone()[0])


def failures(database: Path, part: Part, step: Step) -> int:
    with contextlib.closing(History(database, database.parents[1] / "logs")) as history:
        return history.failures(part, step).runs


def test_only_the_newest_runs_list_what_was_up_to_date(database: Path) -> None:
    nights(database, LISTED_RUNS + 20)
    assert listed(database) == LISTED_RUNS * len(ALL_UP_TO_DATE)


def test_every_run_keeps_its_numbers_of_parts_and_outcomes(database: Path) -> None:
    nights(database, LISTED_RUNS + 20)
    assert {(run.parts, run.outcomes["up_to_date"], len(run.outcomes)) for run in newest(database)} == {
        (len(PARTS), len(ALL_UP_TO_DATE), 1)
    }


def test_an_older_run_lists_how_each_step_ended_that_was_more_than_up_to_date(database: Path) -> None:
    of_interest: Ends = {(PARTS[0], "download"): "done", (PARTS[1], "load"): "failed", (PARTS[2], "load"): "blocked"}
    night(database, ALL_UP_TO_DATE | of_interest)
    nights(database, LISTED_RUNS + 1)
    with past_runs(database, at_work=False) as past:
        oldest = past.newest(0)[-1]
        assert {(part, step): how for part, step, how in past.outcomes(oldest)} == of_interest
    counted = {"done": 1, "failed": 1, "blocked": 1, "up_to_date": len(ALL_UP_TO_DATE) - 3}
    assert (oldest.parts, oldest.outcomes) == (len(PARTS), counted)


def test_failures_in_a_row_end_at_a_run_that_was_folded(database: Path) -> None:
    failed: Ends = ALL_UP_TO_DATE | {(PARTS[0], "load"): "failed"}
    for ends in (failed, failed, ALL_UP_TO_DATE, failed):
        night(database, ends)
    others: Ends = {key: how for key, how in ALL_UP_TO_DATE.items() if key != (PARTS[0], "load")}
    for _ in range(LISTED_RUNS + 5):  # runs of other parts, which tell nothing of that step
        night(database, others)
    assert failures(database, PARTS[0], "load") == 1


def test_a_run_that_was_killed_is_not_folded(database: Path) -> None:
    with contextlib.closing(History(database, database.parents[1] / "logs")) as history:
        history.begin("run", "0")
    nights(database, LISTED_RUNS + 5)
    assert newest(database)[-1].state == "interrupted"
    with contextlib.closing(sqlite3.connect(database)) as db:
        ((killed,),) = db.execute("SELECT count(*) FROM runs WHERE ended IS NULL").fetchall()
        ((folded,),) = db.execute("SELECT count(*) FROM folded JOIN runs USING (run) WHERE ended IS NULL").fetchall()
    assert (killed, folded) == (1, 0)


def test_a_history_of_an_earlier_version_is_read_as_it_is(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database.parent.mkdir()
    with contextlib.closing(sqlite3.connect(database)) as db:
        for statements in schema.MIGRATIONS[:3]:
            db.executescript(statements)
        db.execute("PRAGMA user_version = 3")
        db.execute("INSERT INTO runs VALUES ('r1', '2026-01-01T00:00:00.000+00:00', NULL, 1, '0', 'run', NULL)")
        db.execute("INSERT INTO outcomes VALUES ('r1', 'zones', NULL, 'load', 'up_to_date')")
        db.commit()
    assert [(run.parts, run.outcomes) for run in newest(database)] == [(1, {"up_to_date": 1})]
