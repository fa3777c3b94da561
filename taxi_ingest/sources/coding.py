"""Files that a publisher compresses in transit (Content-Encoding), although it is asked not to."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from taxi_ingest.errors import ContentError, TransientError
from taxi_ingest.files import replacing
from taxi_ingest.readers.blocks import GZIP_MAGIC, is_gzip
from taxi_ingest.readers.parquet_footer import MAGIC as PARQUET_MAGIC
from taxi_ingest.sources.bounds import Bound
from taxi_ingest.sources.headers import DEFLATE, GZIP

_CHUNK = 1 << 18
_PACKED = 1 << 14
"""Bytes that are given to zlib at a time: at the end of each member of a file it copies those that are left."""
_ANY_GZIP, _RAW_DEFLATE = zlib.MAX_WBITS | 16, -zlib.MAX_WBITS


def undo(path: Path, name: str, coding: str, allowed: Bound) -> None:
    """Turn what came over the wire into a file that a reader knows, no larger than `allowed`; errors call it `name`.

    gzip stays as it is, because readers know it, unless it holds Parquet or gzip; deflate is unpacked. Raises
    ContentError when the coding is damaged, TransientError when its end is missing, and `allowed.beyond`.
    """
    if coding == DEFLATE:
        with path.open("rb") as file:
            start = file.read(2)
        _unpack(path, name, zlib.MAX_WBITS if _has_zlib_header(start) else _RAW_DEFLATE, allowed)
    elif coding in GZIP and is_gzip(path) and _holds_packed(path):
        _unpack(path, name, _ANY_GZIP, allowed)


def ends_early(path: Path, coding: str) -> str:
    """Why a file whose size nobody announced seems cut, judged by its end; "" when it does not, or `undo` will see."""
    if coding == DEFLATE:
        return ""
    with path.open("rb") as file:
        start = file.read(len(PARQUET_MAGIC))
        file.seek(max(0, path.stat().st_size - len(PARQUET_MAGIC)))
        end = file.read()
    if start == PARQUET_MAGIC:
        return "" if end == PARQUET_MAGIC else "it is Parquet without its end"
    if start.startswith(GZIP_MAGIC):
        return "" if _gzip_is_whole(path) else "it is gzip without its end"
    return "" if end.endswith((b"\n", b"\r")) or not end else "its last line has no line end"


def _has_zlib_header(start: bytes) -> bool:
    return len(start) == 2 and start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start) % 31 == 0


def _holds_packed(path: Path) -> bool:
    """Whether a gzip file holds Parquet or gzip, which readers do not look for inside gzip."""
    with path.open("rb") as file:
        unpacker = zlib.decompressobj(_ANY_GZIP)
        try:
            start = unpacker.decompress(file.read(_CHUNK), len(PARQUET_MAGIC))
        except zlib.error:
            return False  # for the reader to refuse
    return start == PARQUET_MAGIC or start.startswith(GZIP_MAGIC)


def _gzip_is_whole(path: Path) -> bool:
    try:
        for _ in _unpacked(path, _ANY_GZIP):
            pass
    except zlib.error:
        return True  # damaged, not cut: for the reader to refuse
    except EOFError:
        return False
    return True


def _unpack(path: Path, name: str, window: int, allowed: Bound) -> None:
    """Replace the file by what it holds."""
    size = 0
    try:
        with replacing(path) as scratch, scratch.open("wb") as out:
            for piece in _unpacked(path, window):
                size += len(piece)
                if size > allowed.most:
                    raise allowed.beyond
                out.write(piece)
    except zlib.error as error:
        raise ContentError(f"{name}: what was compressed in transit cannot be decompressed ({error}).") from error
    except EOFError:
        raise TransientError(f"{name}: the end of what was compressed in transit is missing.") from None


def _unpacked(path: Path, window: int) -> Iterator[bytes]:
    """What a file holds, piece by piece; gzip may have several members. Raises EOFError when its end is missing."""
    unpacker = zlib.decompressobj(window)
    with path.open("rb") as file:
        while packed := file.read(_PACKED):
            while packed:
                if unpacker.eof:
                    if window != _ANY_GZIP or not packed.startswith(GZIP_MAGIC[:1]):
                        return  # bytes after the end, such as padding
                    unpacker = zlib.decompressobj(window)
                yield unpacker.decompress(packed, _CHUNK)
                packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    yield unpacker.flush()
    if not unpacker.eof:
        raise EOFError
