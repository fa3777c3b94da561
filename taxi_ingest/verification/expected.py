"""What the copies of a part are compared with: its receipts, and what stands in for one that is missing."""

from __future__ import annotations

from dataclasses import replace

from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.layout import object_name
from taxi_ingest.state.decide import Observed
from taxi_ingest.state.receipts import Loaded, Parquetized, PartReceipts, Uploaded


def expected_of(now: Observed, *, store: str, warehouse: str) -> PartReceipts:
    """The receipts that the copies are expected to agree with.

    `now` was observed from receipts and files. A receipt that is missing, or tells of another store or warehouse, is
    inferred from that of the Parquet file.
    """
    have = now.receipts
    return PartReceipts(
        download=have.download,
        parquetize=have.parquetize or _from_footer(now),
        upload=now.stored or (_uploaded(now, have.parquetize, store) if have.parquetize else None),
        load=now.month or (_loaded(now, have.parquetize, warehouse) if have.parquetize else None),
    )


def _from_footer(now: Observed) -> Parquetized | None:
    """What the footer of the Parquet file says, with the checksum of its upload, should there have been one."""
    file, stored = now.parquet, now.stored
    if file and stored and file.mark == stored.mark:
        return replace(file, crc32c=stored.crc32c, bytes=stored.bytes)
    return file


def _uploaded(now: Observed, file: Parquetized, store: str) -> Uploaded:
    return Uploaded(at=store, object=object_name(now.part), mark=file.mark, crc32c=file.crc32c, bytes=file.bytes)


def _loaded(now: Observed, file: Parquetized, warehouse: str) -> Loaded:
    table = dataset_named(now.part.dataset).table
    return Loaded(at=warehouse, table=table, mark=file.mark, rows=file.rows)
