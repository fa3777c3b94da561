"""What is compared: each case makes its input once, names its candidates, and checks that all did the same work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import idle
from measuring import Candidate

HERE = Path(__file__).parent
Prepared = tuple[int, list[Candidate]]


@dataclass(frozen=True)
class Case:
    """A comparison. `prepare` makes the input in a folder at a scale and returns its rows and the candidates.

    `check` returns a sentence for each candidate whose output differs from that of the first.
    """

    name: str
    title: str
    prepare: Callable[[Path, float], Prepared]
    check: Callable[[Path, list[Candidate]], list[str]]


@dataclass(frozen=True)
class Input:
    """A made-up month: `bad` of its rows are spoilt, one in two by an unreadable cell, the others by a field more."""

    dataset: str
    month: str
    suffix: str
    rows: int
    bad: float = 0.0

    def make(self, folder: Path, scale: float) -> tuple[Path, int]:
        """Make it in `folder`, if it is not there; returns its path and rows."""
        rows = int(self.rows * scale)
        path = folder / f"{self.dataset}_{self.month}_{rows}_{self.bad:g}{self.suffix}"
        if not path.exists():
            words = (str(path), self.dataset, self.month, str(rows), str(self.bad))
            subprocess.run([sys.executable, str(HERE / "inputs.py"), *words], check=True)
        return path, rows


def conversion(made: Input, *peers: str, also: Input | None = None) -> Callable[[Path, float], Prepared]:
    """We and `peers` convert an input; `also` is another one that we convert for comparison."""

    def prepare(folder: Path, scale: float) -> Prepared:
        path, rows = made.make(folder, scale)
        candidates = [_candidate("ours", path, made, folder)]
        if also is not None:
            candidates.append(_candidate("ours", also.make(folder, scale)[0], also, folder, "ours, no row spoilt"))
        return rows, candidates + [_candidate(peer, path, made, folder) for peer in peers]

    return prepare


def _candidate(script: str, path: Path, made: Input, folder: Path, name: str = "") -> Candidate:
    name = name or script.replace("_", " ")
    output = folder / f"{name.replace(' ', '_').replace(',', '')}.parquet"
    command = [sys.executable, str(HERE / "candidates" / f"{script}.py"), str(path), str(output)]
    return Candidate(name, (*command, made.dataset, made.month), folder, output)


def same_rows(folder: Path, candidates: list[Candidate]) -> list[str]:
    """Compare row counts, and sums, extremes and nulls of every column, with those of the first candidate."""
    ours, *others = [(one.name, str(one.output)) for one in candidates if one.name != "ours, no row spoilt"]
    differences = []
    for name, output in others:
        command = [sys.executable, str(HERE / "checking.py"), ours[1], output]
        found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout
        differences += [f"{name}: {line}" for line in found.splitlines()]
    return differences


def nothing_written(_folder: Path, _candidates: list[Candidate]) -> list[str]:
    """There is no output to compare."""
    return []


YELLOW = Input("yellow", "2019-01", ".csv.gz", 1_400_000)
ALL = ("lesson", "pandas_chunks", "duckdb_copy", "polars_sink")

CASES = (
    Case("csv", "CSV.gz, yellow, 1.4 M rows", conversion(YELLOW, *ALL), same_rows),
    Case("csv-large", "CSV.gz, yellow, 7.7 M rows", conversion(
        Input("yellow", "2019-01", ".csv.gz", 7_700_000), *ALL), same_rows),
    Case("csv-huge", "CSV.gz, fhvhv, 17 M rows", conversion(
        Input("fhvhv", "2019-02", ".csv.gz", 17_000_000), "duckdb_copy", "polars_sink"), same_rows),
    Case("dirty", "CSV.gz, yellow, 1.4 M rows, 1 in 10,000 spoilt", conversion(
        Input("yellow", "2019-01", ".csv.gz", 1_400_000, 0.0001), "duckdb_rejects", also=YELLOW), same_rows),
    Case("filthy", "CSV.gz, yellow, 1.4 M rows, 1 in 100 spoilt", conversion(
        Input("yellow", "2019-01", ".csv.gz", 1_400_000, 0.01), "duckdb_rejects", also=YELLOW), same_rows),
    Case("parquet", "Parquet, fhvhv, 10 M rows", conversion(
        Input("fhvhv", "2023-01", ".parquet", 10_000_000), "duckdb_copy", "polars_sink"), same_rows),
    Case("help", "--help", idle.help_text, nothing_written),
    Case("idle-month", "A month that is up to date", idle.month, nothing_written),
    Case("idle-backfill", "Every month of four datasets, up to date", idle.backfill, nothing_written),
)  # fmt: skip
"""Every comparison, in the order of the tables."""
