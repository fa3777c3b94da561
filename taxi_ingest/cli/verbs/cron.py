"""The verb `cron`: a crontab line, or a systemd timer, that runs the pipeline; asks a publisher in an empty folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from taxi_ingest.cli.options import (
    At,
    Config,
    DataDir,
    DatasetName,
    Given,
    NightMonth,
    Refresh,
    Source,
    Store,
    Systemd,
    Warehouse,
)


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
