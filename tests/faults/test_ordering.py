"""What a receipt tells of is on the disk before the receipt is, so that a crash of the machine loses nothing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from ordering import Call, files_named, out_of_order, traced

MONTH = ("run", "--month", "2021-01", "--source", "demo", "--data-dir", "data", "--quiet")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The system calls of a run of one month."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace")
    monkeypatch.setenv("TAXI_INGEST_DEMO__ROWS", "2000")
    return traced(tmp_path, *MONTH)


def test_every_file_is_synced_before_it_gets_its_name_and_its_folder_before_the_receipt(
    calls: list[Call], tmp_path: Path
) -> None:
    assert out_of_order(calls) == []
    named = [str(path.relative_to(tmp_path / "data")) for path in files_named(calls)]
    receipts = [f"state/receipts/yellow/2021-01/{s}.json" for s in ("download", "parquetize", "upload", "load")]
    assert [name for name in named if name in receipts] == receipts
    for file, receipt in (
        ("raw/yellow/yellow_tripdata_2021-01.csv.gz", receipts[0]),
        ("parquet/yellow/yellow_tripdata_2021-01.parquet", receipts[1]),
        ("lake/yellow/yellow_tripdata_2021-01.parquet", receipts[2]),
        ("lake.marks/yellow/yellow_tripdata_2021-01.parquet.json", receipts[2]),
    ):
        assert named.index(file) < named.index(receipt)


def test_duckdb_has_synced_its_file_before_the_receipt_of_the_load(calls: list[Call], tmp_path: Path) -> None:
    state = tmp_path / "data" / "state" / "receipts" / "yellow" / "2021-01"
    before = calls[: calls.index(next(call for call in calls if call.path == state / "load.json"))]
    loading = before[before.index(next(call for call in calls if call.path == state / "upload.json")) :]
    assert tmp_path / "data" / "taxi.duckdb" in {call.path for call in loading if call.kind == "sync"}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_sync_that_is_left_out_is_noticed(kind: str) -> None:
    data, receipt = Path("/data/raw"), Path("/data/state/receipts")
    calls = [
        Call("sync", data / ".a.tmp"), Call("rename", data / "a", data / ".a.tmp"), Call("sync", data),
        Call("sync", receipt / ".b.tmp"), Call("rename", receipt / "b.json", receipt / ".b.tmp"),
    ]  # fmt: skip
    assert out_of_order(calls) == []
    del calls[0 if kind == "file" else 2]
    assert len(out_of_order(calls)) == 1
