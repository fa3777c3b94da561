"""A published Parquet file that Arrow does not survive fails alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
from commands import Command
from conftest import DATA

GOOD = DATA / "yellow_tripdata_2025-01.parquet"
ABORTING = DATA.parent / "field" / "aborting.parquet"  # the same file with bit 4 of byte 2479 flipped


def test_a_file_that_aborts_arrow_fails_and_the_others_load(taxi: Command, tmp_path: Path) -> None:
    for month in ("01", "02", "03"):
        shutil.copyfile(ABORTING if month == "02" else GOOD, tmp_path / f"yellow_2025-{month}.parquet")
    source = f"file://{tmp_path}/{{dataset}}_{{month}}.parquet"
    ran = taxi(
        "run", "--month", "2025-01..2025-03", "--source", source, "--data-dir", str(tmp_path / "d"), "--jobs", "4"
    )
    assert (ran.code, "is a damaged Parquet file" in ran.err + ran.out) == (1, True)
    with duckdb.connect(str(tmp_path / "d" / "taxi.duckdb")) as db:
        months = db.execute("select distinct strftime(file_month, '%m') from yellow_tripdata order by 1").fetchall()
    assert months == [("01",), ("03",)]
    assert not [*(tmp_path / "d").rglob("*.tmp")]


def test_strict_reaches_the_process_that_converts(taxi: Command, tmp_path: Path) -> None:
    source = f"file://{GOOD}"
    ran = taxi("run", "--month", "2024-02", "--source", source, "--data-dir", str(tmp_path / "d"), "--strict")
    assert (ran.code, "Only 0% of the pickups lie in 2024-02" in ran.err + ran.out) == (1, True)
