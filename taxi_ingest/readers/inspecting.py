"""Recognise a file by its content, never by its name or by what the publisher says it is."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from taxi_ingest.errors import ContentError
from taxi_ingest.readers import GET_IT_AGAIN, Inspected, parquet_footer
from taxi_ingest.readers.blocks import BOM, GZIP_MAGIC, decompressed, header_names, is_blank

_HEAD_BYTES = 64 << 10
"""Bytes at the start of a file that are examined."""

_CHUNK_BYTES = 1 << 20
_UNPACK = "unpack it"
_JOIN_THEM = "write their rows to one file, as with DuckDB: COPY (FROM read_parquet([…])) TO '…'"
_SAVE_AS_CSV = "save it as CSV with commas, in UTF-8"

# Prefix (lower case, after leading white space), what such a file is, and what to do.
_NOT_A_TABLE = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to", "get the file itself"),
    (b"<!doctype html", "a web page (HTML)", GET_IT_AGAIN),
    (b"<html", "a web page (HTML)", GET_IT_AGAIN),
    (b"<", "an XML or HTML document, most likely an error message", GET_IT_AGAIN),
    (b"{", "a JSON document, most likely an error message", GET_IT_AGAIN),
    (b"[", "a JSON document, most likely an error message", GET_IT_AGAIN),
    (b"pk\x03\x04", "a ZIP archive or an Excel workbook", f"{_UNPACK}, or {_SAVE_AS_CSV}"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", _SAVE_AS_CSV),
    (b"bzh", "a bzip2 file", _UNPACK),
    (b"\xfd7zxz", "an xz file", _UNPACK),
    (b"7z\xbc\xaf", "a 7-Zip archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    (b"\x04\x22\x4d\x18", "an LZ4 file", _UNPACK),
    (b"par1", "a Parquet file inside gzip", _UNPACK),
    (GZIP_MAGIC, "a gzip file inside gzip", "unpack it once"),
    (b"\xff\xfe", "text in UTF-16", _SAVE_AS_CSV),
    (b"\xfe\xff", "text in UTF-16", _SAVE_AS_CSV),
)

_MOST_UNDESCRIBED = 64 << 10
"""Bytes; older versions of Arrow leave some hundred between the last column and the footer."""

_LONGEST_HEADER = 16 << 10
"""Bytes; no publisher's has a twentieth of it, and with a million columns each block would take minutes."""

_OTHER_SEPARATORS = {b";": "semicolons", b"\t": "tabs", b"|": "vertical bars"}


def inspect(path: Path, name: str = "") -> Inspected:
    """Recognise a CSV (plain or gzip) or Parquet file and its columns; errors call it `name`, else by its own name.

    A gzip file is decompressed to its end, to check that it is complete. Raises ContentError when the file is
    truncated, damaged or of any other kind.
    """
    return _inspect(path, name or path.name, to_its_end=True)


def look(path: Path, name: str = "") -> Inspected:
    """As `inspect`, but gzip is not read to its end: for a file that is converted next, or was inspected before."""
    return _inspect(path, name or path.name, to_its_end=False)


def _inspect(path: Path, name: str, *, to_its_end: bool) -> Inspected:
    with path.open("rb") as file:
        start = file.read(len(parquet_footer.MAGIC))
        file.seek(0)
        if not start:
            raise ContentError(f"{name} is empty: {GET_IT_AGAIN}.")
        if start == parquet_footer.MAGIC:
            return Inspected("parquet", "", _parquet_columns(file, name))
        compressed = start.startswith(GZIP_MAGIC)
        with decompressed(file, name) as stream:
            start = stream.read(_HEAD_BYTES)
            while to_its_end and compressed and stream.read(_CHUNK_BYTES):
                pass
    return Inspected("csv", "gzip" if compressed else "", _csv_columns(name, start))


def _csv_columns(name: str, start: bytes) -> tuple[str, ...]:
    start = start.removeprefix(BOM)
    begins = start.lstrip()[:64].lower()
    for prefix, what, remedy in _NOT_A_TABLE:
        if begins.startswith(prefix):
            raise ContentError(f"{name} is {what}: {remedy}.")
    if b"\0" in start:
        raise ContentError(f"{name} is neither Parquet nor text (it has NUL bytes): {GET_IT_AGAIN}.")
    header = next((line for line in start.split(b"\n") if not is_blank(line)), None)
    if header is None:
        raise ContentError(f"{name} contains only blank lines: {GET_IT_AGAIN}.")
    if b"," not in header:
        raise ContentError(_without_comma(name, header))
    if len(header) > _LONGEST_HEADER:
        raise ContentError(
            f"{name} is not a CSV file of trips, its first line has more than {_LONGEST_HEADER:,} bytes: "
            f"{GET_IT_AGAIN}."
        )
    if b"\r" in header.removesuffix(b"\r"):
        raise ContentError(f"{name} has lines that end in CR alone, which no publisher uses: {_SAVE_AS_CSV}.")
    return header_names(header)


def _without_comma(name: str, header: bytes) -> str:
    for separator, in_words in _OTHER_SEPARATORS.items():
        if separator in header:
            return f"{name} has {in_words} between its fields instead of commas: {_SAVE_AS_CSV}."
    shown = header[:60].decode("utf-8", errors="replace").strip()
    return f"{name} is not a CSV file, its first line has no comma ('{shown}'): {GET_IT_AGAIN}."


def _parquet_columns(file: BinaryIO, name: str) -> tuple[str, ...]:
    size = file.seek(0, 2)
    try:
        footer = parquet_footer.read(file)
    except parquet_footer.DamagedError as error:
        raise ContentError(f"{name} is a damaged Parquet file ({error}): {GET_IT_AGAIN}.") from error
    stored = sum(column.meta_data.total_compressed_size for group in footer.row_groups for column in group.columns)
    if stored > size:
        raise ContentError(f"{name} is a Parquet footer without the rows it describes: {GET_IT_AGAIN}.")
    if _is_joined(file, size, footer):
        raise ContentError(
            f"{name} is several Parquet files in one, which cannot be joined by appending one to another: {_JOIN_THEM}."
        )
    return footer.column_names


def _is_joined(file: BinaryIO, size: int, footer: parquet_footer.FileMetaData) -> bool:
    """Whether another whole Parquet file comes before the one that the footer describes, by positions of its own."""
    file.seek(size - parquet_footer.TAIL.size)
    length, magic = parquet_footer.TAIL.unpack(file.read(parquet_footer.TAIL.size))
    undescribed = size - parquet_footer.TAIL.size - length - footer.described_end
    if undescribed <= 0:
        return False
    start = max(0, undescribed - _MOST_UNDESCRIBED)
    file.seek(start)
    return 2 * magic in file.read(undescribed - start + len(magic))
