"""Compare taxi-ingest with what a user would otherwise pick: whole processes, in turn, on the same input.

Each case runs all its candidates once a round, one after the other, so that a machine whose speed drifts slows all
of them alike. What counts is the ratio to taxi-ingest in the same round; the tables give medians. This process
imports the standard library only: its children's peak memory begins with what it holds itself.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from cases import CASES, Case
from measuring import Candidate, Run, compare
from tables import table

REPOSITORY = Path(__file__).parents[2]
WORK = REPOSITORY / ".cache" / "benchmarks"
PACKAGES = ("pyarrow", "duckdb", "polars", "pandas", "doit", "typer")


def main() -> int:
    """Run the cases asked for and print a table of each; returns the exit code."""
    asked = _arguments()
    print(_machine(), flush=True)
    for case in CASES:
        if asked.only and case.name not in asked.only:
            continue
        _show(case, asked.rounds, asked.scale)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run", description=__doc__)
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES], help="a case; may repeat")
    parser.add_argument("--rounds", type=int, default=5, help="how often each candidate runs (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows, to try the benchmarks themselves")
    return parser.parse_args()


def _machine() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}\n"


def _show(case: Case, rounds: int, scale: float) -> None:
    folder = WORK / (case.name if scale == 1 else f"{case.name}-{scale:g}")
    folder.mkdir(parents=True, exist_ok=True)
    rows, candidates = case.prepare(folder, scale)
    runs: dict[Candidate, list[Run]] = compare(candidates, rounds)
    differences = case.check(folder, candidates)
    print(f"### {case.title}\n\n{table(runs, rows)}\n", flush=True)
    for difference in differences:
        print(f"- {difference}")
    if differences:
        print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
