"""The verb `status`: how far every part is. It takes no lock and needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from taxi_ingest.cli.documents import part_fields, print_json
from taxi_ingest.cli.options import AsJson, Config, DataDir, Given, HeldDataset, HeldMonth, Store, Warehouse

if TYPE_CHECKING:
    from taxi_ingest.catalog import Part
    from taxi_ingest.graph import Step
    from taxi_ingest.history.reading import PastAttempt


def status(
    month: HeldMonth = None,
    dataset: HeldDataset = None,
    store: Store = None,
    warehouse: Warehouse = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how far every part is."""
    from taxi_ingest import report
    from taxi_ingest.asked import chosen
    from taxi_ingest.engine.holder import history_of
    from taxi_ingest.errors import HistoryError
    from taxi_ingest.job import job_for
    from taxi_ingest.report import grids
    from taxi_ingest.state.observe import Observer, known_parts
    from taxi_ingest.state.status import grid

    settings = Given(store=store, warehouse=warehouse, config=config, data_dir=data_dir).settings()
    job = job_for(settings, ())
    attempts: Mapping[tuple[Part, Step], PastAttempt] = {}
    failed: frozenset[tuple[Part, Step]] = frozenset()
    try:
        with history_of(job.layout) as past:
            attempts, failed = past.last_attempts(), past.still_failed()
    except HistoryError as error:  # receipts and this disk tell what is done
        report.error(str(error))
    known = known_parts(job, (part for part, _ in attempts))
    parts = chosen(known, months=month or [], datasets=dataset or [])
    observer = Observer.impatient(job, "this disk")
    cells = grid(job, observer, parts, attempts, failed)
    if as_json:
        rows = [part_fields(part) | {step: asdict(cell) for step, cell in cells[part].items()} for part in parts]
        print_json({"parts": rows})
    else:
        grids.status(report.console(), cells, job.layout.data_dir, known)
