"""Break things on purpose, many times, and count. Exit code 1 if anything differed or failed.

`tests/faults/run` takes an hour or more. `tests/faults/run --kills 0 --starts 0` only tries bad inputs, which takes
about 20 minutes of one processor.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the publisher and the servers of the tests
import crashing
import crowding
import fuzzing

KEPT = Path(__file__).parents[2] / ".cache" / "faults"
"""Where inputs are kept that failed, and the corpus of the campaigns so far."""

IN_MEMORY = Path("/dev/shm")
"""Where inputs that are files are written, if it is there: a disk is what takes longest."""


def main() -> int:
    """Run the campaigns that were asked for and print their totals."""
    asked = _arguments()
    differences = _crash(asked.kills, asked.seed, asked.only or []) if asked.kills else 0
    failures = _fuzz(asked.inputs, asked.seed, asked.processes) if asked.inputs else 0
    wrong = _crowd(asked.starts) if asked.starts else 0
    return 1 if differences or failures or wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/faults/run", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="runs to kill in all (default: 1000)")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="bad inputs to try (default: 1,000,000)")
    parser.add_argument("--starts", type=int, default=100, help="runs to start at once (default: 100)")
    parser.add_argument("--processes", type=int, help="that try inputs at once (default: one a processor)")
    parser.add_argument("--seed", type=int, default=23, help="of moments and inputs (default: 23)")
    parser.add_argument("--only", action="append", help="kill only in scenarios whose names have this; may repeat")
    return parser.parse_args()


def _crash(kills: int, seed: int, only: list[str]) -> int:
    """Kill so many runs; returns how many differences there were."""
    chosen = [one for one in crashing.SCENARIOS if not only or any(word in one.name for word in only)]
    with tempfile.TemporaryDirectory(prefix="taxi-faults-") as folder:
        totals = crashing.campaign(Path(folder), kills, seed, chosen).values()
    differences = sum(len(one.differences) for one in totals)
    lives = sum(one.lives for one in totals)
    print(f"{sum(one.kills for one in totals):,} kills, {lives:,} lives, {differences} differences")
    return differences


def _crowd(starts: int) -> int:
    """Start so many runs at once; returns how much was wrong."""
    with tempfile.TemporaryDirectory(prefix="taxi-faults-") as folder:
        crowd = crowding.crowd(Path(folder), starts, crowding.FOUR)
    wrong = list(crowd.wrong(crowding.FOUR))
    codes = [one.code for one in crowd.ended]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(
        f"{starts} starts at once: {codes.count(0)} ended 0, {codes.count(75)} ended 75, "
        f"at most {crowd.at_once} at work at the same time, {crowd.fetched} files fetched; {len(wrong)} things wrong"
    )
    return len(wrong)


def _fuzz(inputs: int, seed: int, processes: int | None) -> int:
    """Try so many bad inputs; returns how many failed."""
    corpus = KEPT / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    memory = IN_MEMORY if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="taxi-faults-", dir=memory) as folder:
        totals = fuzzing.campaign(Path(folder), inputs, seed, processes, [fuzzing.CORPUS, corpus])
        for failed in Path(folder).glob("failed-*"):
            shutil.copy(failed, KEPT)
    fuzzing.keep(totals, corpus)
    print(*fuzzing.shown(totals), *(line for one in totals.values() for line in one.failures), sep="\n")
    failures = sum(len(one.failures) for one in totals.values())
    print(f"{sum(one.inputs for one in totals.values()):,} inputs, {failures} failures")
    return failures


if __name__ == "__main__":
    sys.exit(main())
