"""What the files of a part on this disk are: raw and Parquet files beside their receipts, and the user's own originals.

A file is read as a whole only where its size or time is not as recorded.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taxi_ingest.files import crc32c, sha256
from taxi_ingest.sources import local_path
from taxi_ingest.sources.versions import compared, version_of
from taxi_ingest.state.receipts import Downloaded, Parquetized, PartReceipts
from taxi_ingest.writers.findings import read_findings
from taxi_ingest.writers.provenance import read_provenance


def without_deleted_raw(data_dir: Path, receipts: PartReceipts) -> PartReceipts:
    """The same, without distrust of a raw file that was deleted since: its receipt stands for it."""
    raw = receipts.download
    if raw is None or not raw.distrusted or (data_dir / raw.file).exists():
        return receipts
    return replace(receipts, download=replace(raw, distrusted=False))


def is_raw_present(data_dir: Path, receipt: Downloaded | None) -> bool:
    """Whether the raw file is as its receipt says; it is hashed only when it was touched since."""
    if receipt is None:
        return False
    path = Path(f"{data_dir}/{receipt.file}")
    try:
        stat = path.stat()
    except OSError:
        return False
    if stat.st_size != receipt.bytes:
        return False
    return bool(stat.st_mtime_ns == receipt.mtime_ns or sha256(path) == receipt.sha256)


def may_be_replaced(receipt: Downloaded | None) -> bool:
    """Whether a file that was refused may be another one by now; a file on this disk is looked at."""
    if receipt is None or not receipt.refused:
        return False
    original = local_path(receipt.url)
    return original is None or (original.exists() and not _is_as_it_was(original, receipt))


def missing_original(receipt: Downloaded | None) -> Path | None:
    """The file on this disk that was downloaded, if it is not there any more as it was; None for any other source."""
    original = local_path(receipt.url) if receipt else None
    if receipt is None or original is None or _is_as_it_was(original, receipt):
        return None
    return original


def is_original(raw: Path, receipt: Downloaded | None) -> bool:
    """Whether the raw file is no copy, but the very file that it was downloaded from."""
    original = local_path(receipt.url) if receipt else None
    try:
        return original is not None and raw.samefile(original)
    except OSError:
        return False


def _is_as_it_was(original: Path, receipt: Downloaded) -> bool:
    """Whether a file on this disk is the version that was downloaded; receipts of 0.1 tell only its bytes."""
    try:
        now = version_of(original.stat())
        if receipt.etag:
            return compared(receipt.version, now) == "unchanged"
        return now.size == receipt.bytes and sha256(original) == receipt.sha256
    except OSError:
        return False


def parquet_file(path: Path, receipt: Parquetized | None) -> tuple[Parquetized | None, bool]:
    """The receipt that the Parquet file deserves (None when it is missing), and whether the file is damaged."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None, False
    if receipt and (receipt.bytes, receipt.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return receipt, False
    found, checksum = read_provenance(path), crc32c(path)
    if found is None or not (receipt.crc32c == checksum if receipt else _is_as_written(path)):
        return None, True
    if receipt is not None:
        return replace(receipt, mtime_ns=stat.st_mtime_ns, bytes=stat.st_size), False
    said = {**vars(found), **vars(read_findings(path))}
    return Parquetized(**said, bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, crc32c=checksum), False


def _is_as_written(parquet: Path) -> bool:
    """Whether a file whose receipt is lost still has the bytes that were written; rare, so it is imported here."""
    from taxi_ingest.writers.checksum import is_as_written

    return is_as_written(parquet)
