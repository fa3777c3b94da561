"""Uploads that were begun and have not ended: what another process needs in order to go on with them.

A note names the session of an upload, whose address lets whoever has it write the object. So only its owner may read
it, and nothing shows it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from taxi_ingest.files import write_text

DAYS_KEPT = 7
"""So long Google keeps a session: https://docs.cloud.google.com/storage/docs/resumable-uploads."""

_SUFFIX = ".upload.json"
_GOOGLE = ".googleapis.com"
_OWNER_ONLY = 0o600


@dataclass(frozen=True)
class Unfinished:
    """An upload to the object `url` of a file with this checksum and size, with what goes with the object.

    `server` is where the API was; the session is not known anywhere else.
    """

    server: str
    url: str
    crc32c: str
    size: int
    metadata: Mapping[str, str]
    session: str = field(default="", repr=False, compare=False)


class Notes:
    """The note of one object's upload, in a folder of such notes; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, name: str) -> None:
        self._path = folder / f"{name}{_SUFFIX}" if folder else None

    def session_of(self, upload: Unfinished) -> str:
        """The session in which this very upload was begun; "" if there is none, or if it is not at the same server."""
        with contextlib.suppress(OSError, ValueError, RecursionError, msgspec.MsgspecError):
            if self._path and (noted := msgspec.json.decode(self._path.read_bytes(), type=Unfinished)) == upload:
                return noted.session if _is_at(noted.session, upload.server) else ""
        return ""

    def write(self, upload: Unfinished) -> None:
        """Note that an upload was begun, in place of any other."""
        if self._path:
            write_text(self._path, msgspec.json.encode(upload).decode(), mode=_OWNER_ONLY)

    def forget(self) -> None:
        """Note that nothing is to be gone on with."""
        if self._path:
            self._path.unlink(missing_ok=True)


def _is_at(session: str, server: str) -> bool:
    """Whether a session is where the API is; whoever is asked about it is shown these credentials.

    Raises ValueError for what is no address.
    """
    there, ours = urlsplit(session), urlsplit(server)
    of_google = all((parts.hostname or "").endswith(_GOOGLE) for parts in (there, ours))
    return there.scheme == ours.scheme and (there.netloc == ours.netloc or of_google)


def forget_old(folder: Path, now: float) -> None:
    """Remove the notes whose session has expired; `now` in seconds since 1970."""
    for path in folder.glob(f"*/*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < now - DAYS_KEPT * 86_400:
                path.unlink()
