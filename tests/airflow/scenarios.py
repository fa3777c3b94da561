"""What is seen on a whole Airflow, by hand: `tests/airflow/by_hand [local|celery]`. Prints each thing that was seen.

A publisher on loopback has twelve months of made-up trips; GCS, BigQuery and Postgres are real servers. `local` is the
LocalExecutor, `celery` two workers with a user and a folder each, which need root and redis-server. `--keep SECONDS`
leaves the web pages up at the end, to be looked at.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "emulators")]

import duckdb  # noqa: E402
import psycopg  # noqa: E402
import servers  # noqa: E402
from home import REPOSITORY  # noqa: E402
from installation import Installation, Worker, free_port, until  # noqa: E402
from loopback import LoopbackHandler, serving  # noqa: E402
from postgres_server import PostgresServer, serving_postgres  # noqa: E402
from publishing import answer, serve  # noqa: E402

from taxi_ingest.catalog import Part  # noqa: E402
from taxi_ingest.sources.demo import month_csv  # noqa: E402

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
        self.wanted = self._by_command_line()
        self.months.asked.clear()

    def dags(self, *lines: str) -> str:
        """The DAG file."""
        return DAGS.format(source=self.source, dags="\n".join(lines))

    def _by_command_line(self) -> Path:
        data = self.folder / "by-command-line"
        command = [sys.executable, "-m", "taxi_ingest", "run", "--month", "2019-01..2019-12", "--source", self.source]
        subprocess.run([*command, "--data-dir", str(data)], check=True, capture_output=True)
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
        from google.cloud import bigquery

        os.environ.update(self.cloud)
        sums = "count(*), round(sum(total_amount), 2), sum(trip_distance)"
        got = next(
            iter(bigquery.Client(project=servers.PROJECT).query(f"SELECT {sums} FROM trips.yellow_tripdata").result())
        )
        with duckdb.connect(str(self.wanted), read_only=True) as db:
            wanted = db.execute(f"SELECT {sums} FROM yellow_tripdata WHERE file_month = '{month}-01'").fetchone()
        right = wanted is not None and all(abs(x - y) < 0.01 for x, y in zip(wanted, got.values(), strict=True))
        self.seen.check(f"{what}: rows and sums equal those of `taxi-ingest run`", right, got.values())


def kill_once(airflow: Installation, dag_id: str, task: str, begun: threading.Event | None) -> threading.Thread:
    """Kill a task of a DAG by SIGKILL in the middle of its work: that of 2019-06 once `begun` is set, else any."""

    def kill() -> None:
        if begun is not None:
            begun.wait(300)
        pid = airflow.pid_of(dag_id, task, "2019-06" if begun else "")
        lying = airflow.left_in_scratch
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            print(f"          killed {task} of {dag_id}, process {pid}; scratch folders then: {len(lying)}", flush=True)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def local(stage: Stage, keep: float) -> None:
    """LocalExecutor with four tasks at once, SQLite as its own database."""
    seen, months = stage.seen, stage.months
    recent = f"{date.today().replace(day=1) - timedelta(days=1):%Y-%m}"
    file = stage.folder / "taxi.duckdb"
    airflow = Installation(stage.folder / "airflow", dict(stage.cloud))
    airflow.create(
        stage.dags(
            f"made('to_duckdb', 'duckdb:{file}', 'duckdb')",
            f"made('to_postgres', {stage.table!r}, 'postgres')",
            f"made('to_bigquery', 'bigquery://{servers.PROJECT}/trips', 'duckdb')",
            f"made('faults', 'duckdb:{stage.folder}/faults.duckdb', 'faults')",
            f"made('waiting', 'duckdb:{stage.folder}/waiting.duckdb', 'waiting', wait=True, poke=timedelta(seconds=5))",
        )
    )
    with airflow.running():
        begun = time.monotonic()
        killed = kill_once(airflow, "to_duckdb", "month.to_store", months.hang_once("2019-06"))
        airflow.backfill("to_duckdb", "2019-01-01", "2019-12-31")
        killed.join()
        seen.check(
            "backfill of 2019 to DuckDB", True, f"{time.monotonic() - begun:.0f} s, a download killed on the way"
        )
        tell_of(seen, airflow, "to_duckdb", 12)
        stage.compare("DuckDB", file)
        seen.check(
            "each month was fetched once, the killed one twice",
            sorted(months.asked) == sorted([*YEAR, "2019-06"]),
            len(months.asked),
        )
        seen.check("no scratch stays behind", not airflow.left_in_scratch, airflow.left_in_scratch)

        months.asked.clear()
        begun = time.monotonic()
        airflow.backfill("to_duckdb", "2019-01-01", "2019-12-31", "--reprocess-behavior", "completed")
        seen.check("a second backfill fetches nothing", not months.asked, f"{time.monotonic() - begun:.0f} s")
        stage.compare("DuckDB after the second backfill", file)

        killed = kill_once(airflow, "to_postgres", "month.load", None)
        airflow.backfill("to_postgres", "2019-01-01", "2019-12-31")
        killed.join()
        tell_of(seen, airflow, "to_postgres", 12)
        stage.compare_postgres("Postgres, a load killed on the way")

        airflow.backfill("to_bigquery", "2019-03-01", "2019-03-31")
        tell_of(seen, airflow, "to_bigquery", 1)
        stage.compare_bigquery("BigQuery, from objects that the DuckDB backfill left", "2019-03")

        months.asked.clear()
        good = months.files["2019-02"]
        months.files["2019-02"] = b"<html>this is not the file</html>"
        months.once("2019-03", 429, Retry_After="3")
        airflow.trigger("faults", json.dumps({"months": f"2019-01..2019-03,{recent}"}))
        airflow.wait_for_runs("faults")
        found = {i.label[:7]: (i.state, i.tries) for i in airflow.instances("faults") if i.task == "month.to_store"}
        wanted = {
            "2019-01": ("success", 1),
            "2019-02": ("failed", 1),
            "2019-03": ("success", 2),
            recent: ("skipped", 1),
        }
        seen.check(
            "a bad file fails once, a throttled one is tried again, an unpublished one is skipped",
            found == wanted,
            found,
        )
        loads = sorted(i.state for i in airflow.instances("faults") if i.task == "month.load")
        seen.check("and they stop no other", loads == ["skipped", "success", "success", "upstream_failed"], loads)
        months.files["2019-02"] = good

        airflow.trigger("waiting", json.dumps({"months": recent}))
        until("the sensor asks", lambda: airflow.states("waiting").get("month.published") == ["up_for_reschedule"], 60)
        seen.check("a month that is not there is waited for", True, airflow.states("waiting"))
        months.publish(recent)
        airflow.wait_for_runs("waiting")
        states = {state for found in airflow.states("waiting").values() for state in found}
        seen.check("and arrives by the sensor", states == {"success"}, airflow.instances("waiting")[-1].label)
        seen.check("no scratch stays behind", not airflow.left_in_scratch, airflow.left_in_scratch)
        stay(airflow, keep)


def celery(stage: Stage, keep: float) -> None:
    """CeleryExecutor: two workers that share nothing, Redis between them, Postgres as Airflow's own database."""
    seen = stage.seen
    metadata = stage.postgres.url(stage.postgres.database())
    with tempfile.TemporaryDirectory(prefix="taxi-celery-") as open_to_all, redis() as broker:
        folder = Path(open_to_all)
        folder.chmod(0o755)
        workers = [Worker(user, folder / user) for user in ("nobody", "daemon")]
        environment = {
            **stage.cloud,
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": metadata.replace("postgresql://", "db+postgresql+psycopg2://"),
        }
        metadata = metadata.replace("postgresql://", "postgresql+psycopg2://")
        airflow = Installation(folder / "airflow", environment, metadata, "CeleryExecutor")
        airflow.create(stage.dags(f"made('to_postgres', {stage.table!r}, 'celery')"))
        with airflow.running(workers):
            killed = kill_once(airflow, "to_postgres", "month.to_store", stage.months.hang_once("2019-06"))
            airflow.backfill("to_postgres", "2019-01-01", "2019-12-31")
            killed.join()
            tell_of(seen, airflow, "to_postgres", 12)
            stage.compare_postgres("Postgres, by two workers")
            hosts = airflow.ask("SELECT unixname, count(*) FROM task_instance GROUP BY 1")
            seen.check("both workers took part", len(hosts) >= 2, hosts)
            for worker in workers:
                seen.check(f"the folder of {worker.user} holds nothing", not worker.left, worker.left)
            stay(airflow, keep)


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis on loopback, of the system's package."""
    port = free_port()
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""], stdout=subprocess.DEVNULL
    )
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()


def tell_of(seen: Seen, airflow: Installation, dag_id: str, parts: int) -> None:
    """See whether all parts went through, and how often their tasks were tried."""
    done = [i for i in airflow.instances(dag_id) if i.task.startswith("month.")]
    tried = {i.task: 0 for i in done}
    for instance in done:
        tried[instance.task] += instance.tries
    right = {i.state for i in done} == {"success"} and all(sum(i.task == t for i in done) == parts for t in tried)
    seen.check(f"{dag_id}: {parts} parts, all tasks succeeded; tries", right, tried)


def stay(airflow: Installation, seconds: float) -> None:
    """Leave everything up for a while."""
    if seconds:
        print(f"          the web pages are at {airflow.url} for {seconds:.0f} s", flush=True)
        time.sleep(seconds)


def main() -> int:
    """Run the scenario that was asked for."""
    words = sys.argv[1:]
    keep = float(words[words.index("--keep") + 1]) if "--keep" in words else 0
    scenario = {"local": local, "celery": celery}[words[0] if words and not words[0].startswith("-") else "local"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="taxi-airflow-") as folder, contextlib.ExitStack() as stack:
        stage = Stage(Path(folder), stack)
        scenario(stage, keep)
        return 1 if stage.seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
