"""What passes by itself is tried again, each try in the history; what does not is tried once."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from conftest import Answer, Command, Publisher, answer, serve
from hypothesis import given
from hypothesis import strategies as st
from passing import PASSING
from republishing import CSV, DENIED

from taxi_ingest.errors import SourceError, TransientError
from taxi_ingest.retrying import LONGEST_WAIT, Retries, wait_seconds, with_retries

NAME = "/yellow_tripdata_2020-01.csv"
QUICK = {"TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0.01", "TAXI_INGEST_DOWNLOAD__TIMEOUT_SECONDS": "1"}


LASTING: dict[str, Answer] = {
    "404": lambda to: answer(to, 404, b""),
    "denied 403": lambda to: answer(to, 403, DENIED),
    "410": lambda to: answer(to, 410, b""),
    "401": lambda to: answer(to, 401, b""),
    "an error page": lambda to: answer(to, 200, b"<!DOCTYPE html><html>sorry</html>"),
    "another layout": lambda to: answer(to, 200, b"a,b\n1,2\n"),
}


def once(fault: Answer) -> Answer:
    """Faulty at the first request, then the file."""
    asked: list[None] = []

    def respond(to: BaseHTTPRequestHandler) -> None:
        asked.append(None)
        fault(to) if len(asked) == 1 else serve(to, CSV)

    return respond


def attempts(taxi: Command) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = taxi("history", "latest", "--json").document["attempts"]
    return [attempt for attempt in found if attempt["step"] == "download"]


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_is_tried_again_and_both_tries_are_in_the_history(
    taxi: Command, publisher: Publisher, fault: str
) -> None:
    publisher.files[NAME] = once(PASSING[fault])
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, "--json", **QUICK)
    assert (ran.code, ran.document["parts"][0]["rows"]) == (0, 999), ran.err
    assert [(one["attempt"], one["outcome"]) for one in attempts(taxi)] == [(1, "failed"), (2, "done")]


def test_a_gzip_file_that_was_published_cut_fails_and_is_fetched_again_by_the_next_run(
    taxi: Command, publisher: Publisher
) -> None:
    whole = gzip.compress(CSV)
    for published, code, rows in ((whole[:-100], 1, None), (whole, 0, 999)):
        publisher.files[NAME] = published
        ran = taxi("run", "--month", "2020-01", "--source", publisher.template, "--json", **QUICK)
        assert (ran.code, ran.document["parts"][0]["rows"]) == (code, rows), ran.err


@pytest.mark.parametrize("fault", LASTING)
def test_a_lasting_fault_is_tried_once(taxi: Command, publisher: Publisher, fault: str) -> None:
    publisher.files[NAME] = LASTING[fault]
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, **QUICK)
    assert (ran.code, len(publisher.requests)) == (1, 1), ran.err


def test_a_month_not_yet_published_is_asked_for_once(taxi: Command, publisher: Publisher) -> None:
    month = f"{date.today().replace(day=1) - timedelta(days=1):%Y-%m}"
    publisher.everything = lambda to: answer(to, 403, DENIED)
    ran = taxi("run", "--month", month, "--source", publisher.template, **QUICK)
    assert (ran.code, len(publisher.requests)) == (4, 1)


def test_a_fault_that_stays_is_given_up_after_the_tries_of_the_settings(taxi: Command, publisher: Publisher) -> None:
    publisher.files[NAME] = PASSING["503"]
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, **QUICK, TAXI_INGEST_DOWNLOAD__TRIES="3")
    assert (ran.code, len(publisher.requests)) == (1, 3)
    assert [one["attempt"] for one in attempts(taxi)] == [1, 2, 3]


def test_retry_after_is_waited_for(taxi: Command, publisher: Publisher) -> None:
    publisher.files[NAME] = once(lambda to: answer(to, 429, b"", Retry_After="2"))
    taxi("download", "--month", "2020-01", "--source", publisher.template, **QUICK)
    first, second = ([one["started"], one["ended"]] for one in attempts(taxi))
    waited = seconds_between(first[1], second[0])
    assert 2 <= waited < 4


def test_a_retry_after_beyond_patience_ends_the_tries(taxi: Command, publisher: Publisher) -> None:
    publisher.files[NAME] = lambda to: answer(to, 503, b"", Retry_After="86400")
    ran = taxi("download", "--month", "2020-01", "--source", publisher.template, **QUICK)
    assert (ran.code, len(publisher.requests)) == (1, 1)


def seconds_between(first: str, second: str) -> float:
    from datetime import datetime

    return (datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds()


@given(number=st.integers(1, 60), backoff=st.floats(0, 100))
def test_waits_double_and_stay_within_patience(number: int, backoff: float) -> None:
    seconds = wait_seconds(Retries(99, backoff), number, TransientError("later"))
    assert seconds is not None
    assert min(backoff * 2 ** (number - 1), LONGEST_WAIT) <= seconds <= LONGEST_WAIT


@given(asked=st.floats(0, 10_000))
def test_what_the_far_side_asks_is_done_or_the_tries_end(asked: float) -> None:
    seconds = wait_seconds(Retries(5, 1), 1, TransientError("later", retry_after=asked))
    assert seconds == (asked if asked <= LONGEST_WAIT else None)


def fails_with(error: Exception) -> tuple[Callable[[int], None], list[int]]:
    tries: list[int] = []

    def attempt(number: int) -> None:
        tries.append(number)
        raise error

    return attempt, tries


def test_only_a_transient_error_is_tried_again() -> None:
    attempt, tries = fails_with(SourceError("no such file"))
    with pytest.raises(SourceError):
        with_retries(Retries(5, 0), attempt, wait=lambda _: False)
    assert tries == [1]


def test_an_interrupted_wait_ends_the_tries() -> None:
    attempt, tries = fails_with(TransientError("later"))
    with pytest.raises(TransientError):
        with_retries(Retries(5, 0), attempt, wait=lambda _: True)
    assert tries == [1]
