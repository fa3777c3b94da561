"""The command line as a process, and what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from publishing import Publisher

DATA = Path(__file__).parent / "data" / "tlc"
SELF = [sys.executable, "-m", "taxi_ingest"]


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
        return process([*SELF, *arguments], cwd or tmp_path, environment)

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


Load = Callable[..., Ran]


@pytest.fixture
def load(taxi: Command, publisher: Publisher) -> Load:
    """Publish one file under the name of a part and run it: `load("yellow", "2010-02", b"…")`."""

    def run(dataset: str, month: str, body: bytes, *more: str) -> Ran:
        publisher.files[f"/{dataset}_tripdata_{month}.csv"] = body
        return taxi("run", "--dataset", dataset, "--month", month, "--source", publisher.template, "--json", *more)

    return run


@pytest.fixture
def loaded(taxi: Command, publisher: Publisher, tmp_path: Path) -> Loaded:
    return Loaded(taxi, publisher, tmp_path)


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one month of 999 rows, to be copied: it is made once for all tests of a file."""
    folder = tmp_path_factory.mktemp("loaded")
    source = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
    ran = process([*SELF, "run", "--month", "2020-01", "--source", source, "--quiet"], folder)
    assert ran.code == 0, ran.err
    return folder / "data"
