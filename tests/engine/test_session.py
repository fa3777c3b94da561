"""One run as an object: the lock, the outcomes, the exit code."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from conftest import DATA

from taxi_ingest import exits, settings
from taxi_ingest.catalog import Part
from taxi_ingest.engine import doit_tasks
from taxi_ingest.engine.lock import is_locked
from taxi_ingest.engine.session import Session
from taxi_ingest.errors import LockedError, TransientError, UsageError
from taxi_ingest.graph import STEPS, Outcome, Step
from taxi_ingest.job import make_job
from taxi_ingest.warehouses import Options


class Heard:
    """A view that remembers how steps ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[Part, Step, Outcome]] = []

    def begun(self, steps: int) -> None:
        self.steps = steps

    def started(self, part: Part, step: Step, why: str) -> None: ...
    def expects(self, part: Part, step: Step, amount: int) -> None: ...
    def moved(self, part: Part, step: Step, amount: int) -> None: ...
    def noted(self, sentence: str) -> None: ...

    def retrying(self, part: Part, step: Step, message: str, seconds: float) -> None: ...

    def waiting(self, message: str) -> None: ...

    def ended(self, part: Part, step: Step, outcome: Outcome, message: str) -> None:
        self.ends.append((part, step, outcome))


def session_in(folder: Path, month: str = "2020-01", source: str = f"file://{DATA}") -> Session:
    template = source if source == "demo" else f"{source}/{{dataset}}_tripdata_{{month}}.csv"
    given = {"shared.month": month, "global.source": template, "global.data_dir": str(folder / "data")}
    job, _ = make_job(settings.read(given), verb="run")
    return Session(job, Heard(), f"run --month {month}", wait=False)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = session_in(tmp_path)
    session.begin()
    yield session
    session.end()


def test_a_session_writes_nothing_before_it_begins(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    assert session.decision(session.job.parts[0], "download").action == "run"
    assert not (tmp_path / "data").exists()


def test_every_step_ends_with_an_outcome_that_the_view_hears(session: Session) -> None:
    (part,) = session.job.parts
    assert [session.do(part, step) for step in STEPS] == [""] * 4
    assert isinstance(session.view, Heard)
    assert session.view.ends == [(part, step, "done") for step in STEPS]
    assert (session.exit_code(), session.results()[0].rows) == (exits.OK, 999)


def test_a_failure_is_kept_and_blocks_what_needs_it(tmp_path: Path) -> None:
    session = session_in(tmp_path, "2020-02")
    session.begin()
    (part,) = session.job.parts
    assert "There is no file" in session.do(part, "download")
    session.blocked(part, "parquetize")
    session.end()
    assert list(session.outcomes.values()) == ["failed", "blocked"]
    assert session.exit_code() == exits.FAILED


def test_a_second_session_is_refused_while_one_is_open(session: Session, tmp_path: Path) -> None:
    with pytest.raises(LockedError):
        session_in(tmp_path).begin()
    assert is_locked(session.job.layout.lock)


def test_the_lock_is_released_at_the_end(tmp_path: Path) -> None:
    for _ in range(2):
        session = session_in(tmp_path)
        session.begin()
        session.end()
    assert not is_locked(session.job.layout.lock)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("a bug"), exits.BUG),
        (UsageError("no sense"), exits.USAGE),
        (TransientError("gone for the moment"), exits.FAILED),
        (OSError(errno.ENOSPC, "no room"), exits.FAILED),
        (KeyboardInterrupt(), exits.INTERRUPTED),
    ],
)
def test_a_run_that_an_error_ended_before_its_first_step_is_no_success_in_the_history(
    session: Session, error: BaseException, code: int
) -> None:
    class Broken(Heard):
        def begun(self, steps: int) -> None:
            raise error

    session.end()
    with pytest.raises(type(error)):
        doit_tasks.run(Session(session.job, Broken(), "run", wait=False))
    with sqlite3.connect(session.job.layout.history) as db:
        assert db.execute("SELECT exit FROM runs ORDER BY started DESC LIMIT 1").fetchall() == [(code,)]


def test_a_job_of_another_warehouse_stays_recorded(session: Session, tmp_path: Path) -> None:
    history = session.job.layout.history
    session.do(session.job.parts[0], "download")
    session.end()
    with sqlite3.connect(history) as db:
        db.execute("UPDATE attempts SET outcome = 'interrupted', jobs = 'project:EU.taxi_ingest_1'")
    later = session_in(tmp_path)
    later.begin()
    later.end()
    with sqlite3.connect(history) as db:
        assert db.execute("SELECT settled FROM attempts").fetchall() == [(0,)]


def test_the_demo_stays_out_of_a_table_that_could_not_be_asked_at_first(session: Session, tmp_path: Path) -> None:
    for step in STEPS:
        session.do(session.job.parts[0], step)
    session.end()
    demo = session_in(tmp_path, "2020-02", source="demo")
    demo.job = replace(demo.job, warehouse_options=Options(lock_timeout=0))
    file = session.job.layout.duckdb
    code = f"import duckdb, sys; c = duckdb.connect({str(file)!r}); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        demo.begin()
        (part,) = demo.job.parts
        assert [demo.do(part, step) for step in STEPS[:3]] == [""] * 3
        assert "held by another program" in demo.do(part, "load")
        holder.terminate()
    assert "holds real months" in demo.do(part, "load")
    demo.end()
    with duckdb.connect(str(file)) as db:
        assert db.execute("SELECT count(*) FROM yellow_tripdata").fetchall() == [(999,)]


def test_the_demo_stays_out_of_a_table_of_real_months(session: Session, tmp_path: Path) -> None:
    for step in STEPS:
        session.do(session.job.parts[0], step)
    session.end()
    demo = session_in(tmp_path, source="demo")
    with pytest.raises(UsageError, match="holds real months"):
        demo.begin()
    demo.end()
