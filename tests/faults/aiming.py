"""Kills at a named system call: as strace counts the calls of a run, each window between two of them can be met.

A random moment hits the few milliseconds of a commit hardly ever. A trace of an undisturbed run tells how many calls
there are; a kill then comes before the n-th one.
"""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CALL = re.compile(r"^(\d+) +(\w+)\(")


@dataclass(frozen=True)
class Target:
    """Calls that kills are aimed at: those about `files` of the data directory, or about any where none is named."""

    calls: tuple[str, ...]
    files: tuple[str, ...] = ()


DUCKDB = ("taxi.duckdb", "taxi.duckdb.wal")
COMMITS = Target(("fdatasync", "fsync", "ftruncate", "unlink"), DUCKDB)
WRITES = Target(("write", "pwrite64"), DUCKDB)
HISTORY = Target(
    ("pwrite64", "fdatasync", "fsync", "ftruncate"), tuple(f"state/history.sqlite{end}" for end in ("", "-wal", "-shm"))
)
NAMES = Target(("rename", "renameat", "renameat2", "link", "linkat"))
REQUESTS = Target(("sendto",))


@dataclass(frozen=True)
class Aim:
    """The `number`-th call that one thread makes at a target, from 1."""

    target: Target
    number: int

    def under(self, data: Path) -> list[str]:
        """What a command is run under, so that it is killed there."""
        calls = ",".join(self.target.calls)
        files = [word for name in self.target.files for word in ("-P", str(data / name))]
        inject = f"inject={calls}:signal=KILL:when={self.number}"
        return ["strace", "-f", "-qq", "-o", "/dev/null", *files, "-e", f"trace={calls}", "-e", inject]


def can_aim() -> bool:
    """Whether there is a strace here."""
    return shutil.which("strace") is not None


def tracing(trace: Path, targets: Sequence[Target]) -> list[str]:
    """What a command is run under, so that its calls are written to `trace`."""
    calls = ",".join(dict.fromkeys(call for target in targets for call in target.calls))
    return ["strace", "-f", "-y", "-qq", "-o", str(trace), "-e", f"trace={calls}"]


class Calls:
    """How many calls a thread of the traced run made at most at each target."""

    def __init__(self, trace: Path, targets: Sequence[Target]) -> None:
        lines = trace.read_text(errors="replace").splitlines() if trace.exists() else []
        self._most = {target: _most(lines, target) for target in targets}

    def random(self, chance: random.Random) -> Aim | None:
        """One of all calls, each target as likely as the others; None where nothing was called."""
        targets = [target for target, most in self._most.items() if most]
        if not targets:
            return None
        target = chance.choice(targets)
        return Aim(target, chance.randint(1, self._most[target]))

    def each(self, target: Target) -> list[Aim]:
        """Every call at a target, in order."""
        return [Aim(target, number) for number in range(1, self._most[target] + 1)]


def _most(lines: Sequence[str], target: Target) -> int:
    of_thread = Counter[str]()
    for line in lines:
        found = _CALL.match(line)
        if found and found[2] in target.calls and (not target.files or _is_about(line, target.files)):
            of_thread[found[1]] += 1
    return max(of_thread.values(), default=0)


def _is_about(line: str, files: Sequence[str]) -> bool:
    return any(f"/{name}{end}" in line for name in files for end in '>"')
