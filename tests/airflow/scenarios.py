"""What is seen on a whole Airflow, by hand: `tests/airflow/by_hand [local|celery] [SCENE…]`. Prints what was seen.

A publisher on loopback has twelve months of made-up trips; GCS, BigQuery and Postgres are real servers. `local` is the
LocalExecutor, and its scenes are `duckdb`, `postgres`, `bigquery`, `faults` and `waiting`, all by default. `celery` are
two workers with a user and a folder each, which need root and redis-server. `--keep SECONDS` leaves the web pages up at
the end, to be looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "emulators")]

import servers  # noqa: E402
from installation import Installation, Worker, free_port, until  # noqa: E402
from stage import YEAR, Seen, Stage  # noqa: E402

RECENT = f"{date.today().replace(day=1) - timedelta(days=1):%Y-%m}"
"""A month that is not published yet."""


def kill_once(airflow: Installation, dag_id: str, task: str, begun: threading.Event | None) -> threading.Thread:
    """Kill a task of a DAG by SIGKILL in the middle of its work: that of 2019-06 once `begun` is set, else any."""

    def kill() -> None:
        if begun is not None:
            begun.wait(600)
        pid = airflow.pid_of(dag_id, task, "2019-06" if begun else "")
        lying = airflow.left_in_scratch
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            print(f"          killed {task} of {dag_id}, process {pid}; scratch folders then: {len(lying)}", flush=True)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def duckdb(stage: Stage, airflow: Installation) -> None:
    """A backfill of twelve months, one download killed; the same again, which has nothing to fetch."""
    seen, months, file = stage.seen, stage.months, stage.folder / "to_duckdb.duckdb"
    _ = stage.wanted
    begun = time.monotonic()
    killed = kill_once(airflow, "to_duckdb", "month.to_store", months.hang_once("2019-06"))
    airflow.backfill("to_duckdb", "2019-01-01", "2019-12-31")
    killed.join()
    seen.check("backfill of 2019 to DuckDB", True, f"{time.monotonic() - begun:.0f} s, a download killed on the way")
    tell_of(seen, airflow, "to_duckdb", 12)
    stage.compare("DuckDB", file)
    fetched = sorted(months.asked)
    seen.check("each month was fetched once, the killed one twice", fetched == sorted([*YEAR, "2019-06"]), len(fetched))
    seen.check("no scratch stays behind", not airflow.left_in_scratch, airflow.left_in_scratch)
    months.asked.clear()
    begun = time.monotonic()
    airflow.backfill("to_duckdb", "2019-01-01", "2019-12-31", "--reprocess-behavior", "completed")
    seen.check("a second backfill fetches nothing", not months.asked, f"{time.monotonic() - begun:.0f} s")
    stage.compare("DuckDB after the second backfill", file)


def postgres(stage: Stage, airflow: Installation) -> None:
    """A backfill of twelve months, one load killed."""
    killed = kill_once(airflow, "to_postgres", "month.load", None)
    airflow.backfill("to_postgres", "2019-01-01", "2019-12-31")
    killed.join()
    tell_of(stage.seen, airflow, "to_postgres", 12)
    stage.compare_postgres("Postgres, a load killed on the way")


def bigquery(stage: Stage, airflow: Installation) -> None:
    """One month, from the object that the backfill to DuckDB left, if that was."""
    airflow.backfill("to_bigquery", "2019-03-01", "2019-03-31")
    tell_of(stage.seen, airflow, "to_bigquery", 1)
    stage.compare_bigquery("BigQuery", "2019-03")


def faults(stage: Stage, airflow: Installation) -> None:
    """A bad file, a throttled one and one that is not published, beside a good one."""
    seen, months = stage.seen, stage.months
    good, months.files["2019-02"] = months.files["2019-02"], b"<html>this is not the file</html>"
    months.once("2019-03", 429, Retry_After="3")
    airflow.trigger("faults", json.dumps({"months": f"2019-01..2019-03,{RECENT}"}))
    airflow.wait_for_runs("faults")
    months.files["2019-02"] = good
    found = {i.label[:7]: (i.state, i.tries) for i in airflow.instances("faults") if i.task == "month.to_store"}
    wanted = {"2019-01": ("success", 1), "2019-02": ("failed", 1), "2019-03": ("success", 2), RECENT: ("skipped", 1)}
    what = "a bad file fails once, a throttled one is tried again, an unpublished one is skipped"
    seen.check(what, found == wanted, found)
    loads = sorted(i.state for i in airflow.instances("faults") if i.task == "month.load")
    seen.check("and they stop no other", loads == ["skipped", "success", "success", "upstream_failed"], loads)


def waiting(stage: Stage, airflow: Installation) -> None:
    """A month that is not there, and comes."""
    seen, months = stage.seen, stage.months
    airflow.trigger("waiting", json.dumps({"months": RECENT}))
    until("the sensor asks", lambda: airflow.states("waiting").get("month.published") == ["up_for_reschedule"])
    seen.check("a month that is not there is waited for", True, airflow.states("waiting"))
    months.files[RECENT] = months.files["2019-01"]
    airflow.wait_for_runs("waiting")
    states = {state for found in airflow.states("waiting").values() for state in found}
    seen.check("and arrives by the sensor", states == {"success"}, airflow.instances("waiting")[-1].label)


SCENES: Mapping[str, tuple[str, Callable[[Stage, Installation], None]]] = {
    "duckdb": ("made('to_duckdb', 'duckdb:{folder}/to_duckdb.duckdb', 'duckdb')", duckdb),
    "postgres": ("made('to_postgres', {table!r}, 'postgres')", postgres),
    "bigquery": ("made('to_bigquery', 'bigquery://{project}/trips', 'duckdb')", bigquery),
    "faults": ("made('faults', 'duckdb:{folder}/faults.duckdb', 'faults')", faults),
    "waiting": (
        "made('waiting', 'duckdb:{folder}/waiting.duckdb', 'waiting', wait=True, poke=timedelta(seconds=5))", waiting,
    ),
}  # fmt: skip
"""Scene → its line in the DAG file, and what is done."""


def local(stage: Stage, keep: float, scenes: list[str]) -> None:
    """LocalExecutor with four tasks at once, SQLite as its own database."""
    airflow = Installation(stage.folder / "airflow", dict(stage.cloud))
    chosen = [SCENES[name] for name in scenes or SCENES]
    named = {"folder": stage.folder, "table": stage.table, "project": servers.PROJECT}
    airflow.create(stage.dags(*(line.format(**named) for line, _ in chosen)))
    with airflow.running():
        for _, show in chosen:
            show(stage, airflow)
        stage.seen.check("no scratch stays behind", not airflow.left_in_scratch, airflow.left_in_scratch)
        stay(airflow, keep)


def celery(stage: Stage, keep: float, _scenes: list[str]) -> None:
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
            stay(airflow, keep)
        for worker in workers:
            seen.check(f"the folder of {worker.user} holds nothing", not worker.left, worker.left)


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
    keep = 0.0
    if "--keep" in words:
        at = words.index("--keep")
        keep = float(words[at + 1])
        del words[at : at + 2]
    scenario = {"local": local, "celery": celery}[words[0] if words else "local"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="taxi-airflow-") as folder, contextlib.ExitStack() as stack:
        stage = Stage(Path(folder), stack)
        scenario(stage, keep, words[1:])
        return 1 if stage.seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
