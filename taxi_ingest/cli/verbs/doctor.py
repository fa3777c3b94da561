"""The verb `doctor`: whether store and warehouse can be used. It needs a network, and takes no lock."""

from __future__ import annotations

import typer

from taxi_ingest.cli.options import Config, DataDir, Given, Store, Warehouse


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
