"""A publisher that does not answer at all does not hold up every month for all of its tries."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler

from conftest import Command, Publisher, Ran, answer, serve
from republishing import CSV

MONTHS = [f"2020-{number:02d}" for number in range(1, 6)]
IMPATIENT = {
    "TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0.01",
    "TAXI_INGEST_DOWNLOAD__TIMEOUT_SECONDS": "0.4",
    "TAXI_INGEST_DOWNLOAD__TRIES": "3",
    "TAXI_INGEST_DOWNLOAD__AT_ONCE": "1",
}


def hang(to: BaseHTTPRequestHandler) -> None:
    """Say nothing for longer than anybody waits."""
    time.sleep(1.5)
    to.close_connection = True


def path_of(month: str) -> str:
    return f"/yellow_tripdata_{month}.csv"


def run(taxi: Command, publisher: Publisher, months: int) -> Ran:
    """A run of the first so many months, one after the other."""
    named = f"{MONTHS[0]}..{MONTHS[months - 1]}"
    return taxi("run", "--month", named, "--jobs", "1", "--source", publisher.template, **IMPATIENT)


def test_after_one_month_has_tried_in_vain_the_others_try_once(taxi: Command, publisher: Publisher) -> None:
    publisher.everything = hang
    ran = taxi(
        "run", "--month", f"{MONTHS[0]}..{MONTHS[-1]}", "--jobs", "1", "--source", publisher.template, **IMPATIENT
    )
    tries = [publisher.requests.count(path_of(month)) for month in MONTHS]
    assert (ran.code, sorted(tries)) == (1, [1, 1, 1, 1, 3])


def test_once_it_answers_again_months_have_all_their_tries(taxi: Command, publisher: Publisher) -> None:
    waiting: dict[str, list[object]] = {path_of(month): [0, 0] for month in MONTHS}

    def respond(to: BaseHTTPRequestHandler) -> None:
        if len(publisher.requests) <= 3:
            hang(to)
        elif waiting[to.path]:
            waiting[to.path].pop()
            answer(to, 503, b"")
        else:
            serve(to, CSV)

    publisher.everything = respond
    ran = taxi(
        "run", "--month", f"{MONTHS[0]}..{MONTHS[2]}", "--jobs", "1", "--source", publisher.template, **IMPATIENT
    )
    tries = sorted(publisher.requests.count(path_of(month)) for month in MONTHS[:3])
    assert (ran.code, tries) == (1, [1, 3, 3])
