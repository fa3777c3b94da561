"""LOAD: file or object → table, the month replaced whole.

Up to date while the warehouse itself holds the month with this mark and all the rows it was loaded with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.files import scratch_file_for
from taxi_ingest.layout import Layout, object_name
from taxi_ingest.place import Place
from taxi_ingest.state.receipts import Loaded, Parquetized
from taxi_ingest.steps.checking import checked
from taxi_ingest.stores import open_store
from taxi_ingest.warehouses import Options, Warehouse, open_warehouse, table_of


def load(
    part: Part,
    parquetized: Parquetized,
    layout: Layout,
    store: Place,
    warehouse: Place,
    *,
    options: Options | None = None,
    opened: Warehouse | None = None,
    record: Callable[[str], None] | None = None,
) -> Loaded:
    """Replace the part's month in `warehouse` by the rows of `parquetized`, and return the receipt.

    They are read from the Parquet file on this disk (fetched for this from `store`, where it is not kept) or from its
    object in `store`, as the warehouse can. Raises ContentError when that file is not the one that was written,
    WarehouseError unless exactly as many rows are counted in the table afterwards. `opened` is `warehouse`, for a
    caller that has it open; `record` gets the id of each job that runs elsewhere, before it is sent.
    """
    known = dataset_named(part.dataset)
    there = opened or open_warehouse(warehouse, options)
    with contextlib.ExitStack() as fetched:
        if there.traits.reads:
            file = open_store(store).url(object_name(part))
            if not store.scheme:  # a file on this disk; elsewhere, the store compared it
                checked(Path(file), parquetized)
        else:
            file = str(fetched.enter_context(_parquet_file(part, parquetized, layout, store)))
        counted = there.replace(
            table_of(known),
            part.month,
            file=file,
            rows=parquetized.rows,
            mark=parquetized.mark,
            source=parquetized.source,
            record=record,
        )
    return Loaded(at=str(warehouse), table=known.table, mark=parquetized.mark, rows=counted)


@contextlib.contextmanager
def _parquet_file(part: Part, parquetized: Parquetized, layout: Layout, store: Place) -> Iterator[Path]:
    """The Parquet file on this disk; where it is not kept, the object in `store`, fetched until the block ends."""
    kept = layout.parquet(part)
    if kept.exists():
        yield checked(kept, parquetized)
        return
    fetched = scratch_file_for(kept)
    try:
        open_store(store).get(object_name(part), fetched)
        yield checked(fetched, parquetized)
    finally:
        fetched.unlink(missing_ok=True)
