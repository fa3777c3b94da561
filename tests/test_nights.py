"""Single nights of a cron entry that nobody watches: what is late, hangs, keeps failing, or is left over."""

from __future__ import annotations

import os
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import MONTH, Command, Loaded, Publisher, answer, query
from dates import months_ago
from republishing import DENIED, PAGE

from taxi_ingest.sources.partial import DAYS_KEPT

QUICK = {"TAXI_INGEST_DOWNLOAD__TRIES": "2", "TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0"}


def name(month: str) -> str:
    return f"/yellow_tripdata_{month}.csv"


def test_a_range_up_to_latest_catches_up_after_missed_nights(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files[name(months_ago(6))] = MONTH.read_bytes()
    arguments = ("run", "--month", f"{months_ago(6)}..latest", "--source", publisher.template, "--json")
    assert [part["month"] for part in taxi(*arguments).document["parts"]] == [months_ago(6)]
    publisher.files |= {name(months_ago(number)): MONTH.read_bytes() for number in (5, 4, 3)}
    caught_up = taxi(*arguments).document["parts"]
    assert [part["steps"]["load"] for part in caught_up] == ["up_to_date", "done", "done", "done"]
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(4 * 999,)]


def test_a_month_that_is_late_is_asked_for_again_each_night_without_a_word(taxi: Command, publisher: Publisher) -> None:
    publisher.everything = lambda to: answer(to, 403, DENIED)
    for asked in (1, 2):
        ran = taxi("run", "--month", months_ago(2), "--source", publisher.template, "--quiet")
        assert (ran.code, ran.out, ran.err, len(publisher.requests)) == (4, "", "", asked)


def test_a_publisher_that_holds_us_back_is_not_asked_for_two_years_of_months(
    taxi: Command, publisher: Publisher
) -> None:
    publisher.everything = lambda to: answer(to, 403, PAGE)
    ran = taxi("run", "--month", "latest", "--source", publisher.template, "--quiet", **QUICK)
    assert (ran.code, "holding us back (403)" in ran.err, len(publisher.requests)) == (1, True, 4)  # HEAD, GET; twice


def test_a_month_that_fails_three_nights_in_a_row_is_said_louder(taxi: Command, publisher: Publisher) -> None:
    publisher.files[name("2020-01")] = MONTH.read_bytes()
    arguments = ("run", "--month", "2020-01,2020-02", "--source", publisher.template, "--quiet")
    nights = [taxi(*arguments) for _ in range(4)]
    assert [ran.code for ran in nights] == [1] * 4
    said = [[line for line in ran.out.splitlines() if "runs in a row" in line] for ran in nights]
    today = f"{time.strftime('%Y-%m-%d', time.gmtime())}"
    assert said == [[], [], *([f"  yellow-2020-02: failed in {n} runs in a row, since {today}"] for n in (3, 4))]
    publisher.files[name("2020-02")] = MONTH.read_bytes()
    assert taxi(*arguments).code == 0
    del publisher.files[name("2020-02")]
    assert "in a row" not in taxi(*arguments, "--force").out


def test_of_a_failure_in_the_night_only_the_cause_is_said(taxi: Command, publisher: Publisher) -> None:
    publisher.files[name("2020-01")] = MONTH.read_bytes()
    ran = taxi("run", "--month", "2020-01,2020-02", "--source", publisher.template, "--quiet")
    failed = [line for line in ran.out.splitlines() if "2020-02" in line]
    assert (ran.code, len(failed), "no such file" in failed[0]) == (1, 1, True), ran.out


def test_a_month_that_hangs_holds_up_no_other(taxi: Command, publisher: Publisher) -> None:
    others = {name(f"2020-0{number}") for number in range(2, 8)}
    asked: set[str] = set()
    all_asked = threading.Event()

    def serve(to: BaseHTTPRequestHandler) -> None:
        if to.path in others:
            asked.add(to.path)
            answer(to, 200, MONTH.read_bytes())
        else:  # silent until every other month has been asked for
            all_asked.wait(50)
            to.close_connection = True
        if asked == others:
            all_asked.set()

    publisher.everything = serve
    arguments = ("run", "--month", "2020-01..2020-07", "--source", publisher.template, "--json")
    ran = taxi(*arguments, **QUICK, TAXI_INGEST_DOWNLOAD__TIMEOUT_SECONDS="60")
    first, *rest = [part["steps"] for part in ran.document["parts"]]
    assert (ran.code, first["download"], {steps["load"] for steps in rest}) == (1, "failed", {"done"})
    assert all_asked.is_set()


# ---- nothing grows for ever


def age(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def test_the_beginning_of_a_file_that_nobody_went_on_with_is_removed_after_a_while(loaded: Loaded) -> None:
    folder = loaded.data / "raw" / "yellow"
    left = {age: folder / f"yellow_tripdata_2020-0{age % 9 + 1}.csv.gz.part" for age in (DAYS_KEPT - 1, DAYS_KEPT + 1)}
    for days, part in left.items():
        for path in (part, part.with_name(part.name + ".json")):
            path.write_text("{}")
            age(path, days)
    alone = folder / "yellow_tripdata_2020-09.csv.part.json"
    alone.write_text("{}")
    assert loaded.run().code == 0
    young = left[DAYS_KEPT - 1].name
    assert sorted(path.name for path in folder.glob("*.part*")) == [young, f"{young}.json"]


@pytest.mark.parametrize("name", ["my_own_notes.part", "yellow_tripdata_2020-01.notes.part", "my_own.csv.part.json"])
def test_a_file_of_ones_own_that_only_ends_like_the_beginning_of_another_stays(loaded: Loaded, name: str) -> None:
    mine = loaded.data / "raw" / "yellow" / name
    mine.write_text('{"mine": 1}')
    age(mine, 400)
    assert loaded.run().code == 0
    assert mine.exists()


def test_old_logs_that_no_run_owns_go_with_the_old_runs(loaded: Loaded) -> None:
    logs, state = loaded.data / "logs", loaded.data / "state"
    (logs / "20200101T000000-abcd").mkdir()
    (logs / "20200101T000000-abcd" / "yellow-2020-01-load-1.log").write_text("of a history that was deleted")
    (logs / "bug-20200101T000000.log").write_text("Traceback")
    (state / "history.sqlite.damaged-20200101T000000").write_bytes(b"?")
    (state / "history.sqlite.damaged-20200101T000000-wal").write_bytes(b"?")
    (state / "history.sqlite.damaged-20200101T000000-2").write_bytes(b"?")
    (logs / "bug-20200101T000000-2.log").write_text("Traceback")
    mine = {"notes of mine.txt", "backup-20200101T000000.tar", "20200101T000000-app.log", "20200101T000000"}
    for name in mine:
        (logs / name).write_text("not ours")
    assert loaded.run().code == 0
    first = loaded.first.document["run"]
    assert {path.name for path in logs.iterdir()} == {first, *mine}
    assert list(state.glob("*damaged*")) == []


@pytest.mark.parametrize("verb", ["load", "run"])
def test_a_month_that_is_redone_again_and_again_takes_no_more_room(loaded: Loaded, verb: str) -> None:
    def size() -> int:
        """Bytes of everything but the history and logs of these very runs."""
        files = (path for path in loaded.data.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files if path.parent.name != "state" and "logs" not in path.parts)

    sizes = [size() for _ in range(8) if loaded.run("--force", verb=verb).code == 0]
    assert len(sizes) == 8
    assert max(sizes[4:]) <= max(sizes[:4])
