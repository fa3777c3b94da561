"""UPLOAD: Parquet → object in the store.

Up to date while the store itself holds an object of this name with this mark and checksum.
"""

from __future__ import annotations

from collections.abc import Callable

from taxi_ingest.catalog import Part
from taxi_ingest.layout import Layout, object_name
from taxi_ingest.place import Place
from taxi_ingest.state.receipts import Parquetized, Uploaded
from taxi_ingest.steps.checking import checked
from taxi_ingest.stores import open_store

_FACTS = ("source", "raw_sha256", "raw_bytes", "vintage", "rows", "rejects")
"""What is kept beside the mark of an object."""


def upload(
    part: Part,
    parquetized: Parquetized,
    layout: Layout,
    store: Place,
    *,
    progress: Callable[[int], None] | None = None,
) -> Uploaded:
    """Put the part's Parquet file into `store` and return the receipt: what the store holds then.

    Raises ContentError when the file is not the one that was written, StoreError when the store does not repeat our
    checksum, TransientError when another try may help.
    """
    file = checked(layout.parquet(part), parquetized)
    name = object_name(part)
    facts = {fact: str(getattr(parquetized, fact)) for fact in _FACTS}
    place = open_store(store, uploads=layout.uploads)
    held = place.put(file, name, mark=parquetized.mark, facts=facts, progress=progress)
    return Uploaded(at=str(store), object=name, mark=held.mark, crc32c=held.crc32c, bytes=held.size)
