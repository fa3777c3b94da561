"""How large a file may become while it is fetched."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import estimated_size
from taxi_ingest.errors import SourceError, SpaceError, TaxiError, TransientError
from taxi_ingest.redaction import public_url

DISK_RESERVE = 100_000_000
"""Bytes of the disk that a download leaves free."""

_TIMES_ESTIMATE = 20
"""How many times as large as TLC's Parquet of the month a file may be; plain CSV takes up to 10 times as much."""

_ALWAYS_ALLOWED = 256_000_000


@dataclass(frozen=True)
class Bound:
    """The size in bytes that a file may reach, and what to raise when it grows further."""

    most: int
    beyond: TaxiError


def bound(part: Part, url: str, folder: Path, total: int | None, have: int) -> Bound:
    """The bound for a file of `total` bytes (None: not announced), `have` of which are in `folder` already.

    Raises SpaceError when it is announced to be larger than what is free.
    """
    shown = public_url(url)
    if total is not None:
        check_room(url, folder, total, have)
        return Bound(total, TransientError(f"{shown}: more came than the {total:,} bytes that were announced."))
    free = shutil.disk_usage(folder).free
    room = have + max(0, free - DISK_RESERVE)
    allowed = max(_ALWAYS_ALLOWED, _TIMES_ESTIMATE * estimated_size(part.dataset, part.month)[1])
    if room < allowed:
        return Bound(room, SpaceError(f"{shown} has more than {room:,} bytes. {_too_little(free)}"))
    return Bound(
        allowed,
        SourceError(
            f"{shown} announces no size and goes on after {allowed:,} bytes, more than any file of {part}. "
            "Check the --source template."
        ),
    )


def check_room(url: str, folder: Path, total: int, have: int) -> None:
    """Raise SpaceError unless a file of `total` bytes, `have` of which are in `folder` already, fits on its disk."""
    free = shutil.disk_usage(folder).free
    if total > have + max(0, free - DISK_RESERVE):
        raise SpaceError(
            f"{public_url(url)} has {total:,} bytes, {have:,} of which are here already. {_too_little(free)}"
        )


def _too_little(free: int) -> str:
    return (
        f"The disk has {free:,} bytes free, {DISK_RESERVE:,} of which stay in reserve. "
        "Make room, or name another --data-dir."
    )
