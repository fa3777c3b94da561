"""The verbs that look at what is asked for and what is known of it: plan, catalog, doctor, config, cron.

None of them takes the lock, and all but plan and doctor do without a network; cron asks a publisher in an empty folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from taxi_ingest.cli.documents import print_json
from taxi_ingest.cli.options import (
    AsJson,
    At,
    Config,
    DataDir,
    DatasetName,
    Force,
    Given,
    Month,
    Refresh,
    Source,
    Store,
    Strict,
    Warehouse,
)

if TYPE_CHECKING:
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
        print_json(_plan_document(planned))
    else:
        plans.plan(report.console(), planned)
    for name, sentence in job.unanswered.items():
        report.error(f"{name}: {sentence}")
    if job.unanswered or (refresh and planned.refreshed.unanswered):
        raise typer.Exit(exits.FAILED)


def catalog(dataset: DatasetName = None, as_json: AsJson = False) -> None:
    """Show what is published."""
    from taxi_ingest import report
    from taxi_ingest.asked import datasets_named
    from taxi_ingest.catalog import reading
    from taxi_ingest.report import listing

    chosen = datasets_named(",".join(dataset or ["all"]))
    if as_json:
        print_json(
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
        print_json({name: {"value": value, "from": origin} for name, value, origin in items})
        return
    listing.settings(report.console(), [(n, v, o, configuration.environment_name(n)) for n, v, o in items])


def cron(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    at: At = "17 6 * * *",
    month: Month = None,
    dataset: DatasetName = None,
    source: Source = None,
    store: Store = None,
    warehouse: Warehouse = None,
    refresh: Refresh = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Print a line for crontab to stdout, and to stderr which months it loads, and why."""
    from taxi_ingest import report
    from taxi_ingest.cron import crontab_line
    from taxi_ingest.nights import nightly
    from taxi_ingest.settings import config_named

    given = Given(month, dataset, source, store, warehouse, config=config, data_dir=data_dir)
    settings = given.settings()
    nights = nightly(settings, ",".join(month or []), refresh=refresh)
    options = {
        "--month": nights.months,
        "--dataset": ",".join(dataset or []),
        "--source": source,
        "--store": store,
        "--warehouse": warehouse,
        "--config": config_named(config),
        "--data-dir": data_dir,
    }
    _refuse_secrets(options)
    arguments = [word for name, value in options.items() if value for word in (name, value)]
    line = crontab_line(at, [*arguments, *(["--refresh"] if refresh else [])], Path.cwd())
    report.say(report.console(stderr=True), nights.why)
    sys.stdout.write(line + "\n")


def _refuse_secrets(options: Mapping[str, str | None]) -> None:
    from taxi_ingest.errors import UsageError
    from taxi_ingest.redaction import has_password, public_text

    for name, value in options.items():
        # the other parameters of a warehouse are no secrets; it would have refused them
        if value and (has_password(value) if name == "--warehouse" else public_text(value) != value):
            raise UsageError(f"A crontab is no place for a secret: put it into config.toml and leave {name} out.")


def _plan_document(planned: Plan) -> dict[str, object]:
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
    refreshed = planned.refreshed
    gone = [{"dataset": part.dataset, "month": part.month, "note": note} for part, note in refreshed.gone.items()]
    asked = {"asked": refreshed.asked, "gone": gone, "unanswered": refreshed.unanswered}
    return {"parts": parts} | sums | {"disks": [asdict(disk) for disk in planned.disks], "refresh": asked}
