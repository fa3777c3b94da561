"""A data directory that tasks share with the command line: who is at work keeps the other out. Needs no Airflow."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import MONTH, Command, Publisher

from taxi_ingest import exits
from taxi_ingest.airflow.places import STEPWISE, Site
from taxi_ingest.airflow.working import Asked, work
from taxi_ingest.catalog import Part
from taxi_ingest.engine.lock import locked, locked_part
from taxi_ingest.layout import Layout

PART, OTHER = Part("yellow", "2020-01"), Part("yellow", "2019-02")


class Shared:
    """A data directory, and a run of the command line there for another part than that of the task."""

    def __init__(self, folder: Path, publisher: Publisher) -> None:
        for part in (PART, OTHER):
            name = f"yellow_tripdata_{part.month}"
            publisher.files[f"/{name}.csv"] = MONTH.with_stem(name).read_bytes()
        self.layout = Layout(folder / "data")
        self.site = Site({"global": {"source": publisher.template}}, shared=str(folder / "data"), separate=False)
        self.run = ("run", "--month", "2019-02", "--source", publisher.template)


@pytest.fixture
def shared(tmp_path: Path, publisher: Publisher) -> Shared:
    return Shared(tmp_path, publisher)


def test_a_run_leaves_what_a_task_is_writing_and_says_who_is_at_work(shared: Shared, taxi: Command) -> None:
    with locked_part(shared.layout, PART):
        written = shared.layout.parquet(PART).with_name(".yellow_tripdata_2020-01.parquet.abcdefgh.tmp")
        written.parent.mkdir(parents=True)
        written.write_text("half a file")
        refused = taxi(*shared.run)
        assert (refused.code, written.exists()) == (exits.LOCKED, True), refused.err
    assert "Another engine is at work" in refused.err
    assert "yellow-2020-01" in refused.err


@pytest.mark.parametrize("verb", [["verify"], ["clean", "--raw", "--yes"]])
def test_no_verb_changes_files_while_a_task_is_at_work(shared: Shared, taxi: Command, verb: list[str]) -> None:
    taxi(*shared.run)
    with locked_part(shared.layout, PART):
        assert taxi(*verb, "--month", "2019-02").code == exits.LOCKED


def test_a_run_that_waits_begins_when_the_task_has_ended(shared: Shared, tmp_path: Path) -> None:
    with locked_part(shared.layout, PART):
        command = [sys.executable, "-m", "taxi_ingest", *shared.run, "--wait"]
        run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert run.stdout is not None
        assert b"another engine is at work" in run.stdout.readline()
        assert not shared.layout.raw(OTHER, ".csv").exists()
    run.communicate(timeout=60)
    assert (run.returncode, shared.layout.raw(OTHER, ".csv").exists()) == (0, True)


def test_a_task_begins_when_a_run_has_ended(shared: Shared) -> None:
    def download() -> None:
        work(shared.site, PART, STEPWISE[0], Asked(), record=lambda job: None)

    shared.layout.state.mkdir(parents=True)
    with locked(shared.layout.outer_lock, wait=False):
        task = threading.Thread(target=download)
        task.start()
        task.join(1.5)
        assert (task.is_alive(), shared.layout.raw(PART, ".csv").exists()) == (True, False)
    task.join(60)
    assert shared.layout.raw(PART, ".csv").exists()
