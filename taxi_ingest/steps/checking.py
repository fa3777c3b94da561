"""What was written is what is used: a Parquet file is compared with its checksum before it is uploaded or loaded."""

from __future__ import annotations

from pathlib import Path

from taxi_ingest.errors import ContentError
from taxi_ingest.files import crc32c, distrust
from taxi_ingest.state.receipts import Parquetized


def checked(parquet: Path, parquetized: Parquetized) -> Path:
    """`parquet`, if it still is what was written. Raises ContentError, and then the next run writes it again."""
    if crc32c(parquet) == parquetized.crc32c:
        return parquet
    distrust(parquet)
    raise ContentError(f"{parquet} is not as it was written: its checksum differs. Run again, and it is written again.")
