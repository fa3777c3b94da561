"""The verbs that only look; none of them takes the lock, and all but plan and doctor do without a network."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxi_ingest.cli.options import (
    AsJson,
    At,
    Config,
    DataDir,
    DatasetName,
    Force,
    Given,
    Last,
    Month,
    OnlyFailed,
    Source,
    Store,
    Strict,
    Warehouse,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from taxi_ingest.history.reading import PastRuns
    from taxi_ingest.state.plan import Plan


def plan(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    month: Month = None,
    dataset: DatasetName = None,
    source: Source = None,
    store: Store = None,
    warehouse: Warehouse = None,
    force: Force = False,
    strict: Strict = False,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Foresee `run` with the same options."""
    from taxi_ingest import job as request
    from taxi_ingest import report
    from taxi_ingest.report import plans
    from taxi_ingest.state import plan as planning

    given = Given(month, dataset, source, store, warehouse, strict=strict, config=config, data_dir=data_dir)
    pipeline, notices = request.pipeline(given.settings(), verb="run", force=force)
    planned = planning.plan(pipeline)
    report.say(report.console(stderr=as_json), notices)
    if as_json:
        _print_json(_plan_document(planned))
    else:
        plans.plan(report.console(), planned)


def status(
    month: Month = None,
    dataset: DatasetName = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how far every part is."""
    from taxi_ingest import job as request
    from taxi_ingest import report
    from taxi_ingest.errors import TransientError
    from taxi_ingest.report import grids
    from taxi_ingest.state import status as looking
    from taxi_ingest.state.observe import Situations

    settings = Given(config=config, data_dir=data_dir).settings()
    wanted = request.chooser(months=month or [], datasets=dataset or [])
    there = Situations(request.pipeline_of(settings, ()))
    there.warehouse.patience = 0.0
    with _past_runs(there.pipeline.data_dir) as past:
        attempts = past.last_attempts()
    parts = [part for part in looking.known_parts(there, attempts) if wanted(part)]
    try:
        grid = looking.grid(there, parts, attempts)
    except TransientError:
        there.asks = "nobody"  # a run, or somebody at a prompt, has the database open
        grid = looking.grid(there, parts, attempts)
    if as_json:
        cells = [{"dataset": p.dataset, "month": p.month} | {s: asdict(c) for s, c in grid[p].items()} for p in parts]
        _print_json({"parts": cells})
    else:
        grids.status(report.console(), grid, there.pipeline.data_dir)


def history(
    run: Annotated[str | None, typer.Argument(help="A run, the beginning of its name, or latest.")] = None,
    failed: OnlyFailed = False,
    last: Last = 20,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show runs, or one run's attempts."""
    from taxi_ingest import report
    from taxi_ingest.report import past as reporting

    folder = _data_dir(config, data_dir)
    with _past_runs(folder) as past:
        if run is None:
            found = past.newest(last, failed=failed)
            if as_json:
                _print_json({"runs": [asdict(one) for one in found]})
            elif found or not failed:
                reporting.runs(report.console(), found, folder)
            else:
                report.say(report.console(), ["No run left anything undone."])
            return
        one = past.named(run)
        attempts, outcomes = past.attempts(one, failed=failed), past.outcomes(one)
    if as_json:
        ends = [{"dataset": p.dataset, "month": p.month, "step": s, "outcome": o} for p, s, o in outcomes]
        _print_json({"run": asdict(one), "attempts": [asdict(a) for a in attempts], "outcomes": ends})
    else:
        reporting.run(report.console(), one, attempts, outcomes)


def logs(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN] [PART] [STEP]", help="A run (else the newest), a part such as yellow-2021-01."),
    ] = None,
    failed: OnlyFailed = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Print log files, each under a line that says whose it is."""
    from taxi_ingest import report
    from taxi_ingest.errors import UsageError
    from taxi_ingest.history.reading import LATEST
    from taxi_ingest.report import past as reporting

    run, part, step = _told_apart(what or [])
    folder, out = _data_dir(config, data_dir), report.console()
    with _past_runs(folder) as past:
        attempts = past.attempts(past.named(run or LATEST), failed=failed)
    chosen = [a for a in attempts if part in {"", str(a.part), a.dataset} and step in {"", a.step}]
    if not chosen:
        raise UsageError("No attempt fits. `taxi-ingest history latest` lists those of the newest run.")
    for attempt in chosen:
        path = folder / attempt.log
        text = path.read_text(encoding="utf-8") if path.exists() else "(the log file was removed)"
        reporting.log(out, attempt, text)


def catalog(dataset: DatasetName = None, as_json: AsJson = False) -> None:
    """Show what is published."""
    from taxi_ingest import report
    from taxi_ingest.catalog import reading
    from taxi_ingest.report import listing

    names = ",".join(dataset or []).split(",") if dataset else []
    chosen = [reading.dataset(name) for name in names if name != "all"] or list(reading.datasets().values())
    if as_json:
        _print_json(
            {
                "datasets": {known.name: asdict(known) for known in chosen},
                "sources": {source.name: asdict(source) for source in reading.sources().values()},
            }
        )
        return
    listing.catalog(report.console(), chosen, list(reading.sources().values()), columns=bool(dataset))


def doctor(store: Store = None, warehouse: Warehouse = None, config: Config = None, data_dir: DataDir = None) -> None:
    """Ask store and warehouse whether they can be used."""
    from taxi_ingest import job as request
    from taxi_ingest import report, stores, warehouses
    from taxi_ingest.report import listing

    settings = Given(store=store, warehouse=warehouse, config=config, data_dir=data_dir).settings()
    place = request.store_url(settings)
    request.check_places(place, request.warehouse_url(settings))
    bucket = place.removeprefix("gs://").partition("/")[0] if place.startswith("gs://") else None
    found = [(check.well, check.sentence) for check in stores.connect(place).checks()]
    found += warehouses.connect(request.warehouse_url(settings)).examine(bucket)
    listing.checks(report.console(), found)
    raise typer.Exit(0 if all(well for well, _ in found) else 1)


def config(config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every setting and its origin."""
    from taxi_ingest import report
    from taxi_ingest import settings as configuration
    from taxi_ingest.redaction import redacted
    from taxi_ingest.report import listing

    items = [
        (name, redacted(value) if isinstance(value, str) else value, origin)
        for name, value, origin in Given(config=config, data_dir=data_dir).settings().items()
    ]
    if as_json:
        _print_json({name: {"value": value, "from": origin} for name, value, origin in items})
        return
    listing.settings(report.console(), [(n, v, o, configuration.environment_name(n)) for n, v, o in items])


def cron(
    at: At = "17 6 * * *",
    month: Month = None,
    dataset: DatasetName = None,
    source: Source = None,
    store: Store = None,
    warehouse: Warehouse = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Print a line for crontab."""
    from taxi_ingest.cron import crontab_line
    from taxi_ingest.errors import UsageError
    from taxi_ingest.redaction import public_url

    Given(month, dataset, source, store, warehouse, config=config, data_dir=data_dir).settings()
    if source and public_url(source) != source and "://" in source:
        raise UsageError("A crontab is no place for a secret: put this source into config.toml and leave --source out.")
    options = {
        "--month": ",".join(month or ["latest"]),
        "--dataset": ",".join(dataset or []),
        "--source": source,
        "--store": store,
        "--warehouse": warehouse,
        "--config": config,
        "--data-dir": data_dir,
    }
    arguments = [word for name, value in options.items() if value for word in (name, value)]
    sys.stdout.write(crontab_line(at, arguments, Path.cwd()) + "\n")


def _print_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _plan_document(planned: Plan) -> dict[str, Any]:
    parts = [
        {
            "dataset": one.part.dataset,
            "month": one.part.month,
            "source": one.source,
            "rows": one.rows,
            "download_bytes": one.download_bytes,
            "disk_bytes": one.disk_bytes,
            "steps": {step: asdict(foreseen) for step, foreseen in one.steps.items()},
        }
        for one in planned.parts
    ]
    sums = {name: getattr(planned, name) for name in ("rows", "download_bytes", "disk_bytes", "disk_free")}
    return {"parts": parts} | sums


def _data_dir(config: str | None, data_dir: str | None) -> Path:
    from taxi_ingest import job as request

    return request.data_dir(Given(config=config, data_dir=data_dir).settings())


def _past_runs(folder: Path) -> AbstractContextManager[PastRuns]:
    from taxi_ingest.engine.lock import is_locked
    from taxi_ingest.history.reading import past_runs

    return past_runs(folder / "state" / "history.sqlite", at_work=is_locked(folder / "state" / "lock"))


def _told_apart(words: list[str]) -> tuple[str, str, str]:
    """Run, part (or dataset) and step, in whatever order they were typed; "" for what was not."""
    from taxi_ingest.catalog.reading import datasets
    from taxi_ingest.pipeline import STEPS

    step = next((word for word in words if word in STEPS), "")
    part = next((word for word in words if word.partition("-")[0] in datasets()), "")
    run = next((word for word in words if word not in {step, part}), "")
    return run, part, step
