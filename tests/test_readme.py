"""README is executed: its commands run, its tables are those of the code."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import duckdb
from conftest import REPOSITORY, Command, process

from taxi_ingest import catalog, exits
from taxi_ingest.catalog import reading
from taxi_ingest.cli import app

README = (REPOSITORY / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


def test_the_job_command_runs_the_main_job_offline(tmp_path: Path) -> None:
    """The last part of README's first command, word by word; the parts before it install the package."""
    make, install, job = COMMANDS[0].split(" && ")
    assert (make, install) == ("python3 -m venv .venv", ".venv/bin/pip install --quiet .")
    scripts = Path(sys.executable).parent
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(scripts)
    ran = process(["sh", "-c", job], tmp_path)
    assert ran.code == 0, ran.err
    with duckdb.connect(str(tmp_path / "demo-data" / "taxi.duckdb"), read_only=True) as db:
        assert db.execute("SELECT count(*) FROM yellow_tripdata").fetchall() == [(200_000,)]


def test_the_test_command_is_what_ci_runs() -> None:
    command = COMMANDS[COMMANDS.index("tests/run")]
    assert command in (REPOSITORY / ".ci" / "run").read_text().splitlines()


def test_the_exit_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == exits.MEANINGS


def test_every_verb_is_in_readme() -> None:
    verbs = [command.name or "" for command in app.registered_commands]
    assert [verb for verb in verbs if f"taxi-ingest {verb}" not in README and f"`{verb}`" not in README] == []


def test_every_taxi_ingest_command_of_readme_is_understood(taxi: Command) -> None:
    for line in COMMANDS:
        words = line.split("taxi-ingest ", 1)[-1].split() if "taxi-ingest " in line else []
        options = [word for word in words[1:] if word.startswith("--")]
        if words:
            known = taxi(words[0], "--help").out
            assert [option for option in options if option not in known] == [], line


def test_the_sources_lack_what_readme_says() -> None:
    for source in reading.sources().values():
        (row,) = re.findall(rf"^\| `{source.name}` \|.*\| (.*) \|$", README, re.MULTILINE)
        for known in reading.datasets().values():
            lacking = catalog.lacks(known, source)
            coordinates = [name for name in lacking if name.endswith("itude")]
            named = [name for name in lacking if name not in coordinates]
            assert all(f"`{name}`" in row for name in named), (source.name, known.name, lacking)
            assert not coordinates or f"{known.name}: coordinates" in row


def test_an_installed_wheel_works_in_an_empty_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(
        REPOSITORY, source, ignore=shutil.ignore_patterns(".git", ".cache", "*cache*", "data", "tests", "demo-data")
    )
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    installed = process([*pip, str(target), str(source)], tmp_path)
    assert installed.code == 0, installed.err
    empty = tmp_path / "empty"
    empty.mkdir()
    command = [sys.executable, "-m", "taxi_ingest", "run", "--source", "demo", "--month", "2021-01"]
    ran = process(command, empty, {"PYTHONPATH": str(target), "TAXI_INGEST_DEMO__ROWS": "50"})
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in empty.iterdir()) == ["demo-data"]


def test_the_python_of_readme_runs(tmp_path: Path) -> None:
    scripts = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (script,) = [one for one in scripts if "taxi_ingest.airflow" not in one]
    ran = process([sys.executable, "-c", script], tmp_path, {"TAXI_INGEST_DEMO__ROWS": "50"})
    assert ran.code == 0, ran.err
    assert "rows=50" in ran.out
