"""The crash campaign: runs are killed at random moments, run again until done, and compared with an undisturbed one.

A life is one data directory with its store and warehouse: it is started and killed a few times, at last left alone,
and must then be what an undisturbed life is: the same rows and marks, the same bytes in every file but logs, history
and receipts, the same names of files, so that nothing is left over. What had a receipt when a run began is not done
again by it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loopback import LoopbackHandler, serving
from places import Content, Destination, Places, places
from publishing import answer, serve

from taxi_ingest.sources.partial import SUFFIX

REPOSITORY = Path(__file__).parents[2]
SAMPLES = REPOSITORY / "tests" / "data" / "tlc"

_CLI = (sys.executable, "-m", "taxi_ingest")
_RUN = (*_CLI, "run", "--quiet", "--jobs", "2")
_DOIT = (sys.executable, "-m", "doit", "-f", str(REPOSITORY / "dodo.py"))

_PATIENCE = 120
"""Seconds after which a run that nobody kills hangs."""

_REPEATED = 400
"""How often the rows of a sample are repeated."""

_OWN_NAMES = ("logs/", "state/", "lake.marks/", "taxi.duckdb")
"""What names times or runs, so that its bytes differ from life to life."""


@dataclass(frozen=True)
class Scenario:
    """What is run and killed: `months` of `dataset`, from files that repeat the sample of the first one's layout."""

    name: str
    dataset: str
    months: tuple[str, ...]
    suffix: str
    destination: Callable[[Places, Path], Destination]
    command: tuple[str, ...] = _RUN
    forced: bool = False

    @property
    def is_doit(self) -> bool:
        return "doit" in self.command


_CSV = ("yellow", ("2019-02", "2019-03", "2019-04", "2019-05"), ".csv")
_PARQUET = ("green", ("2021-01", "2022-03", "2023-02", "2024-01"), ".parquet")


def _folder(**settings: str) -> Callable[[Places, Path], Destination]:
    return functools.partial(Places.in_folder, **settings)


SCENARIOS = (
    Scenario("folder + DuckDB, CSV", *_CSV, _folder()),
    Scenario("folder + DuckDB, Parquet", *_PARQUET, _folder()),
    Scenario("folder + DuckDB, doit", *_CSV, _folder(), command=_DOIT),
    Scenario("folder + DuckDB, --force over loaded months", *_CSV, _folder(), forced=True),
    Scenario("folder + DuckDB, external", *_CSV, _folder(TAXI_INGEST_LOAD__METHOD="external")),
    Scenario("folder + DuckDB, nothing kept", *_CSV, _folder(TAXI_INGEST_GLOBAL__KEEP="")),
    Scenario("Postgres, its server killed as well", *_CSV, Places.in_postgres),
    Scenario("Postgres, --force over loaded months", *_CSV, Places.in_postgres, forced=True),
    Scenario("GCS + BigQuery, CSV", *_CSV, Places.in_cloud),
    Scenario("GCS + BigQuery, --force over loaded months", *_CSV, Places.in_cloud, forced=True),
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


@dataclass
class _Life:
    """One data directory, its destination, and the command that works on them."""

    data: Path
    destination: Destination
    command: tuple[str, ...]
    environment: dict[str, str]

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            (*self.command, *more), cwd=self.data.parent, env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def finish(self, *more: str) -> tuple[int, float]:
        """Run to the end; returns the exit code and the seconds it took."""
        begun = time.monotonic()
        return self.start(*more).wait(_PATIENCE), time.monotonic() - begun

    def receipts(self) -> dict[str, bytes]:
        """The receipts that are there, by their names."""
        folder = self.data / "state"
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.json"))}


@dataclass(frozen=True)
class _State:
    """What a life has come to: tables, bytes of files by name, and the names of those whose bytes may differ."""

    content: Content
    files: dict[str, str]
    names: frozenset[str]

    @classmethod
    def of(cls, life: _Life, *, but_beginnings: bool = False) -> _State:
        """The state of `life`; `but_beginnings` leaves the beginnings of downloads out."""
        paths = [path for path in life.data.rglob("*") if path.is_file()]
        if but_beginnings:
            paths = [path for path in paths if not path.name.endswith((SUFFIX, f"{SUFFIX}.json"))]
        names = {path.relative_to(life.data).as_posix(): path for path in paths}
        kept = {name: path for name, path in names.items() if not name.startswith(_OWN_NAMES)}
        own = frozenset(name for name in names if name not in kept and not name.startswith("logs/"))
        digests = {name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for name, path in kept.items()}
        return cls(life.destination.content(), digests, own)

    def differences(self, other: _State) -> Iterator[str]:
        """How `other` differs from this."""
        for name, here, there in (
            ("tables", self.content, other.content),
            ("files", self.files, other.files),
        ):
            for key in sorted(here.keys() | there.keys()):
                if here.get(key) != there.get(key):
                    yield f"{name}: {key} is {there.get(key, 'missing')}, undisturbed {here.get(key, 'missing')}"
        for name in sorted(self.names ^ other.names):
            if not name.startswith("state/history"):  # a journal may be there while nothing is lost
                yield f"{name} is {'missing' if name in self.names else 'left over'}"


class _Campaign:
    """The kills of one scenario."""

    def __init__(self, scenario: Scenario, template: str, made: Places, folder: Path, chance: random.Random) -> None:
        self._scenario, self._template, self._places = scenario, template, made
        self._folder, self._chance = folder, chance
        self._totals = Totals()
        self._lives = 0

    def run(self, kills: int) -> Totals:
        """Kill so many times; a kill that came too late, after the end, does not count."""
        undisturbed = self._new_life()
        begun = time.monotonic()
        self._finish(undisturbed, "the undisturbed run")
        seconds = time.monotonic() - begun
        expected = _State.of(undisturbed)
        while self._totals.kills < kills:
            self._live(expected, seconds, kills)
        return self._totals

    def _live(self, expected: _State, seconds: float, kills: int) -> None:
        """One life: a few kills, then a run that nobody disturbs."""
        life = self._new_life()
        more = ("--force",) if self._scenario.forced else ()
        if more:
            self._finish(life, "the run before")
        number = self._totals.lives
        for _ in range(self._chance.randint(1, 6)):
            before = life.receipts()
            if self._totals.kills < kills and self._kill(life, more, seconds):
                self._totals.kills += 1
            if not more:
                self._not_done_again(before, life.receipts(), f"life {number}")
        before = life.receipts()
        self._finish(life, f"life {number}")
        if not more:
            self._not_done_again(before, life.receipts(), f"life {number}")
        self._finish(life, f"life {number}, once more")
        self._totals.lives += 1
        # the beginning of a forced download waits for whoever forces it again, 30 days at most
        state = _State.of(life, but_beginnings=self._scenario.forced)
        self._totals.differences += [f"life {number}: {line}" for line in expected.differences(state)]
        shutil.rmtree(life.data.parent)

    def _kill(self, life: _Life, more: tuple[str, ...], seconds: float) -> bool:
        """Start a run and kill it, alone or with what it started, or its server; whether it was still at work."""
        process = life.start(*more)
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
        return process.wait(_PATIENCE) == -signal.SIGKILL

    def _finish(self, life: _Life, what: str) -> None:
        code, _ = life.finish()
        if code:
            self._totals.differences.append(f"{what}: exit {code}")

    def _not_done_again(self, before: dict[str, bytes], after: dict[str, bytes], what: str) -> None:
        changed = [name for name, content in before.items() if after.get(name) != content]
        self._totals.differences += [f"{what}: {name} was there, and was written again" for name in changed]

    def _new_life(self) -> _Life:
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
        return _Life(data, destination, command, _walled(settings | destination.environment))


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
