"""The history: written as it happens, and true after a kill."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from taxi_ingest.catalog import Part
from taxi_ingest.errors import NotPublishedError
from taxi_ingest.history import Attempt
from taxi_ingest.history.writing import History, log

PART = Part("yellow", "2021-01")
TRY = Attempt(PART, "download", 1, "not downloaded yet")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


@pytest.fixture
def history(database: Path, tmp_path: Path) -> Any:
    history = History(database, tmp_path / "logs")
    history.begin("run --month 2021-01", "0.1.0")
    yield history
    history.close()


def attempts(database: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(database) as db:
        return db.execute("SELECT dataset, month, step, attempt, outcome, why, rows, error FROM attempts").fetchall()


def test_a_finished_attempt_is_recorded_with_its_rows(history: History, database: Path) -> None:
    with history.attempt(TRY) as record:
        record.rows = 7
    assert attempts(database) == [("yellow", "2021-01", "download", 1, "done", "not downloaded yet", 7, None)]


def test_an_attempt_is_there_while_it_runs(history: History, database: Path) -> None:
    with history.attempt(TRY):
        assert attempts(database)[0][4] == "running"


@pytest.mark.parametrize(
    ("error", "outcome"), [(ValueError("broken"), "failed"), (NotPublishedError("wait"), "not_published")]
)
def test_an_error_is_recorded_as_it_passes(history: History, database: Path, error: Exception, outcome: str) -> None:
    with pytest.raises(type(error)), history.attempt(TRY):
        raise error
    assert (attempts(database)[0][4], attempts(database)[0][7]) == (outcome, str(error))


def test_what_a_killed_run_left_open_reads_interrupted(history: History, database: Path, tmp_path: Path) -> None:
    manager = history.attempt(TRY)
    manager.__enter__()
    later = History(database, tmp_path / "logs")
    later.begin("run", "0.1.0")
    assert attempts(database)[0][4] == "interrupted"
    later.close()


def test_each_attempt_has_its_own_log_file(history: History, tmp_path: Path) -> None:
    with history.attempt(TRY):
        log.warning("one thing")
    with history.attempt(Attempt(PART, "download", 2, "again")):
        log.warning("another")
    texts = [path.read_text() for path in sorted((tmp_path / "logs" / history.run).iterdir())]
    assert ["one thing" in texts[0], "another" in texts[0], "another" in texts[1]] == [True, False, True]


def test_outcomes_are_kept_when_the_run_ends(history: History, database: Path) -> None:
    history.end({(PART, "download"): "done", (PART, "parquetize"): "blocked"}, 1)
    with sqlite3.connect(database) as db:
        assert db.execute("SELECT step, outcome FROM outcomes").fetchall() == [
            ("download", "done"),
            ("parquetize", "blocked"),
        ]
        assert db.execute("SELECT exit FROM runs").fetchall() == [(1,)]


def test_runs_of_one_second_that_draw_the_same_digits_get_different_ids(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = itertools.chain(["ab12"] * 5, itertools.count(1000))
    monkeypatch.setattr(secrets, "token_hex", lambda size: str(next(digits)))
    ids = set()
    for _ in range(3):
        with contextlib.closing(History(database, tmp_path / "logs")) as history:
            ids.add(history.begin("run", "0"))
    with contextlib.closing(sqlite3.connect(database)) as db:
        assert {run for (run,) in db.execute("SELECT run FROM runs")} == ids
    assert (len(ids), list(database.parent.glob("*.damaged-*"))) == (3, [])
