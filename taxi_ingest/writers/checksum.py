"""The checksum of itself that a Parquet file of ours has in its footer, for when the receipt that told it is lost.

It is the crc32c of the whole file with zeros in its own place.
"""

from __future__ import annotations

from pathlib import Path

import google_crc32c

from taxi_ingest.readers.parquet_footer import TAIL

_KEY = b"taxi_ingest_crc32c"
_ZEROS = b"0" * 8
_PLACE = _KEY + b"\x18\x08"
"""What stands before it: the key, and how Thrift begins a text of eight bytes."""

METADATA = {_KEY: _ZEROS}
"""The key-value metadata that makes a place for it in the footer."""

_CHUNK = 1 << 20


def filled_in(before: google_crc32c.Checksum, end: bytes) -> bytes:
    """`end`, the last bytes of a file, with the checksum in its place, if it has one.

    `before` is the checksum of the bytes before them.
    """
    place = _place_in(end)
    if place is None:
        return end
    whole = before.copy()
    whole.update(_with(end, place, _ZEROS))
    return _with(end, place, bytes(whole.digest()).hex().encode())


def is_as_written(path: Path) -> bool:
    """Whether a Parquet file has a checksum of itself, and its bytes are those of which it was taken."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL.size))
        tail = file.read()
        length = TAIL.unpack(tail)[0] + TAIL.size if len(tail) == TAIL.size else size
        left = max(0, size - length)
        file.seek(0)
        before = google_crc32c.Checksum()
        while left and (piece := file.read(min(_CHUNK, left))):
            before.update(piece)
            left -= len(piece)
        end = file.read()
    return _place_in(end) is not None and filled_in(before, end) == end


def _place_in(end: bytes) -> int | None:
    """Where the checksum begins; None if there is none."""
    found = end.rfind(_PLACE)
    return None if found < 0 else found + len(_PLACE)


def _with(end: bytes, place: int, checksum: bytes) -> bytes:
    return end[:place] + checksum + end[place + len(_ZEROS) :]
