"""A bucket and datasets for the checks, made for them and removed after; and the command line that is checked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.auth import default as default_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud import bigquery, storage

TABLE = "yellow_tripdata"


class NotAsSeenBeforeError(Exception):
    """A check saw something else than it expects; the message says what."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks for; `bucket` and `dataset` are "" where the checks make their own."""

    project: str
    region: str
    months: int
    rows: int
    bucket: str = ""
    dataset: str = ""


@dataclass(frozen=True)
class Ran:
    """A finished run: its exit code, what it printed, and seconds."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The parts of a run with --json."""
        parts: list[dict[str, Any]] = json.loads(self.out)["parts"] if self.out.strip() else []
        return parts

    @property
    def outcomes(self) -> set[str]:
        """How steps ended."""
        return {outcome for part in self.parts for outcome in part["steps"].values()}


@dataclass
class Account:
    """What the checks use. `datasets` and `buckets` are those that were made and are to be removed."""

    asked: Asked
    folder: Path
    emulated: bool = bool(os.environ.get("BIGQUERY_EMULATOR_HOST"))
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    datasets: list[str] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tag = uuid.uuid4().hex[:8]
        credentials = _credentials(emulated=self.emulated)
        self.bigquery = bigquery.Client(project=self.asked.project, credentials=credentials)
        self.storage = storage.Client(project=self.asked.project, credentials=credentials)
        self.bucket = self.asked.bucket or self._new_bucket()
        self.dataset = self.asked.dataset or f"taxi_check_{self._tag}"
        if not self.asked.dataset:
            self.datasets.append(self.dataset)

    @property
    def method(self) -> str:
        """How months are loaded: emulators know no partitions."""
        return "merge" if self.emulated else "partition"

    @property
    def months(self) -> list[str]:
        """The months that are loaded."""
        return [f"{2019 + number // 12}-{number % 12 + 1:02}" for number in range(self.asked.months)]

    def another_dataset(self, name: str) -> str:
        """The name of one more dataset that is removed at the end."""
        self.datasets.append(f"{self.dataset}_{name}")
        return self.datasets[-1]

    def differences(self, table: str, one: str, other: str, where: str = "TRUE") -> int:
        """How many rows, each counted once, one dataset's table has and the other's has not, either way."""
        first, second = (
            f"SELECT * FROM `{self.asked.project}`.`{name}`.`{table}` WHERE {where}" for name in (one, other)
        )
        either = f"({first} EXCEPT DISTINCT {second}) UNION ALL ({second} EXCEPT DISTINCT {first})"
        ((rows,),) = self.ask(f"SELECT COUNT(*) FROM ({either})")
        return int(rows)

    def rows(self, table: str, dataset: str, where: str = "TRUE") -> int:
        """How many rows a table has."""
        ((rows,),) = self.ask(f"SELECT COUNT(*) FROM $.`{table}` WHERE {where}", dataset)
        return int(rows)

    def command(self, verb: str, months: list[str], *more: str, dataset: str = "", **settings: str) -> Any:
        """The arguments of a process that works on made-up months, unless told otherwise, as subprocess takes them."""
        month = ["--month", ",".join(months)] if months else []
        options = [*month, "--data-dir", str(self.folder), "--json", *self.where(dataset), *more]
        environment = {
            "TAXI_INGEST_GLOBAL__SOURCE": "demo",
            "TAXI_INGEST_DEMO__ROWS": str(self.asked.rows),
            "TAXI_INGEST_LOAD__METHOD": self.method,
            **settings,
        }
        return {
            "args": [sys.executable, "-m", "taxi_ingest", verb, *options],
            "env": {**os.environ, **environment},
        }

    def where(self, dataset: str = "") -> list[str]:
        """The options that name store and warehouse."""
        warehouse = f"bigquery://{self.asked.project}/{dataset or self.dataset}"
        return ["--store", f"gs://{self.bucket}/{self._tag}", "--warehouse", warehouse]

    def doctor(self) -> Ran:
        """`taxi-ingest doctor` of store and warehouse."""
        arguments = [sys.executable, "-m", "taxi_ingest", "doctor", "--data-dir", str(self.folder), *self.where()]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout, done.stderr, 0.0)

    def run(self, *months: str, more: tuple[str, ...] = (), dataset: str = "", **settings: str) -> Ran:
        """`taxi-ingest run` of these months."""
        begun = time.monotonic()
        command = self.command("run", list(months), *more, dataset=dataset, **settings)
        done = subprocess.run(**command, capture_output=True, text=True, check=False)
        return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)

    def killed(self, verb: str, month: str, *more: str, when: Callable[[], bool], **settings: str) -> bool:
        """Run and kill -9 as soon as `when` says so; returns whether that was before the end."""
        command = self.command(verb, [month], *more, **settings)
        with subprocess.Popen(**command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and not when():
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        return process.returncode == -signal.SIGKILL

    def is_loading(self) -> bool:
        """Whether a run has sent a job that loads, and has not ended it."""
        question = "SELECT COUNT(*) FROM attempts WHERE step = 'load' AND outcome = 'running' AND jobs != ''"
        with contextlib.closing(sqlite3.connect(self.folder / "state" / "history.sqlite", timeout=10)) as history:
            return bool(history.execute(question).fetchone()[0])

    def ask(self, sql: str, dataset: str = "") -> list[tuple[Any, ...]]:
        """The rows of a query; $ stands for the dataset, # for the table."""
        name = f"`{self.asked.project}`.`{dataset or self.dataset}`"
        rows = self.bigquery.query(sql.replace("#", f"$.`{TABLE}`").replace("$", name)).result()
        return [tuple(row.values()) for row in rows]

    def counts(self, dataset: str = "") -> dict[str, int]:
        """Rows by month, counted in the table."""
        rows = self.ask("SELECT FORMAT_DATE('%Y-%m', file_month), COUNT(*) FROM # GROUP BY 1", dataset)
        return {str(month): int(count) for month, count in rows}

    def bytes_billed(self) -> int:
        """The bytes for which the questions of taxi-ingest were billed since the beginning."""
        jobs = self.bigquery.list_jobs(min_creation_time=self.begun)
        ours = (job for job in jobs if (job.labels or {}).get("made_by") == "taxi-ingest")
        return sum(int(getattr(job, "total_bytes_billed", 0) or 0) for job in ours)

    def remove(self) -> list[str]:
        """Remove what was made; returns what is still there."""
        for name in self.datasets:
            self.bigquery.delete_dataset(name, delete_contents=True, not_found_ok=True)
        for blob in self.storage.list_blobs(self.bucket, prefix=f"{self._tag}/"):
            blob.delete()
        left = [blob.name for blob in self.storage.list_blobs(self.bucket, prefix=f"{self._tag}/")]
        for name in self.buckets:
            self.storage.bucket(name).delete()
        known = {dataset.dataset_id for dataset in self.bigquery.list_datasets()}
        return [*left, *(name for name in self.datasets if name in known)]

    def _new_bucket(self) -> str:
        name = f"{self.asked.project}-taxi-check-{self._tag}"
        self.storage.create_bucket(name, location=self.asked.region)
        self.buckets.append(name)
        return name


@contextlib.contextmanager
def account(asked: Asked, folder: Path) -> Iterator[Account]:
    """An account for the checks; what was made is removed at the end, whatever happens."""
    there = Account(asked, folder)
    try:
        yield there
    finally:
        left = there.remove()
        print(f"removed: datasets {', '.join(there.datasets)}, objects and bucket of gs://{there.bucket}")
        if left:
            print(f"STILL THERE: {', '.join(left)}")


def _credentials(*, emulated: bool) -> Credentials:
    return AnonymousCredentials() if emulated else default_credentials()[0]
