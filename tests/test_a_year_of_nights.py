"""A year of nights that nobody watches: months appear, are late, refused, republished, and missed.

The publisher plays TLC's CDN for yellow (403 with XML for what is not there) and the archive for green (a redirect to
an address that is signed anew each time). `TAXI_NIGHTS=all` runs all 365 nights, by hand; otherwise only those on which
something happens, and the ones after them.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import DATA, MONTH, Command, Publisher, Ran, answer, query
from dates import clock
from loopback import LoopbackHandler, self_signed, serving
from republishing import DENIED, PAGE, versioned

FIRST, LAST = date(2025, 4, 1), date(2026, 3, 31)
MONTHS = [f"2025-{number:02}" for number in range(1, 13)]
LAG = timedelta(days=55)

THROTTLED = [date(2025, 6, 10), date(2025, 6, 11)]
PAGES = {"2025-04": [date(2025, 6, 24), date(2025, 6, 25)]}
"""Nights on which a web page stands in place of a month's file."""
BROKEN = {"2025-07": [date(2025, 9, 24) + timedelta(days=day) for day in range(7)]}
"""Nights on which the download of a month fails."""
CORRECTED = ("2025-03", date(2025, 8, 5))
SAME_BYTES = ("2025-08", date(2025, 11, 5))
OFF = (date(2025, 11, 20), date(2025, 12, 30))
"""The machine is off on these nights and between them."""

SAMPLES = {
    "yellow": (MONTH.read_bytes().splitlines(True)[:61], b"2020-01-"),
    "green": ((DATA / "green_tripdata_2020-06.csv").read_bytes().splitlines(True)[:41], b"2020-06-"),
}
SETTINGS = {
    "TAXI_INGEST_DOWNLOAD__REFRESH_MONTHS": "3",
    "TAXI_INGEST_DOWNLOAD__TRIES": "2",
    "TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0",
    "TAXI_INGEST_GLOBAL__HISTORY_DAYS": "90",
    "PYTHONWARNINGS": "ignore::RuntimeWarning",  # modules in C wonder at the clock that is put in place of Python's
}


def published_on(month: str) -> date:
    year, number = map(int, month.split("-"))
    end = date(year + number // 12, number % 12 + 1, 1) - timedelta(days=1)
    return end + LAG


def content(dataset: str, month: str, day: date) -> bytes:
    """The file of a month as it is on a day: a correction of yellow added two rows."""
    lines, sampled = SAMPLES[dataset]
    cut = -2 if (month, dataset) == (CORRECTED[0], "yellow") and day < CORRECTED[1] else None
    return b"".join(lines[:cut]).replace(sampled, f"{month}-".encode())


@dataclass
class Publishers:
    """Both publishers on one day."""

    publisher: Publisher
    storage: str
    day: date = FIRST
    moved: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        return self.publisher.url + "/{dataset}_tripdata_{month}.csv"

    def page(self, to: BaseHTTPRequestHandler) -> None:
        """What the address that never changes answers."""
        dataset, _, month = urlsplit(to.path).path.strip("/").removesuffix(".csv").split("_")
        if self.day in THROTTLED:
            answer(to, 403, PAGE, Content_Type="text/html")
        elif month not in MONTHS or self.day < published_on(month):
            answer(to, 403, DENIED, Content_Type="application/xml")
        elif dataset == "green":
            answer(to, 302, b"", Location=f"{self.storage}{to.path}?signature={time.monotonic_ns()}")
        elif self.day in PAGES.get(month, []):
            answer(to, 200, PAGE, Content_Type="text/html")
        elif self.day in BROKEN.get(month, []) and to.command == "GET":
            answer(to, 500, b"")
        else:
            self.file(to)

    def file(self, to: BaseHTTPRequestHandler) -> None:
        """The file itself, with its validators."""
        dataset, _, month = urlsplit(to.path).path.strip("/").removesuffix(".csv").split("_")
        on = max([published_on(month), *(since for name, since in (CORRECTED, SAME_BYTES) if name == month)])
        on = on if on <= self.day else published_on(month)
        body = content(dataset, month, self.day)
        if to.command == "GET":
            self.moved.append(f"{self.day} {dataset}-{month}")
        versioned(body, etag=f'"{dataset}-{month}-{on}"', modified=f"{on:%a, %d %b %Y} 09:00:00 GMT")(to)


@pytest.fixture
def publishers(publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publishers]:
    class Storage(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            both.file(self)

        do_HEAD = do_GET  # noqa: N815 - the server's name

    certificate = self_signed(tmp_path, "IP:127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(Storage, certificate) as storage:
        both = Publishers(publisher, storage)
        publisher.everything = both.page
        yield both


def nights() -> list[date]:
    year = [FIRST + timedelta(days=day) for day in range((LAST - FIRST).days + 1)]
    on = [day for day in year if not OFF[0] <= day <= OFF[1]]
    if os.environ.get("TAXI_NIGHTS") == "all":
        return on
    eventful = [
        *map(published_on, MONTHS), *THROTTLED, *PAGES["2025-04"], *BROKEN["2025-07"], CORRECTED[1], SAME_BYTES[1],
        OFF[1],
    ]  # fmt: skip
    after = [day + timedelta(days=1) for day in eventful]
    quiet = set(after) - set(eventful) - {published_on(month) + timedelta(days=1) for month in MONTHS[1::2]}
    return [day for day in on if day in {FIRST, *eventful, *quiet}]


@dataclass
class Year:
    """What the nights said, and what they left in `data`."""

    said: dict[date, Ran]
    data: Path
    moved: list[str]


def whole_year(taxi: Command, publishers: Publishers, folder: Path) -> Year:
    said: dict[date, Ran] = {}
    for night in nights():
        publishers.day = night
        environment = clock(folder / "clock", (night - date.today()).days)
        arguments = ("--month", "2025-01..latest", "--dataset", "yellow,green", "--source", publishers.source)
        said[night] = taxi("run", *arguments, "--quiet", **SETTINGS, **environment)
    return Year(said, folder / "data", publishers.moved)


@pytest.mark.timeout(1800)
def test_a_year_of_nights_leaves_the_right_table_a_readable_history_and_nothing_that_grows(
    taxi: Command, publishers: Publishers, tmp_path: Path
) -> None:
    year = whole_year(taxi, publishers, tmp_path)
    failing = {*THROTTLED, *PAGES["2025-04"], *BROKEN["2025-07"]}
    assert {night: ran.code for night, ran in year.said.items()} == {
        night: int(night in failing) for night in year.said
    }, [ran.out + ran.err for night, ran in year.said.items() if ran.code != int(night in failing)]
    check_what_was_said(year)
    check_table(taxi, publishers, year, tmp_path)
    check_history(taxi, year)
    check_sizes(year, tmp_path / "anew")


def check_what_was_said(year: Year) -> None:
    """Nights without work are silent; the others say what happened."""
    busy = {date.fromisoformat(moved.split()[0]) for moved in year.moved}
    loud = {night for night, ran in year.said.items() if ran.out + ran.err}
    failing = {*THROTTLED, *PAGES["2025-04"], *BROKEN["2025-07"]}
    unasked = {night: year.said[night] for night in loud - busy - failing}
    assert (loud, unasked) == (busy | failing, {})
    assert all("holding us back (403)" in year.said[night].out for night in THROTTLED)
    republished = "yellow-2025-03: the publisher republished it: 58 → 60 rows (was of 2025-05-25, is of 2025-08-05)"
    assert republished in year.said[CORRECTED[1]].out
    assert "same bytes: nothing is reloaded (was of 2025-10-25, is of 2025-11-05)" in year.said[SAME_BYTES[1]].out
    in_a_row = [f"failed in {number} runs in a row, since 2025-09-24" for number in range(3, 8)]
    week = [year.said[night].out for night in BROKEN["2025-07"]]
    assert [[words for words in in_a_row if words in out] for out in week] == [[], [], *([words] for words in in_a_row)]
    back = OFF[1] + timedelta(days=1)
    assert sorted(moved for moved in year.moved if moved.startswith(str(back))) == [
        f"{back} {dataset}-{month}" for dataset in ("green", "yellow") for month in ("2025-09", "2025-10")
    ]


def check_table(taxi: Command, publishers: Publishers, year: Year, folder: Path) -> None:
    """The table holds what loading every file anew gives, and the rows of each file; each was fetched once."""
    publishers.moved = []
    arguments = ("--month", "2025-01..2025-12", "--dataset", "yellow,green", "--source", publishers.source)
    assert taxi("run", *arguments, "--data-dir", str(folder / "anew")).code == 0
    for dataset in ("yellow", "green"):
        rows = "SELECT strftime(file_month, '%Y-%m'), count(*) FROM {} GROUP BY ALL"
        table = f"{dataset}_tripdata"
        assert dict(query(year.data / "taxi.duckdb", rows.format(table))) == {
            month: len(content(dataset, month, LAST).splitlines()) - 1 for month in MONTHS
        }
        everything = f"FROM {table} ORDER BY ALL"
        assert query(year.data / "taxi.duckdb", everything) == query(folder / "anew" / "taxi.duckdb", everything)
    fetched = Counter(moved.split()[1] for moved in year.moved)
    again = {"yellow-2025-03": 2, "yellow-2025-08": 2, "green-2025-03": 2, "green-2025-08": 2}
    assert fetched == {f"{dataset}-{month}": 1 for dataset in ("yellow", "green") for month in MONTHS} | again


def check_history(taxi: Command, year: Year) -> None:
    """The newest runs can be read, those older than the retention are gone, and so are their logs."""
    runs: list[dict[str, Any]] = taxi("history", "--last", "0", "--json").document["runs"]
    newest_first = sorted(year.said, reverse=True)
    limit = newest_first[1] - timedelta(days=90)  # as the last run saw it, which does not trust its own clock
    started = [date.fromisoformat(run["started"][:10]) for run in runs]
    assert started == [night for night in newest_first if night > limit]
    known = {run["run"] for run in runs}
    assert {path.name for path in (year.data / "logs").iterdir()} <= known


def query_history(data: Path, sql: str) -> int:
    with contextlib.closing(sqlite3.connect(data / "state" / "history.sqlite")) as db:
        return int(db.execute(sql).fetchone()[0])


def check_sizes(year: Year, anew: Path) -> None:
    """Nothing is left over, and nothing is much larger than after a single run."""
    parts = 2 * len(MONTHS)
    files = [path.relative_to(year.data) for path in year.data.rglob("*") if path.is_file()]
    count = Counter(path.parts[0] for path in files)
    assert (count["raw"], count["parquet"]) == (parts, parts)
    assert [path for path in files if path.suffix in {".part", ".tmp"}] == []
    assert {path.relative_to(anew) for path in anew.rglob("lake/**/*")} == {
        path.relative_to(year.data) for path in year.data.rglob("lake/**/*")
    }
    assert (year.data / "taxi.duckdb").stat().st_size <= 2 * (anew / "taxi.duckdb").stat().st_size
    ends = query_history(year.data, "SELECT count(*) FROM outcomes")
    assert (year.data / "state" / "history.sqlite").stat().st_size < 100_000 + 150 * ends
