"""Real things for the tests: a publisher on loopback, the command line as a process, and a wall around both."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import duckdb
import pytest
from emulators.fixtures import bigquery_server, gcs_server  # noqa: F401 - fixtures for all
from loopback import LoopbackHandler, serving

DATA = Path(__file__).parent / "data" / "tlc"
REPOSITORY = Path(__file__).parents[1]

REQUIRED = (Path(__file__).parent / "required.txt").read_text().split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI, a suite named in required.txt must be published."""
    if os.environ.get("CI"):
        there = {str(item.path.relative_to(REPOSITORY)) for item in items}
        missing = [suite for suite in REQUIRED if suite not in there]
        if missing and len(there) > len(REQUIRED):
            raise pytest.UsageError(f"suites of required.txt that hold no test: {missing}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In CI, a skip in a suite named in required.txt is a failure."""
    report: Any = yield
    if os.environ.get("CI") and report.skipped and str(item.path.relative_to(REPOSITORY)) in REQUIRED:
        report.outcome = "failed"
        report.longrepr = f"skipped, but this suite is named in required.txt: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def walled_in(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No home, no credentials, no settings of the developer's, and no way out but loopback."""
    for name in list(os.environ):
        if name.startswith(("TAXI_INGEST_", "GOOGLE_", "CLOUDSDK_", "STORAGE_", "BIGQUERY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp() / "home"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nobody answers
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {
            "127.0.0.1",
            "::1",
            "localhost",
        }:
            raise AssertionError(f"a test reached out to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Publisher:
    """A publisher on loopback: `files` by path; a callable answers for itself. `requests` lists what was asked."""

    url: str
    files: dict[str, bytes | Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    everything: Answer | None = None

    @property
    def template(self) -> str:
        """A --source for `/{dataset}_{month}.csv`."""
        return self.url + "/{dataset}_tripdata_{month}.csv"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A publisher that answers 404 for what it does not have, and knows Range and If-Range."""

    class Handler(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            published.requests.append(self.path)
            published.methods.append(self.command)
            published.headers.append(dict(self.headers))
            found = published.everything or published.files.get(self.path)
            if callable(found):
                found(self)
            elif found is None:
                answer(self, 404, b"not here")
            else:
                serve(self, found)

        do_HEAD = do_GET  # noqa: N815 - the server's name

    with serving(Handler) as url:
        published = Publisher(url)
        yield published


def answer(to: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer one request."""
    to.send_response(status)
    for name, value in headers.items():
        to.send_header(name.replace("_", "-"), value)
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    if to.command != "HEAD":
        to.wfile.write(body)


def serve(to: BaseHTTPRequestHandler, body: bytes, etag: str = '"1"') -> None:
    """Serve a file as an object store does: with an ETag, and with Range where If-Range allows it."""
    wanted = to.headers.get("Range")
    if wanted and to.headers.get("If-Range") == etag:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        answer(to, 206, body[start:], ETag=etag, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")
    else:
        answer(to, 200, body, ETag=etag)


@dataclass
class Ran:
    """One finished process."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What --json printed."""
        return json.loads(self.out)

    @property
    def steps(self) -> list[dict[str, str]]:
        """Outcomes by step of every part, of --json."""
        return [part["steps"] for part in self.document["parts"]]


Command = Callable[..., Ran]


@pytest.fixture
def taxi(tmp_path: Path) -> Command:
    """The command line as a process in an empty folder: `taxi("run", "--month", "2021-01")`."""

    def run(*arguments: str, cwd: Path | None = None, **environment: str) -> Ran:
        return process([sys.executable, "-m", "taxi_ingest", *arguments], cwd or tmp_path, environment)

    return run


def process(command: list[str], cwd: Path, environment: dict[str, str] | None = None) -> Ran:
    """Run a command to its end."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


MONTH = DATA / "yellow_tripdata_2020-01.csv"
ALL_UP_TO_DATE = dict.fromkeys(("download", "parquetize", "upload", "load"), "up_to_date")


def only(*done: str) -> dict[str, str]:
    """Outcomes in which just these steps did anything."""
    return ALL_UP_TO_DATE | dict.fromkeys(done, "done")


def query(database: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(database), read_only=True) as db:
        return db.execute(sql).fetchall()


class Loaded:
    """A month loaded into `data` from a publisher."""

    def __init__(self, taxi: Command, publisher: Publisher, folder: Path) -> None:
        publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
        self.taxi = taxi
        self.arguments = ("--month", "2020-01", "--source", publisher.template, "--json")
        self.publisher = publisher
        self.data = folder / "data"
        self.first = self.run()
        publisher.requests.clear()

    def run(self, *more: str, verb: str = "run", **environment: str) -> Ran:
        return self.taxi(verb, *self.arguments, *more, **environment)

    def look(self, verb: str, *more: str, **environment: str) -> Any:
        """The document of a verb that looks back."""
        return self.taxi(verb, *more, "--json", **environment).document

    @property
    def table(self) -> list[tuple[Any, ...]]:
        return query(self.data / "taxi.duckdb", "FROM yellow_tripdata")


@pytest.fixture
def loaded(taxi: Command, publisher: Publisher, tmp_path: Path) -> Loaded:
    return Loaded(taxi, publisher, tmp_path)
