"""The verbs that look at what is asked for and what is known of it: plan, catalog, doctor, config, cron.

None of them takes the lock, and all but plan and doctor do without a network; cron asks a publisher in an empty folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

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
    HeldDataset,
    Month,
    NightMonth,
    Refresh,
    Source,
    Store,
    Strict,
    Systemd,
    Warehouse,
)
from taxi_ingest.cli.planning import foresee


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
    given = Given(
        month=month, dataset=dataset, source=source, store=store, warehouse=warehouse, strict=strict, config=config,
        data_dir=data_dir, refresh=refresh,
    )  # fmt: skip
    raise typer.Exit(foresee("run", given, force=force, as_json=as_json))


def catalog(dataset: HeldDataset = None, as_json: AsJson = False) -> None:
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
    from taxi_ingest.catalog.reading import datasets
    from taxi_ingest.job import check_settings, job_for
    from taxi_ingest.place import Check
    from taxi_ingest.report import listing
    from taxi_ingest.stores import open_store
    from taxi_ingest.warehouses import foreseen_refusals, open_warehouse, table_of

    settings = Given(store=store, warehouse=warehouse, config=config, data_dir=data_dir).settings()
    check_settings(settings)
    job = job_for(settings, ())
    found = [*open_store(job.store).checks()]
    opened = open_warehouse(job.warehouse, job.warehouse_options)
    of_warehouse = [*opened.checks(job.store)]
    found += of_warehouse
    if all(check.ok for check in of_warehouse):
        tables = [table_of(known) for known in datasets().values()]
        found += [Check(False, sentence) for sentence in foreseen_refusals(opened, tables)]
    listing.checks(report.console(), found)
    raise typer.Exit(exits.OK if all(check.ok for check in found) else exits.FAILED)


def config(config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every setting and its origin."""
    from taxi_ingest import report
    from taxi_ingest import settings as configuration
    from taxi_ingest.job import check_settings
    from taxi_ingest.report import listing

    settings = Given(config=config, data_dir=data_dir).settings()
    items = [
        listing.Setting(name, configuration.shown(value), str(origin), configuration.environment_name(name))
        for name, value, origin in settings.items()
    ]
    if as_json:
        print_json({item.name: {"value": item.value, "from": item.origin} for item in items})
    else:
        listing.settings(report.console(), items)
    check_settings(settings)  # after they are shown, with where each came from


def cron(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    at: At = "17 6 * * *",
    systemd: Systemd = False,
    month: NightMonth = None,
    dataset: DatasetName = None,
    source: Source = None,
    store: Store = None,
    warehouse: Warehouse = None,
    refresh: Refresh = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Print a line for crontab, or a systemd timer, to stdout; to stderr which months it loads, and why."""
    from taxi_ingest import report
    from taxi_ingest.cron import crontab_line, instead_on_windows
    from taxi_ingest.errors import UsageError
    from taxi_ingest.job import check_settings
    from taxi_ingest.nights import nightly
    from taxi_ingest.settings import config_named
    from taxi_ingest.systemd import units

    given = Given(
        month=month, dataset=dataset, source=source, store=store, warehouse=warehouse, config=config, data_dir=data_dir
    )
    settings = given.settings()
    check_settings(settings)
    options = {
        "--month": ",".join(month or []),
        "--dataset": ",".join(dataset or []),
        "--source": source,
        "--store": store,
        "--warehouse": warehouse,
        "--config": config_named(config),
        "--data-dir": data_dir,
    }
    _refuse_secrets(options)
    nights = nightly(settings, ",".join(month or []), refresh=refresh)
    options["--month"] = nights.months
    arguments = [word for name, value in options.items() if value for word in (name, value)]
    arguments += ["--refresh"] if refresh else []
    if sys.platform == "win32":
        raise UsageError(instead_on_windows(arguments, Path.cwd()))
    line = units(at, arguments, Path.cwd()) if systemd else f"{crontab_line(at, arguments, Path.cwd())}\n"
    report.say(report.console(stderr=True), nights.why)
    sys.stdout.write(line)


def _refuse_secrets(options: Mapping[str, str | None]) -> None:
    from taxi_ingest.errors import UsageError
    from taxi_ingest.redaction import has_password, public_text

    for name, value in options.items():
        # the other parameters of a store or warehouse are no secrets; it would have refused them
        if value and (has_password(value) if name in {"--store", "--warehouse"} else public_text(value) != value):
            raise UsageError(f"A crontab is no place for a secret: put it into config.toml and leave {name} out.")
