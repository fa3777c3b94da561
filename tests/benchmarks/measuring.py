"""One process from start to end: wall, processor and peak memory, as the system counted them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Candidate:
    """A command to measure; `output` is the file it writes, None when it writes none."""

    name: str
    command: tuple[str, ...]
    folder: Path
    output: Path | None = None


@dataclass(frozen=True)
class Run:
    """What one run took: seconds on the wall, seconds of all processors, peak resident bytes, bytes written."""

    wall: float
    cpu: float
    peak: int
    size: int


class BrokenCandidateError(Exception):
    """A candidate ended with another exit code than 0, so that its time says nothing."""


def compare(candidates: list[Candidate], rounds: int) -> dict[Candidate, list[Run]]:
    """Run every candidate once unmeasured, and then once a round, in turn."""
    for candidate in candidates:
        measure(candidate)
    runs: dict[Candidate, list[Run]] = {candidate: [] for candidate in candidates}
    for _ in range(rounds):
        for candidate in candidates:
            runs[candidate].append(measure(candidate))
    return runs


def measure(candidate: Candidate) -> Run:
    """Run one candidate to its end. Raises BrokenCandidateError."""
    if candidate.output is not None:
        candidate.output.unlink(missing_ok=True)
    begun = time.perf_counter()
    child = subprocess.Popen(candidate.command, cwd=candidate.folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise BrokenCandidateError(f"{candidate.name} ended with {child.returncode}: {' '.join(candidate.command)}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    size = candidate.output.stat().st_size if candidate.output else 0
    return Run(wall, used.ru_utime + used.ru_stime, peak, size)
