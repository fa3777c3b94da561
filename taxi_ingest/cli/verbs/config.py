"""The verb `config`: every setting and its origin. It needs no network."""

from __future__ import annotations

from taxi_ingest.cli.documents import print_json
from taxi_ingest.cli.options import AsJson, Config, DataDir, Given


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
