"""What a killed upload leaves in a store outside the data directory goes with the next run; what others write stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command

KILLED_AT_1_MB = """
import resource, runpy, signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
runpy.run_module("taxi_ingest", run_name="__main__", alter_sys=True)
"""
DEMO = {"TAXI_INGEST_DEMO__ROWS": "100000"}
MONTH = ["--month", "2021-01", "--source", "demo"]


@pytest.fixture
def store() -> Iterator[Path]:
    """A folder on another filesystem, where hard links cannot reach, so that an upload takes its time."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("there is no second filesystem")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder) / "lake [1]"


def killed_upload(folder: Path, data: str, store: Path) -> None:
    command = [sys.executable, "-c", KILLED_AT_1_MB, "upload", *MONTH, "--data-dir", data, "--store", str(store)]
    killed = subprocess.run(command, cwd=folder, env=os.environ | DEMO, capture_output=True, check=False, timeout=120)
    assert killed.returncode == -signal.SIGXFSZ, killed.stderr


def scratch(store: Path) -> list[str]:
    """The names of hidden files in the store and in its folder of marks, which is beside it."""
    return sorted(path.name for path in store.parent.rglob(".*"))


def test_the_next_run_removes_what_killed_ones_left_and_nothing_of_another_data_directory(
    taxi: Command, tmp_path: Path, store: Path
) -> None:
    for data in ("ours", "theirs"):
        assert taxi("parquetize", *MONTH, "--data-dir", data, **DEMO).code == 0
        for _ in range(2):
            killed_upload(tmp_path, data, store)
    foreign = store / "yellow" / ".notes.md.abcdefgh.tmp"
    foreign.touch()
    # each killed run began with a sweep of its own, so that one file of each is left
    assert len(scratch(store)) == 3
    ran = taxi("run", *MONTH, "--data-dir", "ours", "--store", str(store), **DEMO)
    assert ran.code == 0, ran.err
    assert len(scratch(store)) == 2
    assert foreign.exists()
    assert taxi("run", *MONTH, "--data-dir", "theirs", "--store", str(store), **DEMO).code == 0
    assert scratch(store) == [foreign.name]


def test_an_idle_run_sweeps_as_well(taxi: Command, tmp_path: Path, store: Path) -> None:
    assert taxi("parquetize", *MONTH, "--data-dir", "ours", **DEMO).code == 0
    killed_upload(tmp_path, "ours", store)
    assert taxi("download", *MONTH, "--data-dir", "ours", TAXI_INGEST_GLOBAL__STORE=str(store), **DEMO).code == 0
    assert scratch(store) == []
