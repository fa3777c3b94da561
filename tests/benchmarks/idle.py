"""Doing nothing: help, a month that is up to date, and every month of four datasets that is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from measuring import Candidate
from prepared import OURS, Prepared

IMPORTS = (sys.executable, "-c", "import typer, doit, duckdb")
STEPS = ("download", "parquetize", "upload", "load")
SAMPLES = Path(__file__).parents[1] / "data" / "tlc"
SAMPLE_OF = {
    "yellow": "yellow_tripdata_2019-06.csv",
    "green": "green_tripdata_2019-02.csv",
    "fhv": "fhv_tripdata_2019-08.csv",
    "fhvhv": "fhvhv_tripdata_2020-04.csv",
}
FIRST_MONTH = {"yellow": (2009, 1), "green": (2013, 8), "fhv": (2015, 1), "fhvhv": (2019, 2)}
LAST_MONTH = (2026, 9)


def help_text(folder: Path, _scale: float) -> Prepared:
    """`--help`, beside importing what it is made of."""
    return Prepared(
        0,
        [
            Candidate("taxi-ingest --help", (*OURS, "--help"), folder),
            Candidate("import typer, doit, duckdb", IMPORTS, folder),
        ],
    )


def month(folder: Path, _scale: float) -> Prepared:
    """A month that was done before, run again."""
    command = (*OURS, "run", "--source", "demo", "--month", "2021-01", "--data-dir", str(folder / "data"), "--quiet")
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return Prepared(
        0,
        [
            Candidate("one month, 4 tasks", command, folder),
            Candidate("import typer, doit, duckdb", IMPORTS, folder),
        ],
    )


def backfill(folder: Path, scale: float) -> Prepared:
    """Every month there is, three rows each, done before, run again; and the same graph of files for GNU make."""
    copies = folder / "published"
    copies.mkdir(exist_ok=True)
    parts = [(dataset, month) for dataset in SAMPLE_OF for month in _months(FIRST_MONTH[dataset])]
    parts = parts[: max(int(len(parts) * scale), 1)]
    for dataset, at in parts:
        lines = (SAMPLES / SAMPLE_OF[dataset]).read_bytes().splitlines(keepends=True)
        (copies / f"{dataset}_{at}.csv").write_bytes(b"".join(lines[:4]))
    months = f"{parts[0][1]}..{max(at for _, at in parts)}"
    datasets = ",".join(dict.fromkeys(dataset for dataset, _ in parts))
    command = (*OURS, "run", "--month", months, "--dataset", datasets, "--data-dir", str(folder / "data"), "--quiet")
    source = ("--source", f"file://{copies}/{{dataset}}_{{month}}.csv")
    subprocess.run((*command, *source), cwd=folder, check=False, stdout=subprocess.DEVNULL)
    candidates = [
        Candidate(f"{len(parts):,} months, {4 * len(parts):,} tasks", command, folder),
        Candidate("import typer, doit, duckdb", IMPORTS, folder),
    ]
    if shutil.which("make"):
        candidates.append(Candidate("make, same graph", _made(folder, parts), folder))
    return Prepared(0, candidates)


def _months(first: tuple[int, int]) -> list[str]:
    numbers = range(first[0] * 12 + first[1] - 1, LAST_MONTH[0] * 12 + LAST_MONTH[1])
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in numbers]


def _made(folder: Path, parts: list[tuple[str, str]]) -> tuple[str, ...]:
    """A Makefile of one stamp a task, all made."""
    stamps = folder / "stamps"
    stamps.mkdir(exist_ok=True)
    rules, last = [], []
    for dataset, at in parts:
        before = f"published/{dataset}_{at}.csv"
        for step in STEPS:
            stamp = f"stamps/{dataset}-{at}-{step}"
            rules.append(f"{stamp}: {before}\n\ttouch $@")
            before = stamp
        last.append(before)
    (folder / "Makefile").write_text(f"all: {' '.join(last)}\n" + "\n".join(rules) + "\n")
    subprocess.run(("make", "-s"), cwd=folder, check=True)
    return ("make", "-s")
