"""UPLOAD: Parquet → object in the store.

Up to date while the store itself holds an object of this name with this mark and checksum.
"""

from __future__ import annotations

from collections.abc import Callable

from taxi_ingest.catalog import Part
from taxi_ingest.layout import Layout, object_name
from taxi_ingest.place import Place
from taxi_ingest.state.carried import facts_of
from taxi_ingest.state.receipts import Downloaded, Parquetized, Uploaded
from taxi_ingest.steps.checking import checked
from taxi_ingest.stores import open_store


def upload(
    part: Part,
    parquetized: Parquetized,
    layout: Layout,
    store: Place,
    *,
    downloaded: Downloaded | None = None,
    progress: Callable[[int], None] | None = None,
) -> Uploaded:
    """Put the part's Parquet file into `store` and return the receipt: what the store holds then.

    The object carries both receipts that are given, so that another machine knows what was downloaded.
    Raises ContentError when the file is not the one that was written, StoreError when the store does not repeat our
    checksum, TransientError when another try may help.
    """
    file = checked(layout.parquet(part), parquetized)
    name, facts = object_name(part), facts_of(parquetized, downloaded)
    held = open_store(store, uploads=layout.uploads).put(
        file, name, mark=parquetized.mark, facts=facts, progress=progress
    )
    return Uploaded(at=str(store), object=name, mark=held.mark, crc32c=held.crc32c, bytes=held.size)
