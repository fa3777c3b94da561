"""UPLOAD: Parquet → object in the store.

Up to date while the store itself holds an object of this name with this mark and checksum.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from taxi_ingest.catalog import Part
from taxi_ingest.errors import StoreError
from taxi_ingest.files import scratch_file_for
from taxi_ingest.layout import Layout, object_name
from taxi_ingest.place import Place
from taxi_ingest.state.carried import facts_of
from taxi_ingest.state.receipts import Downloaded, Parquetized, Uploaded
from taxi_ingest.steps.checking import checked
from taxi_ingest.stores import Held, Store, open_store
from taxi_ingest.writers.provenance import read_provenance


def upload(
    part: Part,
    parquetized: Parquetized,
    layout: Layout,
    store: Place,
    *,
    downloaded: Downloaded | None = None,
    replaces: Held | None = None,
    progress: Callable[[int], None] | None = None,
) -> Uploaded:
    """Put the part's Parquet file into `store` and return the receipt: what the store holds then.

    The object carries both receipts that are given, so that another machine knows what was downloaded. `replaces`
    is the object of this name that the store holds, and that no receipt tells.
    Raises ContentError when the file is not the one that was written, StoreError when the store does not repeat our
    checksum or holds an object of somebody else's under this name, TransientError when another try may help.
    """
    file = checked(layout.parquet(part), parquetized)
    name, facts = object_name(part), facts_of(parquetized, downloaded)
    opened = open_store(store, uploads=layout.uploads)
    if replaces is not None and not (replaces.mark or replaces.has_lost_mark):
        _refuse_foreign(opened, name, file)
    held = opened.put(file, name, mark=parquetized.mark, facts=facts, progress=progress)
    return Uploaded(at=str(store), object=name, mark=held.mark, crc32c=held.crc32c, bytes=held.size)


def _refuse_foreign(store: Store, name: str, ours: Path) -> None:
    """Raise StoreError if the object, which has no mark, was not made by us: those of ours tell so in their footer."""
    fetched = scratch_file_for(ours)
    try:
        store.get(name, fetched)
        is_ours = read_provenance(fetched) is not None
    finally:
        fetched.unlink(missing_ok=True)
    if not is_ours:
        raise StoreError(
            f"{store.url(name)} was not made by taxi-ingest, and would be replaced. It was left as it was. Move it "
            "away, or name another --store."
        )
