"""Made-up facts, as large as one likes, for tests of the page and for pictures of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from taxi_ingest.catalog import Part
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.history.reading import PastAttempt, PastRun
from taxi_ingest.page.facts import Facts, PartFacts
from taxi_ingest.state.status import Cell

DATASETS = ("fhv", "fhvhv", "green", "yellow")
MADE = datetime(2026, 1, 15, 6, 17, tzinfo=UTC)
HOSTILE = "</pre></script><script>alert(1)</script><img src=x onerror='alert(2)'>\"'&\x00\u202e\ud800"
DONE: dict[Step, Cell] = dict.fromkeys(STEPS, Cell("done"))


def facts(parts: Sequence[PartFacts], runs: Sequence[PastRun] = (), logs: dict[str, str] | None = None) -> Facts:
    """These parts, in a data directory somewhere."""
    return Facts(
        version="1.2.3",
        made=MADE,
        data_dir=Path("/srv/taxi/data"),
        store="/srv/taxi/data/lake",
        warehouse="duckdb:/srv/taxi/data/taxi.duckdb",
        parts=parts,
        runs=runs,
        run_notes={},
        logs=logs or {},
        attempts_left_out=0,
    )


def part(dataset: str, month: str | None, rows: int = 1_369_765) -> PartFacts:
    """A part that is done, with one attempt of each step."""
    return PartFacts(
        part=Part(dataset, month),
        steps=DONE,
        source="tlc",
        rows=rows,
        expected=rows,
        loaded=rows,
        rejects=0,
        raw_bytes=17 * rows,
        notes=(),
        attempts=tuple(attempt(Part(dataset, month), step, rows) for step in STEPS),
    )


def attempt(of: Part, step: Step, rows: int) -> PastAttempt:
    """A try that was done in a few seconds."""
    run = "20260115T061702-4a7f"
    return PastAttempt(
        run=run,
        dataset=of.dataset,
        month=of.month,
        step=step,
        attempt=1,
        outcome="done",
        started="2026-01-15T06:17:02.000+00:00",
        ended="2026-01-15T06:17:05.000+00:00",
        seconds={"download": 9.4, "parquetize": 1.3, "upload": 0.2, "load": 0.9}[step],
        why="not done yet",
        rows=rows if step in {"parquetize", "load"} else None,
        bytes=17 * rows if step in {"download", "upload"} else None,
        error=None,
        log=f"logs/{run}/{of}-{step}-1.log",
    )


def failed(of: Part, error: str) -> PartFacts:
    """A part that was downloaded, and could not be converted because of `error`."""
    steps: dict[Step, Cell] = {"download": Cell("done"), "parquetize": Cell("failed", error)}
    steps |= {"upload": Cell("missing"), "load": Cell("missing")}
    download, conversion = (attempt(of, step, 1_369_765) for step in ("download", "parquetize"))
    tries = (replace(conversion, outcome="failed", error=error, rows=None), download)
    usual = part(of.dataset, of.month)
    return replace(usual, steps=steps, rows=None, expected=None, loaded=None, rejects=None, attempts=tries)


def run(days_ago: int, seconds: float = 42.0, exit_code: int = 0, request: str = "run --month latest") -> PastRun:
    """One that ended."""
    started = MADE - timedelta(days=days_ago)
    return PastRun(
        run=f"{started:%Y%m%dT%H%M%S}-4a7f",
        state="finished",
        exit=exit_code,
        started=started.isoformat(timespec="milliseconds"),
        ended=(started + timedelta(seconds=seconds)).isoformat(timespec="milliseconds"),
        seconds=seconds,
        version="1.2.3",
        request=request,
        parts=4,
        outcomes={"done": 16},
    )


def months(count: int) -> list[str]:
    """So many months, up to December 2025."""
    last = 2026 * 12 - 1
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(last - count + 1, last + 1)]


def hostile() -> Facts:
    """Facts with hostile text wherever text comes from outside."""
    of = Part("yellow", "2021-01")
    bad = failed(of, HOSTILE)
    tries = tuple(replace(one, log=f"javascript:{HOSTILE}", why=HOSTILE) for one in bad.attempts)
    bad = replace(bad, attempts=tries, notes=(HOSTILE,), source=HOSTILE)
    runs = [replace(run(0, request=HOSTILE), outcomes={HOSTILE: 1})]
    made = facts([bad], runs, {tries[0].log: HOSTILE})
    return replace(
        made,
        data_dir=Path(f"/{HOSTILE[:40]}"),
        store=HOSTILE,
        warehouse=HOSTILE,
        run_notes={runs[0].run: (HOSTILE,)},
    )


def everything(months_of_each: int) -> Facts:
    """Four datasets with so many months each, what can go wrong with them, and a year of runs."""
    parts = [
        _one(dataset, month, number) for dataset in DATASETS for number, month in enumerate(months(months_of_each))
    ]
    bad = next((one for one in parts if one.steps["parquetize"].state == "failed"), None)
    logs = {one.log: "2026-01-15 06:17:05,002 ERROR this try failed\n" for one in bad.attempts} if bad else {}
    runs = [run(day, 0.4 + 4000 * (day == 364) + 30 * (day % 30 == 0), int(day % 97 == 5)) for day in range(365)]
    return facts([*parts, replace(part("zones", None, 265), expected=None)], runs, logs)


def _one(dataset: str, month: str, number: int) -> PartFacts:
    rows = 1_300_000 + 37_000 * (number % 12) + 2_000 * number
    if number % 83 == 40:
        return failed(Part(dataset, month), "The file's columns fit no known layout.")
    if number % 61 == 30:
        fewer = part(dataset, month, rows - 60_000)
        return replace(fewer, expected=rows, notes=(f"{rows - 60_000:,} rows, but {rows:,} are known of this month",))
    if number % 47 == 20:
        return replace(part(dataset, month, rows), rejects=12, notes=("12 lines could not be read",))
    return part(dataset, month, rows)
