"""A large upload to Cloud Storage: a session, in which the file goes up in chunks.

After a fault, and in another process, Google is asked how much it has, and the rest follows:
https://docs.cloud.google.com/storage/docs/performing-resumable-uploads. Whoever has the address of a session may write
its object, so no message shows it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from google.api_core import exceptions as answers
from google.auth.transport.requests import AuthorizedSession
from google.cloud.storage.retry import DEFAULT_RETRY

from taxi_ingest import google_cloud
from taxi_ingest.errors import StoreError, TransientError
from taxi_ingest.redaction import remember

SMALLEST_CHUNK, LARGEST_CHUNK = 8 << 20, 32 << 20
"""Bytes of a chunk: on a slow line a cut costs little; on a fast one, replies are not waited for often."""

QUICK_SECONDS = 4.0
"""A chunk that took less is followed by one of twice the size."""

SILENCE_SECONDS = 120.0
"""How long nothing may move. How long a chunk takes has no limit, as some lines are slow."""

TRIES = 5
"""How often in a row a chunk may fail without anything more having arrived, and how often some of it may be lost."""

_BLOCK = 256 << 10
_ACCEPTED = {200, 201}
_RANGE = re.compile(r"bytes=0-(\d+)")


def open_session(transport: AuthorizedSession, url: str, document: Mapping[str, object], size: int) -> str:
    """Begin the upload of an object that `document` describes; returns the address of its session, a secret.

    Raises TransientError for an answer without one: something in between answered in Google's place.
    """

    def begin() -> str:
        headers = {"X-Upload-Content-Type": str(document["contentType"]), "X-Upload-Content-Length": str(size)}
        reply = transport.post(url, json=document, headers=headers, timeout=google_cloud.REQUEST_SECONDS)
        if reply.status_code not in _ACCEPTED:
            raise answers.from_http_response(reply)
        if "Location" not in reply.headers:
            raise TransientError(
                "Cloud Storage answered without the address of an upload. Something in between, such as a proxy that "
                "wants a sign-in, may answer in its place. Run again."
            )
        return str(reply.headers["Location"])

    session: str = google_cloud.limited(DEFAULT_RETRY)(begin)()
    return session


class Sending:
    """The upload of the `size` bytes of `file` in one session; `progress` hears of bytes that are sent or are there."""

    def __init__(
        self, transport: AuthorizedSession, session: str, file: Path, size: int, progress: Callable[[int], None] | None
    ) -> None:
        _hide(session)
        self._transport = transport
        self._session = session
        self._file = file
        self._size = size
        self._progress = progress or (lambda _: None)
        self._told = 0

    def go_on(self) -> None:
        """Send what Google has not yet, to the end. Raises the answer that refuses it.

        Raises StoreError if the file became shorter, TransientError if chunks fail again and again.
        """
        self._send_from(self._there())

    def begin(self, session: str) -> None:
        """As `go_on`, in a session that was just begun; bytes that were told of are not told of again."""
        _hide(session)
        self._session = session
        self._send_from(0)

    def _send_from(self, arrived: int | None) -> None:
        chunk, failures, falls = SMALLEST_CHUNK, 0, 0
        while arrived is not None:
            self._tell(arrived)
            before, begun = arrived, time.monotonic()
            try:
                arrived = self._send(arrived, chunk)
            except Exception as error:
                if not google_cloud.is_passing(error):
                    raise
                chunk, arrived = SMALLEST_CHUNK, self._there()
            else:
                chunk = min(2 * chunk, LARGEST_CHUNK) if time.monotonic() - begun < QUICK_SECONDS else chunk
            failures = failures + 1 if arrived is not None and arrived <= before else 0
            falls += arrived is not None and arrived < before
            if TRIES in {failures, falls}:
                raise TransientError(f"{self._file.name} does not arrive: Google takes no more of it. Run again.")
            if failures:
                time.sleep(min(0.2 * 2**failures, 8.0))
        self._tell(self._size)

    def _send(self, start: int, chunk: int) -> int | None:
        """Send a chunk; returns how many bytes of the file have arrived, None if that is all."""
        if start == self._size:  # all is there, and Google has not said so
            return self._there()
        end = min(start + chunk, self._size)
        return self._put(f"bytes {start}-{end - 1}/{self._size}", _Piece(self._file, start, end, self._tell))

    def _there(self) -> int | None:
        """Ask how many bytes of the file have arrived, None if that is all."""
        ask = google_cloud.limited(DEFAULT_RETRY)(lambda: self._put(f"bytes */{self._size}", b""))
        there: int | None = ask()
        return there

    def _put(self, content_range: str, body: _Piece | bytes) -> int | None:
        headers = {"Content-Range": content_range}
        reply = self._transport.put(self._session, data=body, headers=headers, timeout=SILENCE_SECONDS)
        if reply.status_code in _ACCEPTED:
            return None
        if reply.status_code != 308:
            raise answers.from_http_response(reply)
        found = _RANGE.fullmatch(reply.headers.get("Range", ""))
        return min(int(found[1]) + 1, self._size) if found else 0

    def _tell(self, position: int) -> None:
        """Tell of what is sent for the first time."""
        if position > self._told:
            self._progress(position - self._told)
            self._told = position


def _hide(session: str) -> None:
    """Have messages of others shown without the secret in the address of a session, whatever they leave of it."""
    for secret in parse_qs(urlsplit(session).query).get("upload_id", []):
        remember(f"https://session?upload_id={secret}")


class _Piece:
    """The bytes of `file` from `start` to `end`, read as they are sent, and from the beginning whenever they are."""

    def __init__(self, file: Path, start: int, end: int, tell: Callable[[int], None]) -> None:
        self._path, self._start, self._end, self._tell = file, start, end, tell

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, in blocks. Raises StoreError if the file has become too short to have them."""
        position = self._start
        with self._path.open("rb") as file:
            file.seek(position)
            while position < self._end:
                data = file.read(min(_BLOCK, self._end - position))
                if not data:
                    raise StoreError(f"{self._path} became shorter while it was uploaded. Run again.")
                yield data
                position += len(data)
                self._tell(position)
