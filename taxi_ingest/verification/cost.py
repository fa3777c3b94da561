"""What it costs to compare the values of months, where a warehouse bills for that."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.job import Job
from taxi_ingest.state.observe import Observer
from taxi_ingest.warehouses import table_of
from taxi_ingest.warehouses.capabilities import ComparesAtCost


def bytes_billed(job: Job) -> dict[Part, int]:
    """The most bytes that are billed for each of the job's parts that the warehouse holds; asking is free.

    Nothing where comparing is free, or impossible. Raises WarehouseError or TransientError.
    """
    observer = Observer(job, "receipts")
    warehouse = observer.warehouse
    if not isinstance(warehouse, ComparesAtCost):
        return {}
    held = [part for part in job.parts if part.month in observer.held_months(part.dataset)]

    def most_bytes(part: Part) -> int:
        return warehouse.comparison_bytes(table_of(dataset_named(part.dataset)), part.month)

    with ThreadPoolExecutor(job.jobs, "cost") as pool:
        return dict(zip(held, pool.map(most_bytes, held), strict=True))
