"""Kills before each commit of a load: a reader finds the month whole, and the next run makes what is missing."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from aiming import COMMITS, Aim, Calls, can_aim, tracing
from conftest import DATA, query
from crashing import SCENARIOS, at_each

RUN = (sys.executable, "-m", "taxi_ingest", "run", "--quiet", "--data-dir", "data")
YELLOW = ("--month", "2020-01", "--source", f"{DATA.as_uri()}/{{dataset}}_tripdata_{{month}}.csv")
ZONES = ("--dataset", "zones", "--source", f"{DATA.as_uri()}/taxi_zone_lookup.csv")
VIEW = "yellow_trips_with_zones"
NAMED = f"SELECT count(*), count(pickup_zone) FROM {VIEW}"


@pytest.fixture(autouse=True)
def strace() -> None:
    if not can_aim():
        pytest.skip("there is no strace")


def run_in(folder: Path, *arguments: str, under: Sequence[str] = ()) -> int:
    """The exit code of a run in `folder`."""
    return subprocess.run([*under, *RUN, *arguments], cwd=folder, check=False).returncode


def test_a_month_that_is_loaded_again_is_whole_whenever_the_load_is_killed(tmp_path: Path) -> None:
    forced = next(one for one in SCENARIOS if one.forced and "DuckDB" in one.name)
    totals = at_each(tmp_path, replace(forced, months=forced.months[:1]), COMMITS)
    assert totals.kills >= 3
    assert totals.differences == []


def test_the_run_after_a_killed_load_makes_the_view_that_it_had_no_time_for(tmp_path: Path) -> None:
    run = functools.partial(run_in, tmp_path)
    assert run(*ZONES) == 0
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "data", before)
    assert run(*YELLOW, under=tracing(tmp_path / "trace", [COMMITS])) == 0
    killed = [
        aim for aim in Calls(tmp_path / "trace", [COMMITS]).each(COMMITS) if _is_killed(run, aim, tmp_path, before)
    ]
    assert len(killed) >= 3


def _is_killed(run: Callable[..., int], aim: Aim, folder: Path, before: Path) -> bool:
    """Whether a first load was killed there; the run after it must have made the view."""
    shutil.rmtree(folder / "data")
    shutil.copytree(before, folder / "data")
    code = run(*YELLOW, under=aim.under(folder / "data"))
    assert run(*YELLOW) == 0
    assert query(folder / "data" / "taxi.duckdb", NAMED) == [(999, 999)], aim
    return code != 0
