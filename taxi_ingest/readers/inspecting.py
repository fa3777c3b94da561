"""Recognise a file by its content, never by its name or by what the publisher says it is."""

from __future__ import annotations

from pathlib import Path

from taxi_ingest.errors import ContentError
from taxi_ingest.readers import Inspected
from taxi_ingest.readers.blocks import BOM, GZIP_MAGIC, header_names, is_blank, is_gzip, open_bytes

_HEAD_BYTES = 64 << 10
"""Bytes at the start of a file that are examined."""

_CHUNK_BYTES = 1 << 20
_PARQUET_MAGIC = b"PAR1"
_REDOWNLOAD = "delete it and download it again"

# Prefix (lower case, after leading white space), what such a file is, and what to do.
_NOT_A_TABLE = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to", "fetch the file itself"),
    (b"<!doctype html", "a web page (HTML)", _REDOWNLOAD),
    (b"<html", "a web page (HTML)", _REDOWNLOAD),
    (b"<", "an XML or HTML document, most likely an error message", _REDOWNLOAD),
    (b"{", "a JSON document, most likely an error message", _REDOWNLOAD),
    (b"[", "a JSON document, most likely an error message", _REDOWNLOAD),
    (b"pk\x03\x04", "a ZIP archive", "unpack it"),
    (b"par1", "a Parquet file inside gzip", "unpack it"),
    (GZIP_MAGIC, "a gzip file inside gzip", "unpack it once"),
)


def inspect(path: Path) -> Inspected:
    """Recognise a CSV (plain or gzip) or Parquet file and its columns.

    A gzip file is decompressed to its end, to check that it is complete. Raises ContentError when the file is
    truncated, damaged or of any other kind.
    """
    if path.stat().st_size == 0:
        raise ContentError(f"{path.name} is empty: {_REDOWNLOAD}.")
    with path.open("rb") as file:
        magic = file.read(len(_PARQUET_MAGIC))
    if magic == _PARQUET_MAGIC:
        return Inspected("parquet", "", _parquet_columns(path))
    with open_bytes(path) as stream:
        start = stream.read(_HEAD_BYTES)
        compressed = is_gzip(path)
        while compressed and stream.read(_CHUNK_BYTES):
            pass
    return Inspected("csv", "gzip" if compressed else "", _csv_columns(path, start))


def _csv_columns(path: Path, start: bytes) -> tuple[str, ...]:
    start = start.removeprefix(BOM)
    begins = start.lstrip()[:64].lower()
    for prefix, what, remedy in _NOT_A_TABLE:
        if begins.startswith(prefix):
            raise ContentError(f"{path.name} is {what}: {remedy}.")
    if b"\0" in start:
        raise ContentError(f"{path.name} is neither Parquet nor text: {_REDOWNLOAD}.")
    header = next((line for line in start.split(b"\n") if not is_blank(line)), None)
    if header is None:
        raise ContentError(f"{path.name} contains only blank lines: {_REDOWNLOAD}.")
    if b"," not in header:
        shown = header[:60].decode("utf-8", errors="replace").strip()
        raise ContentError(f"{path.name} is not a CSV file, its first line has no comma ('{shown}'): {_REDOWNLOAD}.")
    if b"\r" in header.removesuffix(b"\r"):
        raise ContentError(f"{path.name} has lines that end in CR alone, which no publisher uses: {_REDOWNLOAD}.")
    return header_names(header)


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        file.seek(-len(_PARQUET_MAGIC), 2)
        complete = file.read() == _PARQUET_MAGIC
    if not complete:
        raise ContentError(f"{path.name} is a truncated Parquet file, its end is missing: {_REDOWNLOAD}.")
    try:
        with pq.ParquetFile(path) as parquet:
            names = tuple(parquet.schema_arrow.names)
            groups = [parquet.metadata.row_group(i) for i in range(parquet.metadata.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ContentError(f"{path.name} is a damaged Parquet file ({reason}): {_REDOWNLOAD}.") from error
    stored = sum(group.column(i).total_compressed_size for group in groups for i in range(group.num_columns))
    if stored > path.stat().st_size:
        raise ContentError(f"{path.name} is a Parquet footer without the rows it describes: {_REDOWNLOAD}.")
    return names
