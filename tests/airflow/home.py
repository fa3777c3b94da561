"""An Airflow of our own in a folder: its database, its DAGs, and what came of their tasks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
INSTALLED = REPOSITORY / ".cache" / "airflow"
PYTHON = INSTALLED / "venv" / "bin" / "python"


def is_installed() -> bool:
    """Whether install.sh filled its folder."""
    return (INSTALLED / "installed").is_file()


@dataclass(frozen=True)
class Instance:
    """One task of a run: `label` is what the grid shows for it."""

    task: str
    state: str
    tries: int
    label: str


@dataclass
class Home:
    """AIRFLOW_HOME in `folder`. `environment` is added to that of every command."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of every Airflow process: this home, and nothing of the developer's."""
        passed_on = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
        return passed_on | {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "HOME": str(self.folder),
            "TMPDIR": str(self.scratch),
            "PYTHONPATH": str(REPOSITORY),
            "NO_PROXY": "127.0.0.1,localhost",
            **self.environment,
        }

    @property
    def scratch(self) -> Path:
        """Where tasks make their scratch folders."""
        return self.folder / "scratch"

    @property
    def left_in_scratch(self) -> list[str]:
        """The scratch folders there are."""
        return sorted(path.name for path in self.scratch.glob("taxi-ingest-*"))

    def create(self, dags: str) -> None:
        """Make the database, and a DAG file of this text."""
        for path in (self.folder / "dags", self.scratch):
            path.mkdir(parents=True, exist_ok=True)
        (self.folder / "dags" / "taxi.py").write_text(dags)
        self.airflow("db", "migrate")

    def airflow(self, *arguments: str, fails: bool = False) -> str:
        """Run an Airflow command to its end, and return all that it said."""
        done = subprocess.run(
            [str(PYTHON), "-m", "airflow", *arguments],
            env=self.variables, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=600,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def ask(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask Airflow's database."""
        with sqlite3.connect(f"file:{self.folder / 'airflow.db'}?mode=ro", uri=True, timeout=60) as db:
            return db.execute(sql, parameters).fetchall()

    def instances(self, dag_id: str) -> list[Instance]:
        """The tasks of a DAG's runs, by task and label; not of those that its schedule brought."""
        rows = self.ask(
            "SELECT task_id, state, try_number, coalesce(rendered_map_index, '') FROM task_instance "
            "WHERE dag_id = ? AND run_id NOT LIKE 'scheduled%' ORDER BY 1, 4, 2",
            dag_id,
        )
        return [Instance(*row) for row in rows]

    def states(self, dag_id: str) -> dict[str, list[str]]:
        """The states of a DAG's tasks, by task."""
        found: dict[str, list[str]] = {}
        for instance in self.instances(dag_id):
            found.setdefault(instance.task, []).append(instance.state)
        return found
