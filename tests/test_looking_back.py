"""status, history and logs: what they tell, in which shape, and that they work while a run is on."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import MONTH, Command, Loaded, Publisher

from taxi_ingest.history.schema import SCHEMA_VERSION

STEPS = ("download", "parquetize", "upload", "load")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


def states(document: Any, month: str) -> dict[str, str]:
    (part,) = [part for part in document["parts"] if part["month"] == month]
    return {step: part[step]["state"] for step in STEPS}


def last_month() -> str:
    return f"{date.today().replace(day=1) - timedelta(days=1):%Y-%m}"


# ---- history


def test_history_lists_runs_newest_first_in_the_documented_shape(loaded: Loaded) -> None:
    again = loaded.run()
    newest, first = loaded.look("history")["runs"]
    assert [newest["run"], first["run"]] == [again.document["run"], loaded.first.document["run"]]
    assert {key: type(value) for key, value in first.items()} == {
        "run": str,
        "state": str,
        "exit": int,
        "started": str,
        "ended": str,
        "seconds": float,
        "version": str,
        "request": str,
        "parts": int,
        "outcomes": dict,
    }
    assert (first["state"], first["exit"], first["parts"], first["outcomes"]) == ("finished", 0, 1, {"done": 4})
    assert newest["outcomes"] == {"up_to_date": 4}
    assert ISO.fullmatch(first["started"])
    assert ISO.fullmatch(first["ended"])


def test_a_runs_history_tells_every_attempt_in_the_documented_shape(loaded: Loaded) -> None:
    document = loaded.look("history", loaded.first.document["run"])
    assert [attempt["step"] for attempt in document["attempts"]] == list(STEPS)
    download = document["attempts"][0]
    times = {key: download.pop(key) for key in ("started", "ended", "seconds")}
    assert download == {
        "run": loaded.first.document["run"],
        "dataset": "yellow",
        "month": "2020-01",
        "step": "download",
        "attempt": 1,
        "outcome": "done",
        "why": "not downloaded yet",
        "rows": None,
        "bytes": MONTH.stat().st_size,
        "error": None,
        "log": f"logs/{loaded.first.document['run']}/yellow-2020-01-download-1.log",
    }
    assert times["started"] <= times["ended"]
    assert document["outcomes"] == [
        {"dataset": "yellow", "month": "2020-01", "step": step, "outcome": "done"} for step in STEPS
    ]
    assert document["run"] == loaded.look("history")["runs"][0]


def test_a_run_may_be_named_by_its_beginning_or_as_the_latest(loaded: Loaded) -> None:
    run = loaded.first.document["run"]
    assert loaded.look("history", run[:17]) == loaded.look("history", "latest") == loaded.look("history", run)


def test_an_unknown_run_ends_2_and_names_those_there_are(loaded: Loaded, taxi: Command) -> None:
    ran = taxi("history", "1999")
    assert (ran.code, loaded.first.document["run"] in ran.err) == (2, True)


def test_failed_shows_only_runs_that_left_something_undone(loaded: Loaded, publisher: Publisher) -> None:
    failed = loaded.run("--month", "2020-02")
    assert failed.code == 1
    assert [run["run"] for run in loaded.look("history", "--failed")["runs"]] == [failed.document["run"]]


def test_a_failed_attempt_tells_its_error_and_what_it_blocked(loaded: Loaded, taxi: Command) -> None:
    loaded.run("--month", "2020-02")
    document = loaded.look("history", "latest", "--failed")
    assert [(a["step"], a["outcome"]) for a in document["attempts"]] == [("download", "failed")]
    assert "no such file" in document["attempts"][0]["error"]
    shown = taxi("history", "latest").out
    assert "yellow-2020-02: parquetize, upload, load blocked by the failure before" in shown


def test_history_shows_as_many_runs_as_asked_for(loaded: Loaded) -> None:
    loaded.run()
    loaded.run()
    assert [len(loaded.look("history", "--last", n)["runs"]) for n in ("1", "2", "0")] == [1, 2, 3]


@pytest.mark.parametrize("verb", ["history", "status"])
def test_where_nothing_was_done_they_say_so_and_where_the_demo_is(taxi: Command, tmp_path: Path, verb: str) -> None:
    assert "--data-dir" not in taxi(verb).out
    (tmp_path / "demo-data" / "state").mkdir(parents=True)
    ran = taxi(verb)
    assert (ran.code, "--data-dir demo-data" in ran.out) == (0, True)


# ---- while a run is on, and after a kill


@contextmanager
def run_that_hangs(folder: Path, publisher: Publisher) -> Iterator[subprocess.Popen[bytes]]:
    """A run whose download of 2020-06 never ends."""

    def hang(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "1000")
        to.end_headers()
        to.wfile.write(b"x")
        to.wfile.flush()
        time.sleep(30)

    publisher.files["/yellow_tripdata_2020-06.csv"] = hang
    months = ["--month", "2020-01,2020-06", "--source", publisher.template]
    run = [sys.executable, "-m", "taxi_ingest", "run", *months, "--jobs", "1"]
    with subprocess.Popen(run, cwd=folder, stdout=subprocess.DEVNULL) as child:
        try:
            while not any("2020-06" in path for path in publisher.requests):
                time.sleep(0.05)
            yield child
        finally:
            child.kill()


def test_a_run_at_work_reads_running_and_shows_in_the_status(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    with run_that_hangs(tmp_path, publisher):
        (run,) = taxi("history", "--json").document["runs"]
        attempts = taxi("history", "latest", "--json").document["attempts"]
        grid = taxi("status", "--json").document
        shown = taxi("status").out
    assert (run["state"], run["exit"], run["ended"]) == ("running", None, None)
    assert attempts[-1]["outcome"] == "running"
    assert states(grid, "2020-06")["download"] == "running"
    assert ">..." in shown


def test_a_killed_run_reads_interrupted_before_any_other_run(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    with run_that_hangs(tmp_path, publisher) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
    (run,) = taxi("history", "--json").document["runs"]
    attempts = taxi("history", "latest", "--json", "--failed").document["attempts"]
    assert (run["state"], run["seconds"]) == ("interrupted", None)
    assert [(a["month"], a["outcome"], a["seconds"]) for a in attempts] == [("2020-06", "interrupted", None)]
    assert states(taxi("status", "--json").document, "2020-06")["download"] == "interrupted"


# ---- status


def test_status_shows_every_step_of_every_month(loaded: Loaded, publisher: Publisher) -> None:
    publisher.files["/yellow_tripdata_2020-03.csv"] = MONTH.read_bytes()
    loaded.run("--month", "2020-02", "--month", last_month())
    loaded.run("--month", "2020-03", verb="parquetize")
    document = loaded.look("status")
    assert states(document, "2020-01") == dict.fromkeys(STEPS, "done")
    assert states(document, "2020-02") == dict.fromkeys(STEPS, "missing") | {"download": "failed"}
    assert states(document, "2020-03") == dict(zip(STEPS, ("done", "done", "missing", "missing"), strict=True))
    assert states(document, last_month())["download"] == "not_published"


def test_status_tells_what_is_out_of_date_and_why(loaded: Loaded) -> None:
    (loaded.data / "taxi.duckdb").unlink()
    (part,) = loaded.look("status")["parts"]
    assert part["load"] == {"state": "stale", "why": "the table lacks the month"}


def test_status_can_be_read_without_colour(loaded: Loaded, taxi: Command) -> None:
    loaded.run("--month", "2020-02")
    (loaded.data / "taxi.duckdb").unlink()
    shown = taxi("status").out
    assert re.search(r"^  2020  DPUl x\.\.\.$", shown, re.MULTILINE), shown
    assert "yellow-2020-01 load is out of date: the table lacks the month" in shown


def test_status_narrows_to_months_and_datasets(loaded: Loaded) -> None:
    loaded.run("--month", "2020-02")
    assert [part["month"] for part in loaded.look("status", "--month", "2020-01..2020-01")["parts"]] == ["2020-01"]
    assert loaded.look("status", "--dataset", "green") == {"parts": []}


def test_status_asks_no_one(loaded: Loaded) -> None:
    loaded.look("status")
    assert loaded.publisher.requests == []


def test_status_does_not_wait_for_a_database_that_somebody_has_open(loaded: Loaded) -> None:
    with duckdb.connect(str(loaded.data / "taxi.duckdb")):
        begun = time.monotonic()
        document = loaded.look("status")
        took = time.monotonic() - begun
    assert states(document, "2020-01") == dict.fromkeys(STEPS, "done")
    assert took < 15  # a run would wait twice as long


# ---- logs


def test_logs_show_those_of_the_newest_run_each_under_its_attempt(loaded: Loaded, taxi: Command) -> None:
    shown = taxi("logs").out
    assert re.findall(r"^==> (\S+ \S+, try 1, done)", shown, re.MULTILINE) == [
        f"yellow-2020-01 {step}, try 1, done" for step in STEPS
    ]
    assert "yellow-2020-01 parquetize is done" in shown


@pytest.mark.parametrize(
    ("words", "shown"),
    [("load", 1), ("yellow-2020-01", 4), ("yellow", 4), ("latest yellow-2020-01 upload", 1)],
)
def test_logs_narrow_to_run_part_and_step(loaded: Loaded, taxi: Command, words: str, shown: int) -> None:
    assert taxi("logs", *words.split()).out.count("==> ") == shown


def test_logs_of_what_failed_hold_the_reason(loaded: Loaded, taxi: Command) -> None:
    loaded.run("--month", "2020-01,2020-02", "--force")
    shown = taxi("logs", "--failed").out
    assert shown.count("==> ") == 1
    assert "The publisher has no such file" in shown


def test_logs_that_nothing_fits_end_2(loaded: Loaded, taxi: Command) -> None:
    assert taxi("logs", "green").code == 2


# ---- what is kept, and files of other versions


def test_runs_older_than_the_retention_are_forgotten_with_their_logs(loaded: Loaded) -> None:
    old = loaded.first.document["run"]
    with sqlite3.connect(loaded.data / "state" / "history.sqlite") as db:
        db.execute("UPDATE runs SET started = ?", [f"{date.today() - timedelta(days=31)}T00:00:00.000+00:00"])
    kept = loaded.run(TAXI_INGEST_GLOBAL__HISTORY_DAYS="32")
    assert len(loaded.look("history")["runs"]) == 2
    assert (loaded.data / "logs" / old).exists()
    again = loaded.run(TAXI_INGEST_GLOBAL__HISTORY_DAYS="30")
    runs = [run["run"] for run in loaded.look("history")["runs"]]
    assert runs == [again.document["run"], kept.document["run"]]
    assert not (loaded.data / "logs" / old).exists()


def as_version_1(database: Path) -> None:
    with sqlite3.connect(database) as db:
        db.execute("ALTER TABLE attempts DROP COLUMN settled")
        db.execute("DROP TABLE notes")
        db.execute("DROP TABLE folded")
        db.execute("DROP TABLE latest")
        db.execute("DROP INDEX failed_outcomes")
        db.execute("PRAGMA user_version = 1")


def test_a_history_of_version_1_can_be_read_as_it_is(loaded: Loaded) -> None:
    before = loaded.look("history", "latest")
    as_version_1(loaded.data / "state" / "history.sqlite")
    assert loaded.look("history", "latest") == before


def test_a_run_brings_a_history_of_version_1_up_to_date_and_loses_nothing(loaded: Loaded) -> None:
    database = loaded.data / "state" / "history.sqlite"
    as_version_1(database)
    assert loaded.run().code == 0
    assert len(loaded.look("history")["runs"]) == 2
    with sqlite3.connect(database) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("SELECT count(*) FROM attempts WHERE settled = 1").fetchone() == (4,)


@pytest.mark.parametrize("verb", ["run", "history"])
def test_a_history_of_a_newer_version_is_refused_and_left_alone(loaded: Loaded, verb: str) -> None:
    database = loaded.data / "state" / "history.sqlite"
    with sqlite3.connect(database) as db:
        db.execute("PRAGMA user_version = 99")
    ran = loaded.run() if verb == "run" else loaded.taxi("history")
    assert (ran.code, "newer taxi-ingest" in ran.err) == (1, True), ran.err
    with sqlite3.connect(database) as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (1,)


def test_documents_are_json_whatever_the_terminal(loaded: Loaded, taxi: Command) -> None:
    for verb in ("status", "history", "plan"):
        arguments = loaded.arguments if verb == "plan" else ("--json",)
        assert json.loads(taxi(verb, *arguments, FORCE_COLOR="1", COLUMNS="20").out)


def test_a_run_that_found_all_done_says_how_much_that_was(loaded: Loaded) -> None:
    loaded.run()
    assert loaded.taxi("history", "latest").out.splitlines()[-1] == "4 steps up to date"
