"""A night in which nobody tells the newest month: it goes on with what is held, and is a failed run of the history."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import MONTH, Command, Loaded, Publisher, answer
from dates import months_ago
from republishing import FEWER, PAGE

QUICK = {"TAXI_INGEST_DOWNLOAD__TRIES": "1", "TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0"}


def night(loaded: Loaded, *more: str, month: str = "2020-01..latest") -> tuple[str, ...]:
    return ("run", "--month", month, "--source", loaded.publisher.template, *more)


def throttle(to: BaseHTTPRequestHandler) -> None:
    answer(to, 403, PAGE)


@pytest.mark.parametrize("month", ["2020-01..latest", "latest"])
def test_the_months_that_are_held_are_looked_after_all_the_same(loaded: Loaded, month: str) -> None:
    (loaded.data / "parquet" / "yellow" / "yellow_tripdata_2020-01.parquet").unlink()
    loaded.publisher.everything = throttle
    ran = loaded.taxi(*night(loaded, "--json", month=month), **QUICK)
    (part,), (note,) = ran.document["parts"], ran.document["notes"]
    assert (ran.code, part["month"], part["steps"]["parquetize"]) == (1, "2020-01", "done")
    assert "yellow: the newest month could not be found out; its months go up to 2020-01" in note
    assert "holding us back (403)" in note


def test_the_other_datasets_go_on(loaded: Loaded) -> None:
    def only_yellow_is_refused(to: BaseHTTPRequestHandler) -> None:
        answer(
            to, *((503, b"") if "yellow" in to.path else (404, b"") if months_ago(3) not in to.path else (200, b"a"))
        )

    loaded.publisher.everything = only_yellow_is_refused
    month = f"{months_ago(3)}..latest"
    ran = loaded.taxi(*night(loaded, "--dataset", "yellow,green", "--json", month=month), **QUICK)
    assert [(part["dataset"], part["month"]) for part in ran.document["parts"]] == [("green", months_ago(3))]
    assert ran.code == 1


def test_it_is_a_failed_run_of_the_history_with_the_reason(loaded: Loaded) -> None:
    loaded.publisher.everything = throttle
    assert loaded.taxi(*night(loaded), **QUICK).code == 1
    (failed,) = loaded.look("history", "--failed")["runs"]
    (note,) = loaded.look("history", failed["run"])["notes"]
    assert (failed["exit"], note["dataset"], note["month"]) == (1, "yellow", None)
    assert "holding us back (403)" in note["note"]


def test_the_third_in_a_row_is_said_louder_until_somebody_tells(loaded: Loaded) -> None:
    def said() -> bool:
        return f"in 3 runs in a row, since {today}" in loaded.taxi(*night(loaded, "--quiet"), **QUICK).out

    today = time.strftime("%Y-%m-%d", time.gmtime())
    loaded.publisher.everything = throttle
    assert [said() for _ in range(3)] == [False, False, True]
    loaded.publisher.everything = None
    loaded.publisher.files[f"/yellow_tripdata_{months_ago(2)}.csv"] = MONTH.read_bytes()
    assert loaded.taxi(*night(loaded, month=f"{months_ago(2)}..latest"), **QUICK).code == 0
    loaded.publisher.everything = throttle
    assert not said()


def test_a_run_that_does_not_ask_for_the_newest_ends_no_row(loaded: Loaded) -> None:
    loaded.publisher.everything = throttle
    for _ in range(2):
        loaded.taxi(*night(loaded), **QUICK)
    assert loaded.run().code == 0
    assert "in 3 runs in a row" in loaded.taxi(*night(loaded), **QUICK).out


def test_where_nothing_is_held_it_stands_in_the_history_too(taxi: Command, publisher: Publisher) -> None:
    publisher.everything = throttle
    ran = taxi("run", "--month", "latest", "--source", publisher.template, "--json", **QUICK)
    newest = taxi("history", "latest", "--json").document
    assert (ran.code, ran.document["parts"], newest["run"]["exit"]) == (1, [], 1)
    assert [note["dataset"] for note in newest["notes"]] == ["yellow"]


def test_plan_says_it_as_well(loaded: Loaded) -> None:
    loaded.publisher.everything = throttle
    ran = loaded.taxi("plan", *night(loaded)[1:], **QUICK)
    assert (ran.code, "yellow-2020-01: up to date" in ran.out) == (1, True)
    assert "newest month could not be found out" in ran.err


def test_a_republished_file_is_still_taken_that_night(loaded: Loaded, tmp_path: Path) -> None:
    name = "/yellow_tripdata_2020-01.csv"
    loaded.publisher.everything = lambda to: (
        answer(to, 200, FEWER, ETag='"2"') if to.path == name else answer(to, 503, b"")
    )
    ran = loaded.taxi(*night(loaded, "--refresh", "--json"), **QUICK)
    assert (ran.code, ran.document["parts"][0]["rows"], ran.document["parts"][0]["steps"]["load"]) == (1, 994, "done")


def test_what_is_waited_for_is_said_while_the_newest_month_is_asked_for(taxi: Command, publisher: Publisher) -> None:
    publisher.everything = throttle
    tries = {"TAXI_INGEST_DOWNLOAD__TRIES": "2", "TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0.1"}
    for verb, *more in (["run"], ["plan"], ["run", "--quiet"]):
        said = taxi(verb, "--month", "latest", "--source", publisher.template, *more, **tries).err
        assert " Try 2 of 2 in 0 s." in " ".join(said.split()) or "--quiet" in more, said
        assert ("Try 2" in said, "holding us back" in said) == ("--quiet" not in more, True)
