"""What is not loaded cannot cost time: heavy packages stay out of processes that do not need them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import DATA, Command, process

TRAP = "import pathlib, os; pathlib.Path(os.environ['TRAP'], __name__).touch(); raise ImportError\n"
"""A module that leaves a mark when somebody imports it, and is then missing."""


def imported(tmp_path: Path, names: tuple[str, ...], *arguments: str) -> set[str]:
    """Which of `names` the command line tries to import; it must end well without them."""
    traps = tmp_path / "traps"
    traps.mkdir()
    for name in names:
        (traps / f"{name}.py").write_text(TRAP)
    command = [sys.executable, "-m", "taxi_ingest", *arguments]
    ran = process(command, tmp_path, {"PYTHONPATH": str(traps), "TRAP": str(traps), "TAXI_INGEST_DEMO__ROWS": "100"})
    assert ran.code == 0, ran.err
    return {name for name in names if (traps / name).exists()}


@pytest.mark.parametrize("verb", ["run", "plan", "status", "history", "cron"])
def test_help_loads_nothing_heavy(tmp_path: Path, verb: str) -> None:
    heavy = ("pyarrow", "duckdb", "requests", "numpy", "doit", "rich")
    assert imported(tmp_path, heavy, verb, "--help") == set()


def test_an_up_to_date_month_needs_neither_arrow_nor_http_nor_rich(taxi: Command, tmp_path: Path) -> None:
    month = ("run", "--source", "demo", "--month", "2021-01", "--quiet")
    assert taxi(*month, TAXI_INGEST_DEMO__ROWS="100").code == 0
    assert imported(tmp_path, ("pyarrow", "requests", "numpy", "rich"), *month) == set()


@pytest.mark.parametrize("name", ["yellow_tripdata_2019-06.csv", "green_tripdata_2024-01.parquet"])
def test_a_conversion_loads_neither_numpy_nor_pandas_where_they_are_installed(tmp_path: Path, name: str) -> None:
    dataset, _, month = Path(name).stem.split("_")
    source = f"file://{DATA}/{{dataset}}_tripdata_{{month}}{Path(name).suffix}"
    convert = ("parquetize", "--dataset", dataset, "--month", month, "--source", source)
    assert imported(tmp_path, ("numpy", "pandas"), *convert) == set()
