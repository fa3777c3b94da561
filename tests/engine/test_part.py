"""One part through its steps: no task engine, no terminal, no lock."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from conftest import DATA, process, query

from taxi_ingest import settings
from taxi_ingest.engine.part import run_part
from taxi_ingest.errors import SourceError
from taxi_ingest.graph import STEPS
from taxi_ingest.job import Job, make_job
from taxi_ingest.state.receipts import from_json, to_json

SOURCE = f"file://{DATA}/{{dataset}}_tripdata_{{month}}.csv"


def job_in(folder: Path, month: str = "2020-01", **flags: str) -> Job:
    given = {"shared.month": month, "global.source": SOURCE, "global.data_dir": str(folder / "data"), **flags}
    job, _ = make_job(settings.read(given), verb="run")
    return job


def test_a_part_goes_all_the_way_to_the_table(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    ran = run_part(job, job.parts[0])
    assert dict(ran.outcomes) == dict.fromkeys(STEPS, "done")
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]
    assert not (tmp_path / "data" / "state" / "lock").exists()
    assert not (tmp_path / "data" / "state" / "history.sqlite").exists()


def test_its_four_receipts_survive_pickle_and_json(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    receipts = run_part(job, job.parts[0]).receipts
    assert pickle.loads(pickle.dumps(receipts)) == receipts
    for step in STEPS:
        receipt = receipts.of(step)
        assert receipt is not None
        assert from_json(step, to_json(receipt)) == receipt


def test_a_job_survives_pickle(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    assert pickle.loads(pickle.dumps(job)) == job


def test_a_second_time_everything_is_up_to_date(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    first = run_part(job, job.parts[0])
    second = run_part(job, job.parts[0])
    assert dict(second.outcomes) == dict.fromkeys(STEPS, "up_to_date")
    assert second.receipts == first.receipts


def test_the_steps_can_be_taken_one_by_one(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    assert [dict(run_part(job, job.parts[0], (step,)).outcomes) for step in STEPS] == [{s: "done"} for s in STEPS]


def test_each_step_may_run_in_a_process_of_its_own(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    outcomes = []
    for step in STEPS:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as worker:
            ran = worker.submit(run_part, job, job.parts[0], (step,)).result()
            outcomes.append(dict(ran.outcomes))
    assert outcomes == [{step: "done"} for step in STEPS]
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]


def test_a_step_that_fails_raises_and_those_before_it_stay(tmp_path: Path) -> None:
    job = job_in(tmp_path, "2020-02")
    with pytest.raises(SourceError, match="There is no file"):
        run_part(job, job.parts[0])
    assert not (tmp_path / "data" / "taxi.duckdb").exists()


def test_it_loads_neither_doit_nor_rich_nor_sqlite(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\n"
        "from taxi_ingest import settings\n"
        "from taxi_ingest.engine.part import run_part\n"
        "from taxi_ingest.job import make_job\n"
        f"flags = {{'shared.month': '2020-01', 'global.source': {SOURCE!r}, 'global.data_dir': 'data'}}\n"
        "job, _ = make_job(settings.read(flags), verb='run')\n"
        "run_part(job, job.parts[0])\n"
        "print(json.dumps(sorted({'doit', 'rich', 'sqlite3', 'typer'} & set(sys.modules))))\n"
    )
    ran = process([sys.executable, str(script)], tmp_path)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == []
