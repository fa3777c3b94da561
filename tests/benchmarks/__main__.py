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

from cases import CASES
from measuring import compare
from prepared import Case
from tables import table

REPOSITORY = Path(__file__).parents[2]
WORK = REPOSITORY / ".cache" / "benchmarks"
PACKAGES = ("pyarrow", "duckdb", "psycopg", "polars", "pandas", "sqlalchemy", "dlt", "doit", "typer")


def main() -> int:
    """Run the cases asked for and print a table of each; returns the exit code, 1 if outputs differ."""
    asked = _arguments()
    print(_machine(), flush=True)
    chosen = [case for case in CASES if not asked.only or case.name in asked.only]
    differences = [line for case in chosen for line in _show(case, asked.rounds, asked.scale, asked.work)]
    return 1 if differences else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run", description=__doc__)
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES], help="a case; may repeat")
    parser.add_argument("--rounds", type=int, default=5, help="how often each candidate runs (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows, to try the benchmarks themselves")
    parser.add_argument("--work", type=Path, default=WORK, help="where inputs are kept (default: .cache/benchmarks)")
    return parser.parse_args()


def _machine() -> str:
    installed = {found.name.lower(): found.version for found in importlib.metadata.distributions()}
    versions = ", ".join(f"{name} {installed[name]}" for name in PACKAGES if name in installed)
    return f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}\n"


def _show(case: Case, rounds: int, scale: float, work: Path) -> list[str]:
    """Run a case and print what came of it; returns a sentence for each output that differs from ours."""
    folder = work.resolve() / (case.name if scale == 1 else f"{case.name}-{scale:g}")
    folder.mkdir(parents=True, exist_ok=True)
    prepared = case.prepare(folder, scale)
    with prepared.ends:
        runs = compare(prepared.candidates, rounds)
        differences = case.check(prepared.candidates)
    print(f"### {case.title}\n\n{table(runs, prepared.rows)}\n", flush=True)
    for sentence in [*differences, *prepared.notes]:
        print(f"- {sentence}")
    if differences or prepared.notes:
        print(flush=True)
    return differences


if __name__ == "__main__":
    sys.exit(main())
