"""Many at once: runs started together, verbs that look while a run writes, two data directories on one warehouse.

Each function returns what came of it as plain values; `tests/faults/run --starts 100` does the first with more of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
from loopback import LoopbackHandler, serving
from publishing import answer, serve

REPOSITORY = Path(__file__).parents[2]
SAMPLE = REPOSITORY / "tests" / "data" / "tlc" / "yellow_tripdata_2020-01.csv"
FOUR = ("2020-01", "2020-03", "2020-05", "2020-07")
"""Months of 31 days, as that of the sample has."""
ROWS = 999
"""Rows of the sample."""

CLI = (sys.executable, "-m", "taxi_ingest")
DOIT = (sys.executable, "-m", "doit", "-f", str(REPOSITORY / "dodo.py"))

_PATIENCE = 300  # seconds


class Publisher(contextlib.AbstractContextManager["Publisher"]):
    """Publishes one sample as every month asked for; `held_back` months come only after `let_go`."""

    def __init__(self, *held_back: str) -> None:
        self.requests: list[str] = []
        self.was_asked = threading.Event()
        """Somebody waits for a month that is held back."""
        self._held_back = held_back
        self._may_go = threading.Event()
        self._open = contextlib.ExitStack()
        self.template = ""

    def let_go(self) -> None:
        self._may_go.set()

    def __enter__(self) -> Self:
        outer = self

        class Handler(LoopbackHandler):
            def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
                month = self.path.rpartition("_")[2].removesuffix(".csv")
                outer.requests.append(month)
                if month in outer._held_back:
                    outer.was_asked.set()
                    outer._may_go.wait(_PATIENCE)
                with contextlib.suppress(ConnectionError):
                    serve(self, SAMPLE.read_bytes().replace(b"2020-01", month.encode()))

            def do_HEAD(self) -> None:  # noqa: N802 - the name http.server calls
                answer(self, 404, b"")

        self.template = self._open.enter_context(serving(Handler)) + "/{dataset}_tripdata_{month}.csv"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._may_go.set()
        self._open.close()


def started(command: Sequence[str], folder: Path, publisher: Publisher, **settings: str) -> subprocess.Popen[str]:
    """A process of ours in `folder`, whose data directory is `folder`/data unless `settings` name another."""
    environment = os.environ | {
        "TAXI_INGEST_GLOBAL__DATA_DIR": str(folder / "data"),
        "TAXI_INGEST_GLOBAL__SOURCE": publisher.template,
        **{f"TAXI_INGEST_GLOBAL__{name.upper()}": value for name, value in settings.items()},
    }
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@dataclass
class Ended:
    """How a process ended, and all it said."""

    code: int
    said: str

    @classmethod
    def of(cls, process: subprocess.Popen[str]) -> Ended:
        said, _ = process.communicate(timeout=_PATIENCE)
        return cls(process.returncode, said)

    @property
    def is_a_bug(self) -> bool:
        return self.code == 3 or "Traceback" in self.said or "bug in taxi-ingest" in self.said


# ---- starts


@dataclass
class Crowd:
    """What many starts at once came to."""

    ended: list[Ended]
    fetched: int
    """Files that were asked for."""
    at_once: int
    """The largest number of runs that the history shows at work at the same time."""
    recorded: int
    """Runs in the history."""
    months: dict[str, int] = field(default_factory=dict)
    """Rows of the table by month."""

    def wrong(self, months: Sequence[str]) -> Iterator[str]:
        """What is not as promised, in words."""
        codes = [one.code for one in self.ended]
        if set(codes) - {0, 75} or 0 not in codes:
            yield f"exit codes {sorted(codes)}"
        yield from (f"said: {one.said}" for one in self.ended if one.is_a_bug)
        if self.at_once != 1:
            yield f"{self.at_once} runs at work at the same time"
        if self.recorded != codes.count(0):
            yield f"{self.recorded} runs recorded, {codes.count(0)} ended well"
        if self.fetched != len(months):
            yield f"{self.fetched} files fetched, {len(months)} wanted"
        if self.months != dict.fromkeys(months, ROWS):
            yield f"the table holds {self.months}"


def crowd(folder: Path, starts: int, months: Sequence[str]) -> Crowd:
    """Start so many runs at once, each second one by plain doit, on one data directory."""
    wanted = ",".join(months)
    commands = [(*CLI, "run", "--month", wanted), (*DOIT, f"month={wanted}", "load")]
    with Publisher() as publisher:
        processes = [started(commands[number % 2], folder, publisher) for number in range(starts)]
        ended = [Ended.of(process) for process in processes]
    with contextlib.closing(sqlite3.connect(folder / "data" / "state" / "history.sqlite")) as db:
        spans = db.execute("SELECT started, ended FROM runs").fetchall()
    return Crowd(ended, len(publisher.requests), _most_at_once(spans), len(spans), rows_by_month(folder / "data"))


def _most_at_once(spans: Sequence[tuple[str, str]]) -> int:
    moments = sorted([(start, 1) for start, _ in spans] + [(end or "9", -1) for _, end in spans])
    return max(sum(change for _, change in moments[: at + 1]) for at in range(len(moments)))


def rows_by_month(folder: Path, table: str = "yellow_tripdata") -> dict[str, int]:
    """How many rows the DuckDB file in `folder` has of each month."""
    with duckdb.connect(str(folder / "taxi.duckdb"), read_only=True) as db:
        rows = db.execute(f"SELECT strftime(file_month, '%Y-%m'), count(*) FROM {table} GROUP BY ALL").fetchall()
    return dict(rows)


# ---- verbs that look


LOOKS: dict[str, tuple[tuple[str, ...], set[int]]] = {
    "status": (("status", "--json"), {0}),
    "history": (("history", "latest", "--json"), {0}),
    "logs": (("logs",), {0}),
    "plan": (("plan", "--month", ",".join(FOUR), "--json"), {0}),
    "report": (("report",), {0}),
    "verify": (("verify",), {75}),
    "query": (("query", "SELECT count(*) FROM yellow_tripdata", "--csv"), {0}),
    "rows": (("rows",), {0}),
    "clean": (("clean", "--raw", "--yes"), {75}),
}
"""Verbs that look, or must wait, and how they may end while a run is at work."""


def look_while_a_run_writes(folder: Path, times: int) -> tuple[Ended, dict[str, list[Ended]]]:
    """All of `LOOKS`, so many times each and all at once, while a run loads months again; how all of them ended."""
    with Publisher(FOUR[-1]) as publisher:
        Ended.of(started((*CLI, "run", "--month", "2020-01"), folder, publisher))
        run = started((*CLI, "run", "--month", ",".join(FOUR), "--force"), folder, publisher)
        publisher.was_asked.wait(_PATIENCE)
        looks: dict[str, list[Ended]] = {name: [] for name in LOOKS}

        def look(name: str) -> None:
            for _ in range(times):
                looks[name].append(Ended.of(started((*CLI, *LOOKS[name][0]), folder, publisher)))

        threads = [threading.Thread(target=look, args=(name,)) for name in LOOKS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert run.poll() is None, "the run ended before all had looked"
        publisher.let_go()
        return Ended.of(run), looks


# ---- two data directories


def two_data_directories(
    folder: Path, months: Sequence[str], warehouse: str, store: str
) -> tuple[list[Ended], list[Ended]]:
    """Two runs at once, each in a data directory of its own, with one store and warehouse; then each once more."""
    command = (*CLI, "run", "--month", ",".join(months))
    with Publisher() as publisher:

        def both() -> list[Ended]:
            named = [{"data_dir": str(folder / name), "warehouse": warehouse, "store": store} for name in ("a", "b")]
            return [Ended.of(one) for one in [started(command, folder, publisher, **where) for where in named]]

        return both(), both()


# ---- state/ that goes away


@dataclass
class WithoutState:
    """A run whose `state/` was removed, one that was started before it had ended, and one after it."""

    run: Ended
    beside: Ended
    after: Ended


def lose_state_in_the_middle(folder: Path, lose: Callable[[Path], None] = shutil.rmtree) -> WithoutState:
    """Remove `state/` while a run waits for its last month."""
    command = (*CLI, "run", "--month", ",".join(FOUR[:3]))
    with Publisher(FOUR[2]) as publisher:
        run = started((*command, "--jobs", "1"), folder, publisher)
        publisher.was_asked.wait(_PATIENCE)
        lose(folder / "data" / "state")
        beside = Ended.of(started(command, folder, publisher))
        publisher.let_go()
        return WithoutState(Ended.of(run), beside, Ended.of(started(command, folder, publisher)))
