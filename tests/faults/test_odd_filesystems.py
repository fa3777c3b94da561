"""Filesystems of a network, whose calls fail where a disk's do not: what cannot be done is a sentence, the data that is
there stays, and the next run comes to what was wanted. The calls of a real run fail by strace."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import Ran, process, query

RUN = ("run", "--source", "demo", "--month", "2021-01..2021-02", "--data-dir", "data", "--json")
ROWS = 300
RENAME = "rename,renameat,renameat2"

FAIL: dict[str, str] = {
    "a rename of a folder that another machine changed": f"{RENAME}:error=ESTALE:when=2",
    "every second rename": f"{RENAME}:error=EIO:when=3+2",
    "a sync of what the server did not keep": "fsync:error=EIO:when=3",
    "no locks": "flock:error=ENOLCK",
    "no file may be removed": "unlink,unlinkat:error=EBUSY",
}
GO_ON: dict[str, str] = {
    "no hard links": "link,linkat:error=EPERM",
    "no locks of this kind": "flock:error=ENOSYS",
}


@pytest.fixture(autouse=True)
def strace(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    monkeypatch.setenv("TAXI_INGEST_DEMO__ROWS", str(ROWS))


def run(folder: Path, fault: str = "", *only_for: str) -> Ran:
    """A run whose calls fail as `fault` says, if anything, and only those about these paths."""
    calls = fault.partition(":")[0]
    paths = [word for path in only_for for word in ("-P", path)]
    tracing = ["strace", "-f", "-qq", "-o", os.devnull, *paths, "-e", f"trace={calls}", "-e", f"inject={fault}"]
    return process([*(tracing if fault else ()), sys.executable, "-m", "taxi_ingest", *RUN], folder)


def rows(folder: Path) -> int:
    ((count,),) = query(folder / "data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata")
    return int(count)


@pytest.mark.parametrize("fault", FAIL.values(), ids=FAIL)
def test_what_cannot_be_done_is_a_sentence_and_the_next_run_converges(tmp_path: Path, fault: str) -> None:
    failed = run(tmp_path, fault)
    assert (failed.code, "bug" in failed.err, "Traceback" in failed.err) == (1, False, False), failed.err
    again = run(tmp_path)
    assert (again.code, rows(tmp_path)) == (0, 2 * ROWS), again.err


@pytest.mark.parametrize("fault", FAIL.values(), ids=FAIL)
def test_what_is_loaded_stays_when_a_later_run_cannot_go_on(tmp_path: Path, fault: str) -> None:
    assert run(tmp_path).code == 0
    shutil.rmtree(tmp_path / "data" / "state" / "receipts")
    run(tmp_path, fault)
    assert rows(tmp_path) == 2 * ROWS


@pytest.mark.parametrize("fault", GO_ON.values(), ids=GO_ON)
def test_what_is_not_needed_is_done_without(tmp_path: Path, fault: str) -> None:
    ran = run(tmp_path, fault)
    assert (ran.code, rows(tmp_path)) == (0, 2 * ROWS), ran.err


def test_folders_that_cannot_be_synced_need_not_be(tmp_path: Path) -> None:
    data = tmp_path / "data"
    folders = [str(data / name) for name in ("raw/yellow", "parquet/yellow", "lake/yellow")]
    for folder in folders:
        Path(folder).mkdir(parents=True)
    ran = run(tmp_path, "fsync:error=EINVAL", *folders)
    assert (ran.code, rows(tmp_path)) == (0, 2 * ROWS), ran.err
