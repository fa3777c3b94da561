"""The verbs that only look; none of them takes the lock, and all but plan and doctor do without a network."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    Refresh,
    Source,
    Store,
    Strict,
    Warehouse,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from taxi_ingest.catalog import Part
    from taxi_ingest.history.reading import PastAttempt, PastRuns
    from taxi_ingest.layout import Layout
    from taxi_ingest.state.plan import Plan


def plan(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    month: Month = None,
    dataset: DatasetName = None,
    source: Source = None,
    store: Store = None,
    warehouse: Warehouse = None,
    force: Force = False,
    refresh: Refresh = False,
    strict: Strict = False,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Foresee `run` with the same options."""
    from taxi_ingest import exits, report
    from taxi_ingest.job import make_job
    from taxi_ingest.report import plans
    from taxi_ingest.state.plan import make_plan

    given = Given(month, dataset, source, store, warehouse, strict=strict, config=config, data_dir=data_dir)
    job, notices = make_job(given.settings(), verb="run", force=force, refresh=refresh)
    planned = make_plan(job)
    report.say(report.console(stderr=as_json), notices)
    if as_json:
        _print_json(_plan_document(planned))
    else:
        plans.plan(report.console(), planned)
    if refresh and planned.refreshed.unanswered:
        raise typer.Exit(exits.FAILED)


def status(
    month: Month = None,
    dataset: DatasetName = None,
    store: Store = None,
    warehouse: Warehouse = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how far every part is."""
    from taxi_ingest import report
    from taxi_ingest.errors import HistoryError
    from taxi_ingest.job import job_for, part_filter
    from taxi_ingest.report import grids
    from taxi_ingest.state.observe import Observer, known_parts
    from taxi_ingest.state.status import grid

    settings = Given(store=store, warehouse=warehouse, config=config, data_dir=data_dir).settings()
    is_wanted = part_filter(months=month or [], datasets=dataset or [])
    job = job_for(settings, ())
    attempts: Mapping[tuple[Part, str], PastAttempt] = {}
    try:
        with _past_runs(job.layout) as past:
            attempts = past.last_attempts()
    except HistoryError as error:  # receipts and this disk tell what is done
        report.error(str(error))
    parts = [part for part in known_parts(job, (part for part, _ in attempts)) if is_wanted(part)]
    # receipts are believed when a run, or somebody at a prompt, has the database open
    cells = grid(job, Observer(job, "this disk", replace(job.warehouse_options, lock_timeout=0.0)), parts, attempts)
    if as_json:
        rows = [{"dataset": p.dataset, "month": p.month} | {s: asdict(c) for s, c in cells[p].items()} for p in parts]
        _print_json({"parts": rows})
    else:
        grids.status(report.console(), cells, job.layout.data_dir)


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

    layout = _layout(config, data_dir)
    with _past_runs(layout) as past:
        if run is None:
            found = past.newest(last, failed=failed)
            if as_json:
                _print_json({"runs": [asdict(one) for one in found]})
            elif found or not failed:
                reporting.runs(report.console(), found, layout.data_dir)
            else:
                report.say(report.console(), ["No run left anything undone."])
            return
        one = past.named(run)
        attempts, outcomes, notes = past.attempts(one, failed=failed), past.outcomes(one), past.notes(one)
    if as_json:
        ends = [{"dataset": p.dataset, "month": p.month, "step": s, "outcome": o} for p, s, o in outcomes]
        said = [
            {"dataset": n.part and n.part.dataset, "month": n.part and n.part.month, "note": n.sentence} for n in notes
        ]
        _print_json({"run": asdict(one), "attempts": [asdict(a) for a in attempts], "outcomes": ends, "notes": said})
    else:
        reporting.run(report.console(), one, attempts, outcomes, notes)


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

    run, part, step = _sorted_out(what or [])
    layout, out = _layout(config, data_dir), report.console()
    with _past_runs(layout) as past:
        attempts = past.attempts(past.named(run or LATEST), failed=failed)
    chosen = [a for a in attempts if part in {"", str(a.part), a.dataset} and step in {"", a.step}]
    if not chosen:
        raise UsageError("No attempt fits. `taxi-ingest history latest` lists those of the newest run.")
    for attempt in chosen:
        path = layout.data_dir / attempt.log
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else "(the log file was removed)"
        reporting.log(out, attempt, text)


def catalog(dataset: DatasetName = None, as_json: AsJson = False) -> None:
    """Show what is published."""
    from taxi_ingest import report
    from taxi_ingest.catalog import reading
    from taxi_ingest.job import datasets_named
    from taxi_ingest.report import listing

    chosen = datasets_named(",".join(dataset or ["all"]))
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
    from taxi_ingest import exits, report
    from taxi_ingest.job import job_for
    from taxi_ingest.report import listing
    from taxi_ingest.stores import open_store
    from taxi_ingest.warehouses import check_pair, open_warehouse

    settings = Given(store=store, warehouse=warehouse, config=config, data_dir=data_dir).settings()
    job = job_for(settings, ())
    check_pair(job.store, job.warehouse, job.warehouse_options)
    found = [*open_store(job.store).checks()]
    found += open_warehouse(job.warehouse, job.warehouse_options).checks(job.store)
    listing.checks(report.console(), found)
    raise typer.Exit(exits.OK if all(check.ok for check in found) else exits.FAILED)


def config(config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every setting and its origin."""
    from taxi_ingest import report
    from taxi_ingest import settings as configuration
    from taxi_ingest.report import listing

    items = [
        (name, configuration.shown(value), str(origin))
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
    from taxi_ingest.catalog.months import LATEST, parse_months
    from taxi_ingest.cron import crontab_line
    from taxi_ingest.errors import UsageError
    from taxi_ingest.job import options_of, part_filter, store_of, warehouse_of
    from taxi_ingest.redaction import has_password, public_text
    from taxi_ingest.stores import open_store
    from taxi_ingest.warehouses import open_warehouse

    settings = Given(month, dataset, source, store, warehouse, config=config, data_dir=data_dir).settings()
    open_store(store_of(settings))  # these refuse what makes no sense, such as a user or a query
    open_warehouse(warehouse_of(settings), options_of(settings))
    part_filter(months=[], datasets=dataset or [])
    parse_months(month or [LATEST], newest=lambda: f"{date.today():%Y-%m}")
    options = {
        "--month": ",".join(month or ["latest"]),
        "--dataset": ",".join(dataset or []),
        "--source": source,
        "--store": store,
        "--warehouse": warehouse,
        "--config": config,
        "--data-dir": data_dir,
    }
    for name, value in options.items():
        # the other parameters of a store or warehouse are no secrets; it would have refused them
        if value and (has_password(value) if name in {"--store", "--warehouse"} else public_text(value) != value):
            raise UsageError(f"A crontab is no place for a secret: put it into config.toml and leave {name} out.")
    arguments = [word for name, value in options.items() if value for word in (name, value)]
    sys.stdout.write(crontab_line(at, arguments, Path.cwd()) + "\n")


def _print_json(document: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _plan_document(planned: Plan) -> dict[str, object]:
    parts = [
        {
            "dataset": one.part.dataset,
            "month": one.part.month,
            "source": one.source,
            "rows": one.rows,
            "download_bytes": one.download_bytes,
            "disk_bytes": one.disk_bytes,
            "cloud_bytes": asdict(one.cloud),
            "steps": {step: asdict(foreseen) for step, foreseen in one.steps.items()},
        }
        for one in planned.parts
    ]
    sums = {name: getattr(planned, name) for name in ("rows", "download_bytes", "disk_bytes", "disk_free")}
    refreshed = planned.refreshed
    cloud = {"cloud_bytes": asdict(planned.cloud), "costs": list(planned.costs)}
    gone = [{"dataset": part.dataset, "month": part.month, "note": note} for part, note in refreshed.gone.items()]
    asked = {"asked": refreshed.asked, "gone": gone, "unanswered": refreshed.unanswered}
    return {"parts": parts} | sums | cloud | {"disks": [asdict(disk) for disk in planned.disks], "refresh": asked}


def _layout(config: str | None, data_dir: str | None) -> Layout:
    from taxi_ingest.job import layout_of

    return layout_of(Given(config=config, data_dir=data_dir).settings())


def _past_runs(layout: Layout) -> AbstractContextManager[PastRuns]:
    from taxi_ingest.engine.lock import is_locked
    from taxi_ingest.history.reading import past_runs

    return past_runs(layout.history, at_work=is_locked(layout.lock))


def _sorted_out(words: list[str]) -> tuple[str, str, str]:
    """Run, part (or dataset) and step, in whatever order they were typed; "" for what was not."""
    from taxi_ingest.catalog.reading import datasets
    from taxi_ingest.graph import STEPS

    step = next((word for word in words if word in STEPS), "")
    part = next((word for word in words if word.partition("-")[0] in datasets()), "")
    run = next((word for word in words if word not in {step, part}), "")
    return run, part, step
