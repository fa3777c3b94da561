"""DOWNLOAD: (web) → raw file.

Up to date while its receipt agrees: same source, and the published file has not been asked for anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.months import last_day
from taxi_ingest.errors import ContentError, NotPublishedError, SourceError, TransientError
from taxi_ingest.files import replacing, sha256, write_text
from taxi_ingest.layout import Layout
from taxi_ingest.readers.inspecting import inspect
from taxi_ingest.redaction import public_url
from taxi_ingest.sources.http import answer
from taxi_ingest.state.receipts import Downloaded

if TYPE_CHECKING:
    import requests


_CHUNK = 1 << 17  # what is lost of a cut line at most
_PARTIAL = ".part"
_RESPONSES_WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Published:
    """A file as the publisher describes it; empty where it says nothing."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True)
class Origin:
    """Where a part's file comes from: the identity of its source, and the URL, which may hold secrets.

    `known_to_exist`: the file was published once, so that a 403 can only be a throttle.
    """

    source: str
    url: str = field(repr=False)
    known_to_exist: bool = False


def _ignore(_: int) -> None:
    """Nobody listens."""


def download(
    part: Part,
    origin: Origin,
    layout: Layout,
    *,
    timeout_seconds: float = 60.0,
    grace_days: int = 120,
    progress: Callable[[int], None] = _ignore,
    expect: Callable[[int], None] = _ignore,
) -> Downloaded:
    """Fetch the part's published file (http, https or file) to its place below `raw/`, and return the receipt.

    A cut download goes on where it stopped, also in a new process. The file replaces an older one only when its length
    is right and its content is CSV or Parquet. `timeout_seconds` is how long the line may be silent. Raises
    NotPublishedError for a month that may still come (until `grace_days` after its end), SourceError when there is no
    such file, TransientError when another try may help (a 403 for a file that is known to exist is a throttle),
    ContentError when something else was sent. `progress` gets the bytes of each piece, a kept beginning first;
    `expect` gets the whole size in bytes, where it is announced.
    """
    url = origin.url
    suffixes = Path(urlsplit(public_url(url)).path).suffixes[-2:]  # without ;parameters, which may be secret
    target = layout.raw(part, "".join(suffixes) or ".csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + _PARTIAL)
    if urlsplit(url).scheme == "file":
        published = _copy(url, partial, progress, expect)
    else:
        absence = _Absence(url, part.month, grace_days, origin.known_to_exist)
        published = _fetch(url, partial, timeout_seconds, progress, expect, absence)
    return _accept(partial, target, origin, layout, published)


def _accept(partial: Path, target: Path, origin: Origin, layout: Layout, published: Published) -> Downloaded:
    """Look at what came; only CSV or Parquet takes the place of `target`, anything else is thrown away."""
    try:
        found = inspect(partial)
    except ContentError as error:
        _discard(partial)
        raise ContentError(f"{public_url(origin.url)}: {error}") from error
    digest = sha256(partial)
    size = partial.stat().st_size
    with replacing(target) as scratch:
        partial.replace(scratch)
    _discard(partial)
    return Downloaded(
        source=origin.source,
        url=origin.source if origin.source.startswith("demo:") else public_url(origin.url),
        file=str(target.relative_to(layout.data_dir)),
        bytes=size,
        mtime_ns=target.stat().st_mtime_ns,
        sha256=digest,
        format=found.format,
        columns=tuple(found.columns),
        etag=published.etag,
        last_modified=published.last_modified,
    )


def _copy(url: str, partial: Path, tell: Callable[[int], None], expect: Callable[[int], None]) -> Published:
    source = Path(unquote(urlsplit(url).path))
    if not source.is_file():
        raise SourceError(f"There is no file {source}. Check the --source template, or copy the file there.")
    expect(source.stat().st_size)
    with source.open("rb") as file, partial.open("wb") as out:
        while chunk := file.read(_CHUNK):
            out.write(chunk)
            tell(len(chunk))
    return Published()


# ---- over HTTP


def _fetch(
    url: str,
    partial: Path,
    timeout: float,
    tell: Callable[[int], None],
    expect: Callable[[int], None],
    absence: _Absence,
) -> Published:
    import requests

    try:
        with requests.Session() as session:
            return _receive(session, url, partial, timeout, tell, expect, absence)
    except requests.RequestException as error:
        # requests words its errors with the whole URL, query and all; only the kind of fault is passed on
        raise TransientError(f"{public_url(url)}: the connection failed ({type(error).__name__}).") from None


def _receive(
    session: requests.Session,
    url: str,
    partial: Path,
    timeout: float,
    tell: Callable[[int], None],
    expect: Callable[[int], None],
    absence: _Absence,
) -> Published:
    headers = {"Accept-Encoding": "identity"} | _resume_headers(partial, url)
    with answer(session, "GET", url, headers, timeout) as response:
        if response.status_code == 416:
            _discard(partial)
            raise TransientError(f"{public_url(url)}: the file changed while it was fetched.")
        absence.check(response)
        published = Published(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
        start = _start(response, partial)
        write_text(_notes(partial), json.dumps({"url": public_url(url)} | vars(published)))
        total = _announced(response)
        expect(total or 0)
        tell(start)
        received = _store(response, partial, start, tell)
    if total is not None and start + received != total:  # what came is kept for the next try
        raise TransientError(
            f"{public_url(url)}: {start + received:,} of {total:,} bytes came before the line was cut."
        )
    return published


def _start(response: requests.Response, partial: Path) -> int:
    """Where the bytes of `response` go on, in bytes from the start of the file."""
    if response.status_code != 206:
        return 0
    have = partial.stat().st_size
    if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        _discard(partial)
        raise TransientError("The publisher sent another piece of the file than the one asked for.")
    return have


def _store(response: requests.Response, partial: Path, start: int, tell: Callable[[int], None]) -> int:
    received = 0
    with partial.open("ab" if start else "wb") as out:
        for chunk in response.iter_content(_CHUNK):
            out.write(chunk)
            received += len(chunk)
            tell(len(chunk))
    return received


def _announced(response: requests.Response) -> int | None:
    """The size of the whole file in bytes, as the publisher announces it."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers.get("Content-Length", "")
    return int(total) if total.isdigit() else None


def _resume_headers(partial: Path, url: str) -> dict[str, str]:
    """Headers that ask for the rest of a cut download, if it is known to be of this very file."""
    with contextlib.suppress(OSError, ValueError):
        notes = json.loads(_notes(partial).read_text(encoding="utf-8"))
        size = partial.stat().st_size
        # a weak ETag does not promise equal bytes, and If-Range may not carry one
        validator = notes["etag"] if notes["etag"] and not notes["etag"].startswith("W/") else notes["last_modified"]
        if size and validator and notes["url"] == public_url(url):
            return {"Range": f"bytes={size}-", "If-Range": validator}
    return {}


def _notes(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _notes(partial).unlink(missing_ok=True)


# ---- when the file is not there


@dataclass(frozen=True)
class _Absence:
    """What a refusal means for this month."""

    url: str
    month: str | None
    grace_days: int
    known_to_exist: bool

    def check(self, response: requests.Response) -> None:
        """Raise what the status of `response` means; 200 and 206 pass."""
        status = response.status_code
        if status in {200, 206}:
            return
        if status in _RESPONSES_WORTH_ANOTHER_TRY:
            raise TransientError(
                f"{public_url(self.url)}: the publisher answered {status}.",
                retry_after=_seconds(response.headers.get("Retry-After", "")),
            )
        if status == 403 and (self.known_to_exist or not _denied_by_storage(response)):
            raise TransientError(f"{public_url(self.url)}: the publisher is holding us back (403).")
        if status in {403, 404, 410}:
            self._absent()
        raise SourceError(f"{public_url(self.url)}: the publisher answered {status}. Check the --source template.")

    def _absent(self) -> None:
        url = public_url(self.url)
        if self.month and (date.today() - last_day(self.month)).days < self.grace_days:
            raise NotPublishedError(
                f"{self.month} is not published yet at {url}; TLC publishes about two months after a month's end."
            )
        raise SourceError(f"The publisher has no such file: {url}. Check month and --source.")


def _denied_by_storage(response: requests.Response) -> bool:
    """Whether a 403 is the storage's own "no such object" (XML, AccessDenied) and not a throttle's page."""
    return b"<Code>AccessDenied</Code>" in next(response.iter_content(4096), b"")


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.isdigit() else None
