"""A Parquet file whose receipt is lost is believed only if its bytes are those that were written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import pytest
from conftest import Loaded


def forget_all_but_the_parquet(data: Path) -> Path:
    """Delete what later steps made, and the receipts of them and of the conversion; returns the Parquet file."""
    for step in ("parquetize", "upload", "load"):
        for receipt in data.glob(f"state/receipts/*/*/{step}.json"):
            receipt.unlink()
    for folder in ("lake", "lake.marks"):
        shutil.rmtree(data / folder)
    (data / "taxi.duckdb").unlink()
    (parquet,) = data.glob("parquet/*/*.parquet")
    return parquet


def rows(data: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(str(data / "taxi.duckdb"), read_only=True) as db:
        return db.execute("SELECT * FROM yellow_tripdata ORDER BY ALL").fetchall()


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.99])
def test_damage_never_reaches_the_table(loaded: Loaded, share: float) -> None:
    before = rows(loaded.data)
    parquet = forget_all_but_the_parquet(loaded.data)
    content, time = bytearray(parquet.read_bytes()), parquet.stat().st_mtime_ns
    content[int(len(content) * share)] ^= 1
    parquet.write_bytes(content)
    os.utime(parquet, ns=(time, time))
    ran = loaded.run()
    assert (ran.code, ran.steps[0]["parquetize"], rows(loaded.data) == before) == (0, "done", True), ran.err


def test_what_is_intact_is_not_converted_again(loaded: Loaded) -> None:
    before = rows(loaded.data)
    forget_all_but_the_parquet(loaded.data)
    ran = loaded.run()
    assert (ran.code, ran.steps[0]["parquetize"], rows(loaded.data) == before) == (0, "up_to_date", True), ran.err


def test_a_restored_receipt_says_all_that_the_lost_one_said(loaded: Loaded) -> None:
    (path,) = loaded.data.glob("state/receipts/yellow/*/parquetize.json")
    before = path.read_bytes()
    path.unlink()
    loaded.run()
    assert path.read_bytes() == before
