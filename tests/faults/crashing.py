"""The crash campaign: runs are killed at random moments, run again until done, and compared with an undisturbed one.

A life is one data directory with its store and warehouse: it is started and killed a few times, at random moments or at
a system call, at last left alone, and must then be what an undisturbed life is: the same rows, objects and marks, the
same bytes in every file but logs and history, the same names of files, so that nothing is left over. Whoever reads the
table right after a kill finds each month whole, as it was or as it is to be. What had a receipt when a run began is not
done again by it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiming import COMMITS, HISTORY, NAMES, REQUESTS, WRITES, Aim, Calls, Target, can_aim, tracing
from lives import PATIENCE, Life, State, Step
from loopback import LoopbackHandler, serving
from places import Destination, Places, places
from publishing import answer, serve

REPOSITORY = Path(__file__).parents[2]
SAMPLES = REPOSITORY / "tests" / "data" / "tlc"

_CLI = (sys.executable, "-m", "taxi_ingest")
_RUN = (*_CLI, "run", "--quiet", "--jobs", "2")
_DOIT = (sys.executable, "-m", "doit", "-f", str(REPOSITORY / "dodo.py"))

_REPEATED = 400
"""How often the rows of a sample are repeated."""


@dataclass(frozen=True)
class Scenario:
    """What is run and killed: `months` of `dataset`, from files that repeat the sample of the first one's layout.

    At `targets`, kills are aimed.
    """

    name: str
    dataset: str
    months: tuple[str, ...]
    suffix: str
    destination: Callable[[Places, Path], Destination]
    targets: tuple[Target, ...]
    command: tuple[str, ...] = _RUN
    forced: bool = False

    @property
    def is_doit(self) -> bool:
        return "doit" in self.command


_CSV = ("yellow", ("2019-02", "2019-03", "2019-04", "2019-05"), ".csv")
_PARQUET = ("green", ("2021-01", "2022-03", "2023-02", "2024-01"), ".parquet")


def _folder(**settings: str) -> Callable[[Places, Path], Destination]:
    return functools.partial(Places.in_folder, **settings)


_FILES = (COMMITS, WRITES, NAMES, HISTORY)
_SERVER = (REQUESTS, NAMES, HISTORY)

SCENARIOS = (
    Scenario("folder + DuckDB, CSV", *_CSV, _folder(), _FILES),
    Scenario("folder + DuckDB, Parquet", *_PARQUET, _folder(), _FILES),
    Scenario("folder + DuckDB, doit", *_CSV, _folder(), _FILES, command=_DOIT),
    Scenario("folder + DuckDB, --force over loaded months", *_CSV, _folder(), _FILES, forced=True),
    Scenario("folder + DuckDB, external", *_CSV, _folder(TAXI_INGEST_LOAD__METHOD="external"), _FILES),
    Scenario("folder + DuckDB, nothing kept", *_CSV, _folder(TAXI_INGEST_GLOBAL__KEEP=""), _FILES),
    Scenario("Postgres, its server killed as well", *_CSV, Places.in_postgres, _SERVER),
    Scenario("Postgres, --force over loaded months", *_CSV, Places.in_postgres, _SERVER, forced=True),
    Scenario("GCS + BigQuery, CSV", *_CSV, Places.in_cloud, _SERVER),
    Scenario("GCS + BigQuery, --force over loaded months", *_CSV, Places.in_cloud, _SERVER, forced=True),
)


@dataclass
class Totals:
    """What a campaign came to."""

    kills: int = 0
    lives: int = 0
    differences: list[str] = field(default_factory=list)


def campaign(
    folder: Path, kills: int, seed: int, scenarios: Sequence[Scenario] = SCENARIOS, tell: Callable[[str], None] = print
) -> dict[str, Totals]:
    """Kill runs `kills` times in all, spread evenly over `scenarios`; returns the totals by scenario's name."""
    chance = random.Random(seed)
    totals = {}
    with places(folder) as made:
        for number, scenario in enumerate(scenarios):
            own = folder / str(number)
            own.mkdir()
            of_this = kills // len(scenarios) + (number < kills % len(scenarios))
            with _publisher(scenario) as template:
                totals[scenario.name] = _Campaign(scenario, template, made, own, chance).run(of_this)
            found = totals[scenario.name]
            tell(f"{scenario.name}: {found.kills} kills, {found.lives} lives, {len(found.differences)} differences")
            for line in found.differences:
                tell(f"  {line}")
            shutil.rmtree(own)
    return totals


def at_each(folder: Path, scenario: Scenario, target: Target) -> Totals:
    """Kill a run before each call that it makes at `target`: one kill after the other, in one life."""
    with places(folder) as made, _publisher(scenario) as template:
        return _Campaign(scenario, template, made, folder, random.Random()).run_at_each(target)


@dataclass(frozen=True)
class _Undisturbed:
    """What a life comes to that nobody disturbs: its state, its months, the seconds it took, and its system calls."""

    state: State
    months: Mapping[str, str]
    seconds: float
    calls: Calls


class _Campaign:
    """The kills of one scenario."""

    def __init__(self, scenario: Scenario, template: str, made: Places, folder: Path, chance: random.Random) -> None:
        self._scenario, self._template, self._places = scenario, template, made
        self._folder, self._chance = folder, chance
        self._more = ("--force",) if scenario.forced else ()
        self._totals = Totals()
        self._lives = 0

    def run(self, kills: int) -> Totals:
        """Kill so many times; a kill that came too late, after the end, does not count."""
        undisturbed = self._undisturbed()
        while self._totals.kills < kills:
            self._live(undisturbed, kills)
        return self._totals

    def run_at_each(self, target: Target) -> Totals:
        """Kill before each call at `target`, then leave it alone."""
        undisturbed, life = self._undisturbed(), self._new_life()
        if self._more:
            self._finish(life, "the run before")
        for aim in undisturbed.calls.each(target):
            self._totals.kills += self._kill_at(life, aim)
            self._note(f"{aim.number}", self._torn(life.destination.months(), undisturbed.months))
        self._finish(life, "the run after")
        self._note("the run after", undisturbed.state.differences(State.of(life)))
        return self._totals

    def _undisturbed(self) -> _Undisturbed:
        life, what, trace = self._new_life(), "the undisturbed run", self._folder / "trace"
        if self._more:
            self._finish(life, what)
        under = tracing(trace, self._scenario.targets) if can_aim() else ()
        seconds = self._finish(life, what, *self._more, under=under)
        return _Undisturbed(State.of(life), life.destination.months(), seconds, Calls(trace, self._scenario.targets))

    def _live(self, undisturbed: _Undisturbed, kills: int) -> None:
        """One life: a few kills, then a run that nobody disturbs, and one that finds nothing to do."""
        life, what = self._new_life(), f"life {self._totals.lives}"
        if self._more:
            self._finish(life, "the run before")
        for _ in range(self._chance.randint(1, 6)):
            if self._totals.kills >= kills:
                break
            with self._nothing_again(life, what):
                was_at_work = self._kill(life, undisturbed)
            self._note(what, self._torn(life.destination.months(), undisturbed.months))
            self._totals.kills += was_at_work
            if not was_at_work and not self._more:
                break  # all is done, and there is nothing left to kill
        with self._nothing_again(life, what):
            self._finish(life, what)
        self._finish(life, f"{what}, once more")
        self._note(f"{what}, once more", sorted(life.last_outcomes() - {"up_to_date"}))
        self._totals.lives += 1
        # the beginning of a forced download waits for whoever forces it again, 30 days at most
        state = State.of(life, but_beginnings=self._scenario.forced)
        self._note(what, undisturbed.state.differences(state))
        shutil.rmtree(life.data.parent)

    def _note(self, what: str, differences: Iterable[str]) -> None:
        self._totals.differences += [f"{what}: {line}" for line in differences]

    def _kill(self, life: Life, undisturbed: _Undisturbed) -> bool:
        """Start a run and kill it, each second one at a system call; whether it was still at work."""
        aim = undisturbed.calls.random(self._chance) if self._chance.random() < 0.5 else None
        return self._kill_at(life, aim) if aim else self._kill_some_time(life, undisturbed.seconds)

    def _kill_at(self, life: Life, aim: Aim) -> bool:
        code, _ = life.finish(*self._more, under=aim.under(life.data))
        return code == -signal.SIGKILL

    def _kill_some_time(self, life: Life, seconds: float) -> bool:
        """Kill a run at a random moment, alone or with what it started, or with its server."""
        process = life.start(*self._more)
        moment = time.monotonic() + self._chance.uniform(0.1, 1.1) * seconds
        while time.monotonic() < moment:
            if process.poll() is not None:
                return False
            time.sleep(0.002)
        victim = self._chance.choice(("process", "process", "family", "server"))
        if victim == "server":
            life.destination.harm()
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if victim == "family" else os.kill)(process.pid, signal.SIGKILL)
        return process.wait(PATIENCE) == -signal.SIGKILL

    def _torn(self, found: Mapping[str, str], whole: Mapping[str, str]) -> Iterator[str]:
        """Months that a reader would not find whole; those that were loaded before must be there."""
        for month in sorted(found.keys() | (whole.keys() if self._scenario.forced else set())):
            if found.get(month) != whole.get(month):
                yield f"{month} has {found.get(month, 'nothing')} after a kill, and should have {whole.get(month)}"

    def _finish(self, life: Life, what: str, *more: str, under: Sequence[str] = ()) -> float:
        """Run to the end, and return the seconds it took."""
        code, seconds = life.finish(*more, under=under)
        if code:
            self._totals.differences.append(f"{what}: exit {code}")
        return seconds

    @contextlib.contextmanager
    def _nothing_again(self, life: Life, what: str) -> Iterator[None]:
        """Note what a run in the block does although a receipt tells that it is done, unless that is forced."""
        had, attempts = life.receipts(), life.attempts()
        yield
        again: set[Step] = set() if self._more else had & life.tried(attempts)
        self._note(what, (f"{' '.join(step)} has a receipt, and was done again" for step in sorted(again)))

    def _new_life(self) -> Life:
        self._lives += 1
        data = self._folder / f"life-{self._lives}" / "data"
        data.mkdir(parents=True)
        destination = self._scenario.destination(self._places, data)
        settings = {
            "TAXI_INGEST_GLOBAL__DATA_DIR": str(data),
            "TAXI_INGEST_GLOBAL__SOURCE": self._template,
            "TAXI_INGEST_SHARED__DATASET": self._scenario.dataset,
        }
        months = ",".join(self._scenario.months)
        command = (*self._scenario.command, *((f"month={months}",) if self._scenario.is_doit else ("--month", months)))
        return Life(data, destination, command, _walled(settings | destination.environment))


def _walled(settings: dict[str, str]) -> dict[str, str]:
    """The environment without settings and credentials of whoever started the campaign."""
    ours = ("TAXI_INGEST_", "GOOGLE_", "CLOUDSDK_", "STORAGE_", "BIGQUERY_", "PG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"NO_PROXY": "127.0.0.1,localhost"} | settings


def _published(scenario: Scenario) -> dict[str, bytes]:
    """The files of a scenario by their paths; those of CSV repeat the rows of one sample, with the month put in."""
    files = {}
    for month in scenario.months:
        path = f"/{scenario.dataset}_tripdata_{month}{scenario.suffix}"
        if scenario.suffix == ".parquet":
            files[path] = (SAMPLES / path[1:]).read_bytes()
            continue
        header, *rows = (SAMPLES / path[1:].replace(month, scenario.months[0])).read_text().splitlines()
        rows = [row.replace(scenario.months[0], month) for row in rows if row]
        files[path] = "\n".join([header, *rows * _REPEATED, ""]).encode()
    return files


@contextlib.contextmanager
def _publisher(scenario: Scenario) -> Iterator[str]:
    """Publish the files of a scenario on loopback; yields the template of their addresses."""
    files = _published(scenario)

    class Handler(LoopbackHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # whoever asked was killed
                super().handle()

        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            if self.path in files:
                serve(self, files[self.path])
            else:
                answer(self, 404, b"not here")

        do_HEAD = do_GET  # noqa: N815 - the server's name

    with serving(Handler) as url:
        yield url + "/{dataset}_tripdata_{month}" + scenario.suffix
