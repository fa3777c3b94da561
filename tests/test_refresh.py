"""`--refresh`: what the publisher changed since is found with one question a file, and redone to the table."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from conftest import ALL_UP_TO_DATE, Answer, Command, Publisher, answer, query
from loopback import LoopbackHandler, self_signed, serving
from republishing import CSV, DATES, DENIED, FEWER, JANUARY, OCTOBER, PAGE, REPUBLISHED, versioned

NAME = "/yellow_tripdata_2020-01.csv"
QUICK = {"TAXI_INGEST_DOWNLOAD__TRIES": "2", "TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0"}


@pytest.fixture
def held(taxi: Command, publisher: Publisher, tmp_path: Path) -> Held:
    publisher.files[NAME] = versioned(FEWER, etag='"1"', modified=OCTOBER)
    held = Held(taxi, publisher, tmp_path / "data")
    assert held.run().code == 0
    publisher.requests.clear()
    publisher.methods.clear()
    publisher.headers.clear()
    return held


@dataclass
class Held:
    """A month of 994 rows, held since October."""

    taxi: Command
    publisher: Publisher
    data: Path

    def run(self, *more: str, verb: str = "run", **environment: str) -> Any:
        arguments = (verb, "--month", "2020-01", "--source", self.publisher.template, *more)
        return self.taxi(*arguments, **QUICK, **environment)

    def refresh(self, *more: str) -> tuple[int, dict[str, str], list[str]]:
        """Exit code, outcomes and notes of a refresh."""
        ran = self.run("--refresh", "--json", *more)
        (part,) = ran.document["parts"]
        return ran.code, part["steps"], part["notes"]

    def files(self) -> dict[Path, int]:
        """Every file but those of the history, with its time."""
        return {
            path: path.stat().st_mtime_ns
            for path in self.data.rglob("*")
            if path.is_file() and path.parent.name not in {"state", "logs"}
        }

    @property
    def rows(self) -> int:
        return int(query(self.data / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata")[0][0])


def test_an_unchanged_file_is_asked_for_once_and_nothing_is_touched(held: Held) -> None:
    before = held.files()
    assert held.refresh() == (0, ALL_UP_TO_DATE, [])
    assert (held.publisher.methods, held.files()) == (["HEAD"], before)


def test_a_changed_file_is_redone_to_the_table_and_told_with_dates_and_rows(held: Held) -> None:
    held.publisher.files[NAME] = versioned(CSV, etag='"2"', modified=JANUARY)
    assert held.refresh() == (0, dict.fromkeys(ALL_UP_TO_DATE, "done"), [REPUBLISHED])
    assert (held.publisher.methods, held.rows) == (["HEAD", "GET"], 999)
    assert held.refresh() == (0, ALL_UP_TO_DATE, [])


def test_the_history_of_the_run_tells_it_too(held: Held, taxi: Command) -> None:
    held.publisher.files[NAME] = versioned(CSV, etag='"2"', modified=JANUARY)
    assert f"yellow-2020-01: {REPUBLISHED}" in held.run("--refresh", "--quiet").out
    assert f"yellow-2020-01: {REPUBLISHED}" in taxi("history", "latest").out
    document = taxi("history", "latest", "--json").document
    assert document["notes"] == [{"dataset": "yellow", "month": "2020-01", "note": REPUBLISHED}]
    assert document["attempts"][0]["why"] == "republished: was of 2023-10-25, is of 2024-01-19"


def test_the_same_bytes_published_anew_are_fetched_and_not_reloaded(held: Held) -> None:
    held.publisher.files[NAME] = versioned(FEWER, etag='"2"', modified=JANUARY)
    said = f"published anew with the same bytes: nothing is reloaded {DATES}"
    assert held.refresh() == (0, ALL_UP_TO_DATE | {"download": "done"}, [said])
    assert held.refresh() == (0, ALL_UP_TO_DATE, [])


def test_plan_shows_what_changed_and_fetches_nothing(held: Held) -> None:
    held.publisher.files[NAME] = versioned(CSV, etag='"2"', modified=JANUARY)
    before = held.files()
    document = held.run("--refresh", "--json", verb="plan").document
    (part,) = document["parts"]
    assert part["steps"]["download"] == {"action": "run", "why": "republished: was of 2023-10-25, is of 2024-01-19"}
    assert {part["steps"][step]["action"] for step in ("parquetize", "upload", "load")} == {"maybe"}
    assert (part["download_bytes"], document["refresh"]["asked"]) == (len(CSV), 1)
    assert (held.publisher.methods, held.files()) == (["HEAD"], before)
    assert "asked about 1 published file, fetched none: 1 changed" in held.run("--refresh", verb="plan").out


@pytest.mark.parametrize(
    "gone",
    [lambda to: answer(to, 404, b""), lambda to: answer(to, 410, b""), lambda to: answer(to, 403, DENIED)],
    ids=["404", "410", "denied 403"],
)
def test_of_a_file_that_is_no_longer_published_the_copy_stays_and_a_note_says_so(held: Held, gone: Answer) -> None:
    held.publisher.files[NAME] = gone
    before = held.files()
    said = "the publisher no longer has this file; the copy of 2023-10-25 stays"
    assert held.refresh() == (0, ALL_UP_TO_DATE, [said])
    assert held.files() == before


def test_that_a_file_is_gone_is_said_in_the_first_quiet_night_only(held: Held) -> None:
    held.publisher.files[NAME] = lambda to: answer(to, 404, b"")
    nights = [held.run("--quiet", TAXI_INGEST_DOWNLOAD__REFRESH_MONTHS="1") for _ in range(3)]
    said = "  yellow-2020-01: the publisher no longer has this file; the copy of 2023-10-25 stays\n"
    assert [(ran.code, ran.out) for ran in nights] == [(0, said), (0, ""), (0, "")]


NOT_ITSELF: dict[str, Answer] = {
    "throttled 403": lambda to: answer(to, 403, PAGE),
    "503": lambda to: answer(to, 503, b""),
    "a page with 200": lambda to: answer(to, 200, PAGE, Content_Type="text/html; charset=utf-8"),
    "401": lambda to: answer(to, 401, b""),
}


@pytest.mark.parametrize("fault", NOT_ITSELF)
def test_a_refresh_that_was_asked_for_in_vain_ends_1_and_what_is_held_stays(held: Held, fault: str) -> None:
    held.publisher.files[NAME] = NOT_ITSELF[fault]
    before = held.files()
    ran = held.run("--refresh", "--json")
    assert (ran.code, ran.steps, held.files()) == (1, [ALL_UP_TO_DATE], before)
    (note,) = ran.document["notes"]
    assert note.startswith("127.0.0.1 could not be asked whether it changed 1 published file; what is here stays.")


def test_a_page_in_place_of_a_changed_file_never_replaces_a_good_one(held: Held) -> None:
    held.publisher.files[NAME] = versioned(PAGE, etag='"2"')  # no Content-Type gives it away before it is fetched
    code, steps, _ = held.refresh()
    assert (code, steps["download"], held.rows) == (1, "failed", 994)
    held.publisher.files[NAME] = versioned(FEWER, etag='"1"')
    assert held.refresh() == (0, ALL_UP_TO_DATE, [])


def test_after_a_version_that_was_refused_the_rows_that_are_held_are_compared(held: Held) -> None:
    lines = FEWER.splitlines(keepends=True)
    held.publisher.files[NAME] = versioned(lines[0], etag='"2"', modified=JANUARY)
    assert (held.refresh()[0], held.rows) == (1, 994)
    held.publisher.files[NAME] = versioned(b"".join(lines[:500]), etag='"3"', modified=JANUARY)
    code, _, notes = held.refresh()
    assert (code, notes, held.rows) == (0, ["the publisher republished it: 994 → 499 rows"], 499)


VALIDATORS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "only an ETag": ({"etag": '"1"'}, {"etag": '"2"'}),
    "only a date": ({"modified": OCTOBER}, {"modified": JANUARY}),
    "only sizes": ({}, {}),
}


@pytest.mark.parametrize("told", VALIDATORS)
def test_whatever_validator_there_is_tells_a_change(
    taxi: Command, publisher: Publisher, tmp_path: Path, told: str
) -> None:
    old, new = VALIDATORS[told]
    held = Held(taxi, publisher, tmp_path / "data")
    publisher.files[NAME] = versioned(FEWER, **old)
    held.run()
    publisher.methods.clear()
    assert held.refresh() == (0, ALL_UP_TO_DATE, [])
    assert publisher.methods == ["HEAD"]
    publisher.files[NAME] = versioned(CSV, **new)
    code, steps, (note,) = held.refresh()
    assert (code, steps["load"], "994 → 999 rows" in note) == (0, "done", True)


def test_a_publisher_that_answers_200_to_every_question_is_compared_with(held: Held) -> None:
    held.publisher.files[NAME] = lambda to: answer(to, 200, FEWER, ETag='W/"1"')
    assert held.refresh() == (0, ALL_UP_TO_DATE, [])
    assert held.publisher.methods == ["HEAD"]


def test_a_publisher_that_tells_nothing_is_fetched_from_only_when_refresh_is_asked_for(
    held: Held, taxi: Command
) -> None:
    def silent(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Connection", "close")
        to.end_headers()
        if to.command == "GET":
            to.wfile.write(FEWER)
        to.close_connection = True

    held.publisher.files[NAME] = silent
    planned = held.run("--refresh", verb="plan").out
    assert "asked about 1 published file, fetched none: 0 changed, 1 not told\n" in planned
    held.publisher.methods.clear()
    assert held.run(TAXI_INGEST_DOWNLOAD__REFRESH_MONTHS="1").code == 0
    assert held.publisher.methods == ["HEAD"]
    assert held.refresh() == (0, ALL_UP_TO_DATE | {"download": "done"}, [])


def test_a_signed_address_that_refuses_head_is_asked_with_get(held: Held) -> None:
    held.publisher.files[NAME] = versioned(FEWER, etag='"1"', modified=OCTOBER, signed=True)
    assert held.refresh() == (0, ALL_UP_TO_DATE, [])
    assert held.publisher.methods == ["HEAD", "GET"]


def test_the_validator_of_the_file_at_the_end_of_a_redirect_counts(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    """The archive's way: one address for ever, which redirects to one that is signed anew each time."""
    asked: list[tuple[str, str | None]] = []
    file = [versioned(FEWER, etag='"1"', modified=OCTOBER)]

    class Storage(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            asked.append((self.command, self.headers.get("If-None-Match")))
            file[0](self)

        do_HEAD = do_GET  # noqa: N815 - the server's name

    certificate = self_signed(tmp_path, "IP:127.0.0.1")
    trusting = {"REQUESTS_CA_BUNDLE": str(certificate)}
    with serving(Storage, certificate) as storage:
        signed = f"{storage}/f?signature="
        publisher.files[NAME] = lambda to: answer(
            to, 302, b"", Location=f"{signed}{time.monotonic_ns()}", ETag='"page"'
        )
        held = Held(taxi, publisher, tmp_path / "data")
        held.run(**trusting)
        ran = held.run("--refresh", "--json", **trusting)
        assert (ran.steps, asked) == ([ALL_UP_TO_DATE], [("GET", None), ("HEAD", '"1"')])
        file[0] = versioned(CSV, etag='"2"', modified=JANUARY)
        ran = held.run("--refresh", "--json", **trusting)
    assert ran.document["parts"][0]["notes"] == [REPUBLISHED]
    assert "signature" not in "".join(path.read_text() for path in held.data.rglob("*.json"))


# ---- files on this disk


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A published file on this disk, of October."""
    path = tmp_path / "copies" / "yellow_tripdata_2020-01.csv"
    path.parent.mkdir()
    path.write_bytes(FEWER)
    os.utime(path, (1698228000, 1698228000))
    return path


def test_a_file_on_this_disk_is_compared_by_time_and_size(taxi: Command, copy: Path) -> None:
    def refresh() -> tuple[dict[str, str], list[str]]:
        source = f"file://{copy.parent}/{{dataset}}_tripdata_{{month}}.csv"
        (part,) = taxi("run", "--month", "2020-01", "--source", source, "--refresh", "--json").document["parts"]
        return part["steps"], part["notes"]

    refresh()
    assert refresh() == (ALL_UP_TO_DATE, [])
    copy.write_bytes(CSV)
    os.utime(copy, (1705658400, 1705658400))
    assert refresh() == (dict.fromkeys(ALL_UP_TO_DATE, "done"), [REPUBLISHED])
    copy.unlink()
    assert refresh() == (ALL_UP_TO_DATE, ["the publisher no longer has this file; the copy of 2024-01-19 stays"])


# ---- many files, and runs that refresh by themselves

HUNDRED = "2012-01..2020-04"


def test_of_a_hundred_unchanged_files_each_is_asked_for_once_two_at_a_time_and_nothing_is_redone(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    few_rows = b"".join(CSV.splitlines(True)[:3])
    asking: list[str] = []
    most: list[int] = []

    def serve(to: BaseHTTPRequestHandler) -> None:
        asking.append(to.path)
        most.append(len(asking))
        time.sleep(0.005)
        asking.remove(to.path)
        versioned(few_rows, etag='"1"', modified=OCTOBER)(to)

    publisher.everything = serve
    arguments = ("upload", "--month", HUNDRED, "--source", publisher.template)
    assert taxi(*arguments).code == 0
    files = Held(taxi, publisher, tmp_path / "data").files
    before = files()
    publisher.methods.clear()
    publisher.headers.clear()
    most.clear()
    ran = taxi(*arguments, "--refresh", "--json")
    up_to_date = dict.fromkeys(("download", "parquetize", "upload"), "up_to_date")
    assert (ran.code, ran.steps) == (0, [up_to_date] * 100), ran.err
    assert publisher.methods == ["HEAD"] * 100  # an answer to HEAD has no body
    assert {headers["If-None-Match"] for headers in publisher.headers} == {'"1"'}
    assert (max(most), files() == before) == (2, True)


def test_a_publisher_that_is_silent_is_not_asked_about_every_file(taxi: Command, publisher: Publisher) -> None:
    publisher.everything = versioned(CSV, etag='"1"')
    arguments = ("download", "--month", "2019-01..2019-12", "--source", publisher.template)
    assert taxi(*arguments).code == 0
    publisher.requests.clear()
    publisher.everything = NOT_ITSELF["503"]
    ran = taxi(*arguments, "--refresh", "--json", **QUICK)
    assert (ran.code, len(publisher.requests) <= 4) == (1, True)  # two at once, two tries each
    (note,) = ran.document["notes"]
    assert note.startswith("127.0.0.1 could not be asked whether it changed 12 published files; ")


def test_with_refresh_months_every_run_asks_about_the_newest_of_each_dataset(
    taxi: Command, publisher: Publisher
) -> None:
    publisher.everything = versioned(CSV, etag='"1"')
    arguments = ("download", "--month", "2019-01..2019-05", "--source", publisher.template)
    assert taxi(*arguments, TAXI_INGEST_DOWNLOAD__REFRESH_MONTHS="2").code == 0
    publisher.requests.clear()
    assert taxi(*arguments, TAXI_INGEST_DOWNLOAD__REFRESH_MONTHS="2").code == 0
    assert sorted(publisher.requests) == [f"/yellow_tripdata_2019-{month}.csv" for month in ("04", "05")]
    publisher.requests.clear()
    assert taxi(*arguments).code == 0
    assert publisher.requests == []


def test_a_run_that_refreshes_by_itself_and_cannot_is_no_failure_and_quiet(held: Held) -> None:
    held.publisher.files[NAME] = NOT_ITSELF["throttled 403"]
    ran = held.run("--quiet", TAXI_INGEST_DOWNLOAD__REFRESH_MONTHS="3")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert "could not be asked" in held.run(TAXI_INGEST_DOWNLOAD__REFRESH_MONTHS="3").out
    assert len(held.publisher.requests) == 4  # HEAD and GET, once a run


def test_made_up_months_are_not_asked_for(taxi: Command) -> None:
    arguments = ("download", "--source", "demo", "--month", "2021-01", "--json")
    taxi(*arguments, TAXI_INGEST_DEMO__ROWS="50")
    assert taxi(*arguments, "--refresh", TAXI_INGEST_DEMO__ROWS="50").steps == [{"download": "up_to_date"}]
