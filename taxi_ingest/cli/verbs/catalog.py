"""The verb `catalog`: what is published, and the columns of a dataset. It needs no network."""

from __future__ import annotations

from dataclasses import asdict

from taxi_ingest.cli.documents import print_json
from taxi_ingest.cli.options import AsJson, HeldDataset


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
