"""What a case hands over before it is measured: its input, its candidates, and what must be ended afterwards."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from measuring import Candidate

HERE = Path(__file__).parent
SERVER_LEFT_OUT = "CPU and memory are those of the client; the server's are not counted."
OURS = (sys.executable, "-m", "taxi_ingest")


@dataclass
class Prepared:
    """The candidates of a case, on an input of so many rows (0: none that counts).

    `notes` are sentences for below the table; `ends` closes what was opened, after the outputs are compared.
    """

    rows: int
    candidates: list[Candidate]
    notes: list[str] = field(default_factory=list)
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


@dataclass(frozen=True)
class Case:
    """A comparison. `prepare` makes the input in a folder at a scale; the first candidate is compared with the others.

    `check` returns a sentence for each candidate whose output differs from that of the first.
    """

    name: str
    title: str
    prepare: Callable[[Path, float], Prepared]
    check: Callable[[list[Candidate]], list[str]]


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
        return self._made(folder / f"{self.dataset}_{self.month}_{rows}_{self.bad:g}{self.suffix}", rows)

    def publish(self, folder: Path, scale: float) -> int:
        """Make it in `folder`, if it is not there, under the name that publishers give it; returns its rows."""
        rows = int(self.rows * scale)
        self._made(folder / f"{self.dataset}_tripdata_{self.month}{self.suffix}", rows)
        return rows

    def _made(self, path: Path, rows: int) -> tuple[Path, int]:
        if not path.exists():
            words = (str(path), self.dataset, self.month, str(rows), str(self.bad))
            subprocess.run([sys.executable, str(HERE / "inputs.py"), *words], check=True)
        return path, rows


@contextlib.contextmanager
def serving_postgres(databases: int) -> Iterator[list[str]]:
    """A Postgres server; yields the addresses of so many databases."""
    command = [sys.executable, str(HERE / "postgres.py"), "serve", str(databases)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield [server.stdout.readline().strip() for _ in range(databases)]
        server.communicate()  # closes its input, which ends it


def same_rows(candidates: list[Candidate]) -> list[str]:
    """Compare row counts, and sums, extremes and nulls of every column, with those of the first candidate."""
    outputs = [(one.name, one.database or str(one.output or "")) for one in candidates if not one.other_rows]
    ours, *others = [(name, output) for name, output in outputs if output]
    differences = []
    for name, output in others:
        command = [sys.executable, str(HERE / "checking.py"), ours[1], output]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        differences += [f"{name}: {line}" for line in found.splitlines()]
    return differences


def nothing_written(_candidates: list[Candidate]) -> list[str]:
    """There is no output to compare."""
    return []
