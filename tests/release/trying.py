"""Tries an installed release from an empty folder, as somebody would who has nothing else of the project."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from building import Release

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "tests" / "data" / "tlc"

SUITES = (
    "tests/catalog", "tests/history", "tests/readers", "tests/state", "tests/steps", "tests/writers",
    "tests/stores/test_local_store.py", "tests/warehouses/test_duckdb_warehouse.py",
    "tests/warehouses/test_postgres_warehouse.py", "tests/test_run.py", "tests/test_cli.py", "tests/test_doit_words.py",
    "tests/test_looking_back.py", "tests/test_query.py", "tests/test_verify.py", "tests/test_screens.py",
)  # fmt: skip
"""What is run at the lowest versions: whatever leans on a package most."""

_REAL = {"yellow": "2019-02", "green": "2023-02"}
"""Months of which real files are at hand, by dataset: CSV and Parquet."""

_SUFFIX = {"yellow": "csv", "green": "parquet"}


def python(version: str) -> str | None:
    """A Python of this version: the command on PATH, or pyenv's; a command may be a shim that fails, so it is tried."""
    pyenv = (
        subprocess.run(["pyenv", "prefix", version], capture_output=True, text=True, check=False)
        if shutil.which("pyenv")
        else None
    )
    candidates = [
        f"python{version}",
        *([f"{pyenv.stdout.strip()}/bin/python"] if pyenv and not pyenv.returncode else []),
    ]
    check = f"import sys; assert '%d.%d' % sys.version_info[:2] == '{version}'"
    for candidate in candidates:
        found = shutil.which(candidate)
        if found and not subprocess.run([found, "-c", check], capture_output=True, check=False).returncode:
            return found
    return None


def tried(release: Release, python: str, folder: Path, constraints: Path | None = None) -> str:
    """Install the wheel into a new environment in `folder` and use it; returns what was seen."""
    shutil.rmtree(folder, ignore_errors=True)
    _install(python, folder / "venv", f"{release.wheel}[postgres]", constraints)
    empty = folder / "empty"
    empty.mkdir()
    rows = _use(Installed(folder / "venv", empty))
    shutil.rmtree(empty)
    if not constraints:
        _install(python, folder / "of-sdist", str(release.sdist), constraints)
        empty.mkdir()
        Installed(folder / "of-sdist", empty)("run", "--source", "demo")
        shutil.rmtree(empty)
    return f"{rows:,} rows loaded, asked for, looked at and verified, {'wheel' if constraints else 'wheel and sdist'}"


def test(folder: Path, constraints: Path) -> None:
    """Run SUITES in the environment of `tried`."""
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--constraint", constraints]
    pinned = json.loads(_said([*pip[:3], "list", "--format", "json"]))
    (wheel,) = (one["version"] for one in pinned if one["name"] == "taxi-ingest")
    subprocess.run([*pip, f"taxi-ingest[test]=={wheel}", "--find-links", folder.parent / "dist"], check=True)
    tests = [path for path in SUITES if (REPOSITORY / path).exists()]
    subprocess.run([folder / "venv" / "bin" / "pytest", "-q", *tests], cwd=REPOSITORY, check=True)


class Installed:
    """The commands of an environment, called in a folder, with nothing of this one's settings."""

    def __init__(self, venv: Path, folder: Path) -> None:
        self._bin = venv / "bin"
        self._folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAXI_INGEST_", "PYTHON"))}
        self._environment = kept | {"HOME": str(folder / "home"), "TAXI_INGEST_DEMO__ROWS": "20000"}

    def __call__(self, *arguments: str, program: tuple[str, ...] = ("taxi-ingest",), **settings: str) -> str:
        """What a command prints; it is an error if it does not end with 0."""
        command = [self._bin / program[0], *program[1:], *arguments]
        ran = subprocess.run(
            command, cwd=self._folder, env=self._environment | settings, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def doit(self, *arguments: str, **settings: str) -> str:
        """What doit prints, without a clone."""
        return self(*arguments, program=("python", "-m", "taxi_ingest.dodo"), **settings)


def _use(installed: Installed) -> int:
    """The main job, and a look at what it left; returns the rows loaded."""
    made_up = json.loads(installed("run", "--source", "demo", "--json"))
    assert installed("run", "--source", "demo", "--quiet") == "", "a second run had something to do"
    loaded = [made_up["parts"][0]["rows"]]
    for dataset, month in _REAL.items():
        source = f"{PUBLISHED.as_uri()}/{{dataset}}_tripdata_{{month}}.{_SUFFIX[dataset]}"
        asked = ("--dataset", dataset, "--month", month)
        ran = json.loads(installed("run", *asked, "--source", source, "--json"))
        loaded.append(ran["parts"][0]["rows"])
        counted = installed("query", "--json", f"SELECT count(*) AS n FROM {dataset}_tripdata")
        assert json.loads(counted) == [{"n": loaded[-1]}], counted
        installed("verify", *asked)
        installed("rows", *asked)
        by_doit = {"TAXI_INGEST_GLOBAL__DATA_DIR": "by-doit", "TAXI_INGEST_GLOBAL__SOURCE": source}
        installed.doit(f"month={month}", f"dataset={dataset}", "load", **by_doit)
        counted = installed("query", "--json", "--data-dir", "by-doit", f"SELECT count(*) AS n FROM {dataset}_tripdata")
        assert json.loads(counted) == [{"n": loaded[-1]}], counted
    assert "load:yellow-2021-01" in installed.doit("list", "--all"), "doit lists nothing"
    for verb in ("doctor", "status", "history", "logs", "config", "catalog", "plan", "report", "cron"):
        assert installed(verb), f"{verb} prints nothing"
    return sum(loaded)


def _install(python: str, venv: Path, what: str, constraints: Path | None) -> None:
    subprocess.run([python, "-m", "venv", "--clear", venv], check=True)
    pinned = ["--constraint", constraints] if constraints else []
    subprocess.run([venv / "bin" / "python", "-m", "pip", "install", "--quiet", *pinned, what], check=True)
    subprocess.run([venv / "bin" / "python", "-m", "pip", "check"], check=True, stdout=subprocess.DEVNULL)


def _said(command: list[str | Path]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
