"""All that a whole Airflow is shown with: a publisher, real servers, and tables to compare with."""

from __future__ import annotations

import contextlib
import functools
import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import servers
from home import REPOSITORY
from loopback import LoopbackHandler, serving
from postgres_server import PostgresServer, serving_postgres
from publishing import answer, serve

from taxi_ingest.catalog import Part
from taxi_ingest.sources.demo import month_csv

ROWS = int(os.environ.get("TAXI_ROWS", "50000"))
YEAR = [f"2019-{number:02d}" for number in range(1, 13)]
DAGS = """
from datetime import timedelta
from taxi_ingest.airflow import dag

def made(name, warehouse, store, **more):
    where = {{"source": {source!r}, "warehouse": warehouse, "store": "gs://demo-bucket/" + store}}
    method = "merge" if warehouse.startswith("bigquery") else "table"  # the emulator knows no partition decorators
    config = {{"global": where, "load": {{"method": method}}}}
    return dag("yellow", dag_id=name, config=config, max_active_runs=12, **more)

{dags}
"""


class Months:
    """The publisher: made-up months by name, and an answer of its own for some. `asked` lists the months asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []

    def publish(self, month: str) -> None:
        self.files[month] = gzip.compress(month_csv(Part("yellow", month), ROWS, 1), compresslevel=1, mtime=0)

    def reply(self, to: BaseHTTPRequestHandler) -> None:
        month = to.path.rpartition("_")[2].removesuffix(".csv.gz")
        if to.command == "GET" and month in YEAR:
            self.asked.append(month)
        if month in self.answers:
            self.answers[month](to)
        elif month in self.files:
            serve(to, self.files[month])
        else:
            answer(to, 404, b"not here")

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        months = self

        class Handler(LoopbackHandler):
            def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
                months.reply(self)

            do_HEAD = do_GET  # noqa: N815 - the server's name

        with serving(Handler) as url:
            yield url + "/{dataset}_{month}.csv.gz"

    def hang_once(self, month: str) -> threading.Event:
        """Send half of a month and then nothing, the first time; the event is set when that began."""
        begun = threading.Event()

        def handle(to: BaseHTTPRequestHandler) -> None:
            del self.answers[month]
            body = self.files[month]
            to.send_response(200)
            to.send_header("Content-Length", str(len(body)))
            to.end_headers()
            to.wfile.write(body[: len(body) // 2])
            to.wfile.flush()
            begun.set()
            time.sleep(30)

        self.answers[month] = handle
        return begun

    def once(self, month: str, status: int, **headers: str) -> None:
        """Answer the first request for a month with a status."""

        def handle(to: BaseHTTPRequestHandler) -> None:
            del self.answers[month]
            answer(to, status, b"", **headers)

        self.answers[month] = handle


class Seen:
    """Tells what was seen, and whether all of it was right."""

    def __init__(self) -> None:
        self.wrong = 0
        self._begun = time.monotonic()

    def check(self, sentence: str, right: bool, detail: object = "") -> None:
        self.wrong += not right
        verdict = "seen" if right else "WRONG"
        print(
            f"{time.monotonic() - self._begun:6.0f} s  {verdict:5}  {sentence}" + (f": {detail}" if detail else ""),
            flush=True,
        )


class Stage:
    """All servers, what the command line makes of the same months, and where each DAG's table is."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder, self.months, self.seen = folder, Months(), Seen()
        for month in YEAR:
            self.months.publish(month)
        self.source = stack.enter_context(self.months.serving())
        (folder / "servers").mkdir()
        emulators = REPOSITORY / ".cache" / "emulators"
        self.cloud = stack.enter_context(servers.both(emulators, folder / "servers"))
        self.postgres: PostgresServer = stack.enter_context(serving_postgres())
        self.table = self.postgres.url(self.postgres.database())

    def dags(self, *lines: str) -> str:
        """The DAG file."""
        return DAGS.format(source=self.source, dags="\n".join(lines))

    @functools.cached_property
    def wanted(self) -> Path:
        """The DuckDB file that the command line makes of the year; `asked` begins anew."""
        data = self.folder / "by-command-line"
        command = [sys.executable, "-m", "taxi_ingest", "run", "--month", "2019-01..2019-12", "--source", self.source]
        subprocess.run([*command, "--data-dir", str(data)], check=True, capture_output=True)
        self.months.asked.clear()
        return data / "taxi.duckdb"

    def compare(self, what: str, table: Path) -> None:
        """See whether a DuckDB file holds exactly the rows that the command line made."""
        with duckdb.connect() as db:
            db.execute(f"ATTACH '{self.wanted}' AS wanted (READ_ONLY); ATTACH '{table}' AS got (READ_ONLY)")
            hashes = [
                db.execute(f"SELECT count(*), sum(hash(t)) FROM {name}.yellow_tripdata t").fetchone()
                for name in ("wanted", "got")
            ]
        self.seen.check(
            f"{what}: the table equals that of `taxi-ingest run`, row by row", hashes[0] == hashes[1], hashes[1]
        )

    def compare_postgres(self, what: str) -> None:
        """The same, of the table in Postgres: by way of CSV."""
        exported, copy = self.folder / "postgres.csv", self.folder / "postgres.duckdb"
        copied = "COPY (SELECT * FROM yellow_tripdata) TO STDOUT (FORMAT csv)"
        with psycopg.connect(self.table) as db, exported.open("wb") as file, db.cursor().copy(copied) as rows:
            for piece in rows:
                file.write(piece)
        copy.unlink(missing_ok=True)
        with duckdb.connect(str(copy)) as db:
            db.execute(f"ATTACH '{self.wanted}' AS wanted (READ_ONLY)")
            db.execute("CREATE TABLE yellow_tripdata AS FROM wanted.yellow_tripdata LIMIT 0")
            db.execute(f"COPY yellow_tripdata FROM '{exported}' (FORMAT csv, HEADER false)")
        self.compare(what, copy)

    def compare_bigquery(self, what: str, month: str) -> None:
        """Rows and a sum of one month in BigQuery."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        os.environ.update(self.cloud)
        client = bigquery.Client(project=servers.PROJECT, credentials=AnonymousCredentials())
        sums = "count(*), round(sum(total_amount), 2), sum(trip_distance)"
        got = next(iter(client.query(f"SELECT {sums} FROM trips.yellow_tripdata").result()))
        with duckdb.connect(str(self.wanted), read_only=True) as db:
            wanted = db.execute(f"SELECT {sums} FROM yellow_tripdata WHERE file_month = '{month}-01'").fetchone()
        right = wanted is not None and all(abs(x - y) < 0.01 for x, y in zip(wanted, got.values(), strict=True))
        self.seen.check(f"{what}: rows and sums equal those of `taxi-ingest run`", right, got.values())
