"""Scratch folders live as long as their task, also when it is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_ingest.engine.scratch import scratch_folder

HOLDER = """
import sys, time
from pathlib import Path
from taxi_ingest.engine.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("half a download")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a scratch folder in `tmp_path`."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_it_is_gone_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_folder(tmp_path) as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "file").write_text("content")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert [path.name for path in tmp_path.glob("*/[!.]*")] == ["file"]
    with scratch_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_the_folder_of_a_living_process_stays(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    with scratch_folder(tmp_path):
        assert holder.poll() is None
        assert len(list(tmp_path.glob("*/file"))) == 1


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "taxi-ingest-notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    with scratch_folder(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "taxi-ingest-notes.txt"]


@pytest.mark.parametrize(
    "name", ["taxi-ingest-data", "taxi-ingest-1.0", "taxi-ingest-scratch-old", "taxi-ingest-scratch"]
)
def test_a_folder_that_somebody_else_named_like_ours_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "raw").mkdir(parents=True)
    (tmp_path / name / "raw" / "yellow.csv").write_text("mine")
    with scratch_folder(tmp_path):
        pass
    assert (tmp_path / name / "raw" / "yellow.csv").read_text() == "mine"


def test_a_folder_whose_process_was_killed_before_it_put_anything_there_is_removed(tmp_path: Path) -> None:
    (tmp_path / "taxi-ingest-scratch-abcd1234").mkdir()
    with scratch_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_processes_that_begin_at_once_remove_nothing_of_each_other(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from taxi_ingest.engine.scratch import scratch_folder\n"
        "for _ in range(200):\n"
        "    with scratch_folder(Path(sys.argv[1])) as folder:\n"
        "        (folder / 'file').write_text('x'); (folder / 'file').read_text()\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [one.wait(timeout=60) for one in started] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []
