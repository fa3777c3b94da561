"""LOAD: file or object → table, the month replaced whole.

Up to date while the warehouse itself holds the month with this mark and all the rows it was loaded with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taxi_ingest import warehouses
from taxi_ingest.catalog.reading import dataset as dataset_named


def load(
    file: str,
    warehouse: str,
    *,
    dataset: str,
    month: str | None,
    mark: str,
    source: str,
    rows: int,
    record: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Replace one month of `dataset` in the warehouse at URL `warehouse` by the Parquet `file` (path or object URL).

    Raises WarehouseError unless exactly `rows` rows of the month are counted in the table afterwards. `record` is
    told the id of each job that runs elsewhere, before it is sent.
    """
    known = dataset_named(dataset)
    table = warehouses.Table(known.table, known.title, known.columns, known.monthly, known.cluster_by)
    place = warehouses.connect(warehouse)
    counted = place.replace(table, month, file=file, rows=rows, mark=mark, source=source, record=record)
    return {"table": known.table, "mark": mark, "rows": counted}
