"""A whole Airflow at work: API server, scheduler, DAG processor, and Celery workers where they are asked for."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from home import PYTHON, REPOSITORY, Home

END_STATES = {"success", "failed"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, found: Callable[[], Any], seconds: float = 600) -> Any:
    """What `found` returns once that is true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.3)
    raise TimeoutError(what)


def python_for_others() -> tuple[Path, dict[str, str]]:
    """A Python that every user may run, and what makes it find Airflow: a venv may lead to one in root's home."""
    real = PYTHON.resolve()
    if all(folder.stat().st_mode & 0o001 for folder in real.parents):
        return PYTHON, {}
    (packages,) = PYTHON.parents[1].glob("lib/python3*/site-packages")
    return Path("/usr/bin") / packages.parent.name, {"PYTHONPATH": f"{REPOSITORY}:{packages}"}


@dataclass
class Worker:
    """A Celery worker: a user and a folder of its own."""

    user: str
    folder: Path

    @property
    def left(self) -> list[str]:
        """What lies in the folder for scratch files."""
        return sorted(str(path) for path in (self.folder / "scratch").rglob("*"))


@dataclass
class Installation(Home):
    """Airflow's processes in a home; `metadata` is the address of its database, "" for SQLite in the folder."""

    metadata: str = ""
    executor: str = "LocalExecutor"
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        url = f"http://127.0.0.1:{self.port}"
        self.environment |= {
            "AIRFLOW__CORE__EXECUTOR": self.executor,
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": "",
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "120",  # machines that do other things are slow
        }
        if self.metadata:
            self.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = self.metadata

    @property
    def url(self) -> str:
        """Where the web pages are."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask Airflow's database, wherever it is."""
        if not self.metadata:
            return super().ask(sql, *parameters)
        import psycopg

        with psycopg.connect(self.metadata.replace("+psycopg2", "")) as db:
            return db.execute(sql.replace("%", "%%").replace("?", "%s").encode(), parameters).fetchall()

    @contextlib.contextmanager
    def running(self, workers: list[Worker] | None = None) -> Iterator[None]:
        """Have all processes up until the block ends."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._process("api-server", self._command("api-server"), self.folder))
            until("the API server answers", self._answers)  # tasks that begin before it does fail
            for name in ("scheduler", "dag-processor"):
                stack.enter_context(self._process(name, self._command(name), self.folder))
            for worker in workers or []:
                stack.enter_context(self._worker(worker))
            until("the DAGs are read", lambda: self.ask("SELECT 1 FROM dag"))
            yield

    def backfill(self, dag_id: str, first: str, last: str, *more: str) -> None:
        """Create a backfill by partition, and wait for its end."""
        dates = ("--from-date", first, "--to-date", last, "--max-active-runs", "12")
        self.airflow("backfill", "create", "--dag-id", dag_id, *dates, *more)
        self.wait_for_runs(dag_id)
        # the next one is refused until this one is closed, which is some time after its last run
        until("the backfill is closed", lambda: not self.ask("SELECT 1 FROM backfill WHERE completed_at IS NULL"))

    def trigger(self, dag_id: str, conf: str) -> None:
        """Start a run by hand."""
        self.airflow("dags", "trigger", dag_id, "--conf", conf)

    def wait_for_runs(self, dag_id: str) -> None:
        """Wait until every run of the DAG has ended."""

        def ended() -> bool:
            sql = "SELECT state FROM dag_run WHERE dag_id = ? AND run_type <> 'scheduled'"
            states = {state for (state,) in self.ask(sql, dag_id)}
            return bool(states) and states <= END_STATES

        until(f"the runs of {dag_id} end", ended, 1800)

    def pid_of(self, dag_id: str, task: str, month: str) -> int:
        """The process of a running task, of a month or of any, waited for."""
        sql = (
            "SELECT pid FROM task_instance WHERE dag_id = ? AND task_id = ? AND state = 'running' AND pid IS NOT NULL "
            "AND run_id NOT LIKE 'scheduled%' AND run_id LIKE ?"
        )
        found = until(f"{task} of {dag_id} is running", lambda: self.ask(sql, dag_id, task, f"%{month}%"))
        return int(found[0][0])

    def _command(self, name: str) -> list[str]:
        return [str(PYTHON), "-m", "airflow", name]

    def _answers(self) -> bool:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{self.url}/api/v2/version").close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    @contextlib.contextmanager
    def _worker(self, worker: Worker) -> Iterator[None]:
        who = pwd.getpwnam(worker.user)
        for path in (worker.folder, worker.folder / "scratch", worker.folder / "home"):
            path.mkdir(parents=True, exist_ok=True)
            os.chown(path, who.pw_uid, who.pw_gid)
            path.chmod(0o700)
        own = {
            "AIRFLOW_HOME": str(worker.folder / "home"),
            "HOME": str(worker.folder / "home"),
            "TMPDIR": str(worker.folder / "scratch"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        }
        python, found = python_for_others()
        command = [
            str(python),
            "-m",
            "airflow",
            "celery",
            "worker",
            "--concurrency",
            "2",
            "--celery-hostname",
            f"{worker.user}@%h",
        ]
        identity = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        with self._process(f"worker-{worker.user}", command, worker.folder / "home", own | found, identity):
            yield

    @contextlib.contextmanager
    def _process(
        self,
        name: str,
        command: list[str],
        cwd: Path,
        environment: dict[str, str] | None = None,
        identity: dict[str, Any] | None = None,
    ) -> Iterator[None]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=self.variables | (environment or {}), cwd=cwd, stdout=log, stderr=log, **(identity or {}),
            )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
