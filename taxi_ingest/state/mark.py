"""The mark that a published file leads to: the identity of a part's rows."""

from __future__ import annotations

import functools

from taxi_ingest import catalog
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import SchemaError
from taxi_ingest.state.receipts import Downloaded


def mark(part: Part, downloaded: Downloaded | None) -> str:
    """The mark of the rows that `downloaded` gives; "" while nothing is downloaded, or if it fits no vintage."""
    if downloaded is None:
        return ""
    return _mark(part, downloaded.sha256, downloaded.bytes, downloaded.format, downloaded.columns)


@functools.cache
def _mark(part: Part, sha256: str, size: int, file_format: str, columns: tuple[str, ...]) -> str:
    known = dataset_named(part.dataset)
    try:
        return catalog.mark(sha256, size, known, catalog.fit(known, file_format, columns, part.month).vintage)
    except SchemaError:
        return ""
