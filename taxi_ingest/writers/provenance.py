"""Where the rows of a Parquet file come from, as its footer says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

FOOTER_KEY = b"taxi_ingest"


@dataclass(frozen=True)
class Writer:
    """How Parquet is written; `level` counts for zstd and gzip only, `row_group_rows` are rows in a row group."""

    compression: str = "zstd"
    level: int = 3
    row_group_rows: int = 131_072


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a Parquet file was made of: no times, ports or run ids, so that equal input gives equal bytes.

    `source` is the URL of the published file as others may see it, `vintage` the name of the layout it was read by.
    """

    mark: str
    source: str
    raw_sha256: str
    raw_bytes: int
    vintage: str
    rows: int
    rejects: int
    writer: Writer

    def as_metadata(self) -> dict[bytes, bytes]:
        """The key-value metadata of the footer."""
        return {FOOTER_KEY: json.dumps(asdict(self), sort_keys=True).encode()}


def read_provenance(parquet: Path) -> Provenance | None:
    """The provenance in the footer of `parquet`; None when the file is missing, broken or not ours."""
    from taxi_ingest.readers import parquet_footer

    try:
        with parquet.open("rb") as file:
            metadata = parquet_footer.read(file).metadata
        return msgspec.json.decode(metadata[FOOTER_KEY], type=Provenance)
    except (OSError, KeyError, ValueError, RecursionError, msgspec.MsgspecError):
        return None


def is_of_another_writer(parquet: Path) -> bool:
    """Whether `parquet` is a Parquet file that was not written by us; False when it is missing or broken."""
    from taxi_ingest.readers import parquet_footer

    try:
        with parquet.open("rb") as file:
            return FOOTER_KEY not in parquet_footer.read(file).metadata
    except (OSError, parquet_footer.DamagedError):
        return False
