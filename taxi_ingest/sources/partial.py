"""The beginning of a file whose download was cut, and what must hold for the rest to be joined to it.

Two versions of a file are never joined: bytes are removed before the notes about them are replaced, and an answer that
disagrees with the notes is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from taxi_ingest.errors import TransientError
from taxi_ingest.files import Checksums, write_text
from taxi_ingest.layout import is_raw_name
from taxi_ingest.redaction import public_url
from taxi_ingest.sources.headers import coding_of, content_range

if TYPE_CHECKING:
    from taxi_ingest.sources.connection import Answer


SUFFIX = ".part"
"""What the name of such a file ends in."""

DAYS_KEPT = 30
"""So long a beginning waits for the rest; by then the publisher has most likely another file."""

_NOTES = ".json"


@dataclass(frozen=True)
class Notes:
    """What the first answer said about the whole file: `total` in bytes on the wire, None if it did not say.

    `url` is the public form of the address, `coding` the Content-Encoding, "" for none.
    """

    url: str
    etag: str = ""
    last_modified: str = ""
    total: int | None = None
    coding: str = ""

    @property
    def validator(self) -> str:
        """What If-Range may carry, "" if nothing can: a weak ETag does not promise equal bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


def forget_old(folder: Path, now: float) -> None:
    """Remove the beginnings of files in the folders of `folder` that nobody went on with for DAYS_KEPT days.

    A file that has neither the name of a download nor our notes beside it is somebody else's, and stays. `now` is in
    seconds since 1970.
    """
    for path in folder.glob(f"*/*{SUFFIX}"):
        partial = Partial(path, "")
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < now - DAYS_KEPT * 86_400 and partial.is_ours:
                partial.discard()
    for notes in folder.glob(f"*/*{SUFFIX}{_NOTES}"):
        partial = Partial(notes.with_name(notes.name.removesuffix(_NOTES)), "")
        if not partial.path.exists() and partial.is_ours:
            partial.discard()


class Partial:
    """A file that is still coming, at `path`, with notes beside it, and the `checksums` of what was written to it."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.checksums = Checksums()
        self._notes_path = path.with_name(path.name + _NOTES)
        self._url = public_url(url)

    @property
    def is_ours(self) -> bool:
        """Whether a download made it: by the notes beside it, or by its name where it has none."""
        return bool(self._notes().url) or is_raw_name(self.path.parent.name, self.path.name.removesuffix(SUFFIX))

    def range_headers(self) -> dict[str, str]:
        """Headers that ask for the rest, if what is there is known to be the beginning of this very file."""
        notes, size = self._notes(), self._size()
        goes_on = size > 0 and (notes.total is None or size < notes.total)
        if goes_on and notes.validator and notes.url == self._url:
            return {"Range": f"bytes={size}-", "If-Range": notes.validator}
        return {}

    def begin(self, answer: Answer) -> tuple[Notes, int]:
        """What is known of the file, and how many of its bytes are there, now that `answer` brings more.

        Raises TransientError, with nothing kept, for an answer that cannot be joined to what is there.
        """
        if answer.status == 206:
            return self._go_on(answer)
        notes = Notes(
            url=self._url,
            etag=answer.header("ETag"),
            last_modified=answer.header("Last-Modified"),
            total=answer.length,
            coding=coding_of(answer),
        )
        self.discard()
        self._write(notes)
        return notes, 0

    @contextlib.contextmanager
    def appending(self, start: int) -> Iterator[Callable[[bytes], None]]:
        """A function that appends a piece to the `start` bytes that are there already."""
        self.checksums = Checksums.of(self.path) if start else Checksums()
        with self.path.open("ab" if start else "wb") as out:

            def append(piece: bytes) -> None:
                out.write(piece)
                self.checksums.update(piece)

            yield append

    def discard(self) -> None:
        """Keep nothing."""
        self.path.unlink(missing_ok=True)  # first: notes without bytes do no harm
        self._notes_path.unlink(missing_ok=True)

    def complete(self) -> None:
        """Note that the whole file is here, so that nothing is appended to it any more."""
        self._notes_path.unlink(missing_ok=True)

    def keep_if_useful(self) -> None:
        """Keep what came only if the next try can go on from there."""
        if not self._notes().validator:
            self.discard()

    def _go_on(self, answer: Answer) -> tuple[Notes, int]:
        notes, size = self._notes(), self._size()
        piece = content_range(answer.header("Content-Range"))
        agrees = (
            piece is not None
            and piece.first == size > 0
            and answer.length in {None, piece.last - piece.first + 1}
            and answer.header("ETag") == notes.etag
            and answer.header("Last-Modified") in {"", notes.last_modified}
            and coding_of(answer) == notes.coding
        )
        total = (piece.total if piece else None) or notes.total
        if not agrees or total is None or total != (notes.total or total):
            self.discard()
            raise TransientError(
                f"{self._url}: the publisher sent a piece that does not belong to what came before; "
                "the file is fetched from its beginning."
            )
        if notes.total is None:  # from now on it is due
            notes = replace(notes, total=total)
            self._write(notes)
        return notes, size

    def _write(self, notes: Notes) -> None:
        write_text(self._notes_path, msgspec.json.encode(notes).decode())

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def _notes(self) -> Notes:
        with contextlib.suppress(OSError, UnicodeDecodeError, RecursionError, msgspec.MsgspecError):
            return msgspec.json.decode(self._notes_path.read_bytes(), type=Notes)
        return Notes("")
