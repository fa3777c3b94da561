"""A publisher that turns hostile: each answer is refused in one sentence, in bounded time and memory, and what is held
stays as it was.

Drips, endless bodies, announced sizes beyond any disk and files that change between two ranges are in `tests/steps`.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import DATA, Answer, answer, process, query, serve
from crowding import SAMPLE
from loopback import LoopbackHandler, serving
from publishing import sends

MEGABYTE = 1 << 20
HEADER, _, LINES = SAMPLE.read_bytes().replace(b"\r", b"").partition(b"\n")
MEMBER = 16 * MEGABYTE
"""Bytes that one member of a bomb of gzip unpacks to; a bomb has 32 of them."""


def bomb(line: bytes) -> bytes:
    """A small file of gzip that holds half a gigabyte of the same line."""
    return gzip.compress(HEADER + b"\n") + gzip.compress(line * (MEMBER // len(line))) * 32


def body(content: bytes) -> Answer:
    return lambda to: answer(to, 200, content)


def lying(announced: Callable[[int], int]) -> Answer:
    """Announce another length than is sent."""
    content = SAMPLE.read_bytes()
    return sends(200, {"Content-Length": str(announced(len(content)))}, content)


def redirect_for_ever(to: BaseHTTPRequestHandler) -> None:
    answer(to, 302, b"", Location=to.path)


@dataclass(frozen=True)
class Hostile:
    """An answer, and a piece of the sentence that it gets; "" where the good lines are loaded as before."""

    answers: Answer
    refusal: str


CSV: dict[str, Hostile] = {
    "a gzip bomb of one line": Hostile(body(bomb(b"0" * 1000)), "longer than 16 MiB"),
    "a gzip bomb of bad lines": Hostile(body(bomb(b"1,2,3\n")), "could not be read"),
    "a gzip bomb of blank lines": Hostile(body(bomb(b"\n")), "no rows"),
    "gzip of 20,000 empty members": Hostile(body(gzip.compress(HEADER) + gzip.compress(b"") * 20_000), "no rows"),
    "a header of 10 MB": Hostile(body(b"x" * (10 * MEGABYTE) + b"\n" + LINES), "is not a CSV file"),
    "a header of a million columns": Hostile(
        body(HEADER + b",x" * 1_000_000 + b"\n" + LINES), "its first line has more than 16,384 bytes"
    ),
    "a line of a million commas": Hostile(body(HEADER + b"\n" + b"," * 1_000_000 + b"x\n" + LINES), ""),
    "a line of 10 MB": Hostile(body(HEADER + b"\n" + b"9" * (10 * MEGABYTE) + b"\n" + LINES), ""),
    "NUL bytes": Hostile(body(SAMPLE.read_bytes() + b"\0" * 100), "NUL bytes"),
    "a header that is not UTF-8": Hostile(body(b"\xff\xfe" * 9 + b"\n" + LINES), "yellow"),
    "a line that is not UTF-8": Hostile(body(HEADER + b"\n\xff\xfe,\xc3\n" + LINES), ""),
    "an HTTP header of 10 MB": Hostile(sends(200, {"X": "x" * (10 * MEGABYTE)}, b""), "connection failed"),
    "10,000 HTTP headers": Hostile(sends(200, {f"X-{n}": "1" for n in range(10_000)}, b""), "connection failed"),
    "a length that is too large": Hostile(lying(lambda size: size * 2), "connection failed"),
    "a length that is too small": Hostile(lying(lambda size: size - 1000), "so it is cut"),
    "a redirect to itself": Hostile(redirect_for_ever, "redirect"),
}


def _damaged(content: bytes) -> bytes:
    """Parquet with bytes of its first pages changed."""
    return content[:200] + b"\xff" * 400 + content[600:]


GREEN = (DATA / "green_tripdata_2024-01.parquet").read_bytes()
PARQUET: dict[str, Hostile] = {
    "damaged pages": Hostile(body(_damaged(GREEN)), "damaged Parquet"),
    "a footer of 2 GB": Hostile(body(GREEN[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1"), "Parquet"),
    "a footer of nonsense": Hostile(body(GREEN[:-9000] + b"\x19\xfc" * 4496 + GREEN[-8:]), "damaged Parquet"),
}

LONG_MONTHS = ("01", "03", "05", "07", "08", "10", "12")  # of 31 days, as that of the sample

MOST_SECONDS = 120
"""For all of them together; a machine that does nothing else takes a tenth of it."""

MOST_MEGABYTES = 600


@dataclass(frozen=True)
class Kind:
    """Cases of one format, each in a month of its own, for which `good` was published before."""

    dataset: str
    suffix: str
    good: Callable[[str], bytes]
    cases: dict[str, Hostile]
    first_year: int

    @property
    def months(self) -> dict[str, Hostile]:
        all_months = (f"{year}-{month}" for year in range(self.first_year, 2030) for month in LONG_MONTHS)
        return dict(zip(all_months, self.cases.values(), strict=False))


KINDS = {
    "csv": Kind("yellow", ".csv", lambda month: SAMPLE.read_bytes().replace(b"2020-01", month.encode()), CSV, 2019),
    "parquet": Kind("green", ".parquet", lambda _: GREEN, PARQUET, 2024),
}


@dataclass
class Ordeal:
    """What a run made of hostile answers: its end, what it took, what it said of each month, what was held by then."""

    code: int
    seconds: float
    megabytes: float
    said: dict[str, str]
    held: tuple[dict[str, int], dict[str, str]]
    held_before: tuple[dict[str, int], dict[str, str]]


def held(data: Path, table: str) -> tuple[dict[str, int], dict[str, str]]:
    """Rows by month, and the digests of all files of the store."""
    months = "SELECT strftime(file_month, '%Y-%m'), count(*) FROM {} GROUP BY ALL"
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (data / "lake").rglob("*.parquet")}
    return dict(query(data / "taxi.duckdb", months.format(table))), files


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def ordeal(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Ordeal:
    hostile = False

    class Handler(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            month = self.path.rpartition("_")[2].partition(".")[0]
            with contextlib.suppress(ConnectionError):
                kind.months[month].answers(self) if hostile else serve(self, kind.good(month))

    folder = tmp_path_factory.mktemp(kind.dataset)
    with serving(Handler) as url:
        run = ["run", "--dataset", kind.dataset, "--month", ",".join(kind.months), "--quiet"]
        run += ["--source", f"{url}/{{dataset}}_tripdata_{{month}}{kind.suffix}"]
        assert taxi(folder, *run)[0] == 0
        before = held(folder / "data", f"{kind.dataset}_tripdata")
        hostile = True
        code, seconds, megabytes = taxi(folder, *run, "--force")
    said = json.loads(process([*TAXI, "history", "latest", "--json"], folder).out)
    errors = {attempt["month"]: attempt["error"] for attempt in said["attempts"] if attempt["error"]}
    return Ordeal(code, seconds, megabytes, errors, held(folder / "data", f"{kind.dataset}_tripdata"), before)


TAXI = (sys.executable, "-m", "taxi_ingest")


def taxi(folder: Path, *arguments: str) -> tuple[int, float, float]:
    """Run a command to its end; its exit code, the seconds it took, and the megabytes its largest process had."""
    tries = {"TAXI_INGEST_DOWNLOAD__TRIES": "1"}
    begun = time.monotonic()
    with (folder / "said.txt").open("wb") as said:
        started = subprocess.Popen([*TAXI, *arguments], cwd=folder, env=os.environ | tries, stdout=said, stderr=said)
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    assert b"Traceback" not in (folder / "said.txt").read_bytes()
    return started.returncode, time.monotonic() - begun, used.ru_maxrss / 1024


def test_each_gets_one_sentence(kind: Kind, ordeal: Ordeal) -> None:
    expected = {month: case.refusal for month, case in kind.months.items() if case.refusal}
    print(ordeal)
    assert ordeal.said.keys() == expected.keys()
    assert {month: said for month, said in ordeal.said.items() if expected[month] not in said} == {}
    assert [said for said in ordeal.said.values() if "\n" in said or len(said) > 1000] == []


def test_it_fails_and_is_no_bug(ordeal: Ordeal) -> None:
    assert ordeal.code == 1


def test_nothing_that_is_held_is_replaced(ordeal: Ordeal) -> None:
    assert ordeal.held == ordeal.held_before


def test_time_and_memory_are_bounded(ordeal: Ordeal) -> None:
    assert (ordeal.seconds < MOST_SECONDS, ordeal.megabytes < MOST_MEGABYTES) == (True, True), ordeal
