"""DOWNLOAD: (web) → raw file.

Up to date while its receipt agrees: same source, and the published file has not been asked for anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.months import last_day
from taxi_ingest.errors import NotPublishedError, SourceError, TaxiError, TransientError
from taxi_ingest.files import Checksums, put_aside, replacing
from taxi_ingest.layout import Layout
from taxi_ingest.readers import Inspected
from taxi_ingest.readers.inspecting import inspect, look
from taxi_ingest.redaction import public_url
from taxi_ingest.sources import is_demo, local_path
from taxi_ingest.sources.bounds import Bound, bound, check_room
from taxi_ingest.sources.coding import ends_early, undo
from taxi_ingest.sources.http import answer
from taxi_ingest.sources.partial import SUFFIX, Notes, Partial
from taxi_ingest.sources.patience import Patience
from taxi_ingest.sources.refusals import denied_by_storage, passing_fault, throttle
from taxi_ingest.sources.versions import version_of
from taxi_ingest.state.receipts import Downloaded

if TYPE_CHECKING:
    from taxi_ingest.sources.connection import Answer

_CHUNK = 1 << 17


@dataclass(frozen=True)
class Published:
    """A file as the publisher describes it, and how it is compressed in transit; empty where it says nothing."""

    etag: str = ""
    last_modified: str = ""
    coding: str = ""


@dataclass(frozen=True)
class Origin:
    """Where a part's file comes from: the identity of its source, and the URL, which may hold secrets.

    `known_to_exist`: the file was published once, so that a 403 can only be a throttle. `is_converted_next`: it will be
    read to its end by the next step. With `sha256`, no file with another one is accepted. `is_first`: no receipt tells
    of an earlier download, so that another file in its place may be somebody else's, and is put aside.
    """

    source: str
    url: str = field(repr=False)
    known_to_exist: bool = False
    is_converted_next: bool = False
    sha256: str = ""
    is_first: bool = False


def _ignore(_: int) -> None:
    """Nobody listens."""


def download(
    part: Part,
    origin: Origin,
    layout: Layout,
    *,
    timeout_seconds: float = 60.0,
    slowest_bytes_per_second: float = 1000.0,
    grace_days: int = 120,
    progress: Callable[[int], None] = _ignore,
    expect: Callable[[int], None] = _ignore,
) -> Downloaded:
    """Fetch the part's published file (http, https or file) to its place below `raw/`, and return the receipt.

    A cut download goes on where it stopped, also in a new process. The file replaces an older one only when its length
    is right and its content is CSV or Parquet. gzip is read to its end to see that, unless there is no older one and
    it `is_converted_next`, which reads it anyway. `timeout_seconds` is how long the line may be silent, or slower
    than `slowest_bytes_per_second`. `progress` gets the bytes of each piece, a kept beginning first; `expect` gets the
    whole size in bytes, where it is announced.

    Raises NotPublishedError for a month that may still come (until `grace_days` after its end), SourceError when there
    is no such file or it has another sha256 than asked for, TransientError when another try may help (a 403 for a file
    that is known to exist is a throttle), ContentError when something else was sent, SpaceError when it does not fit on
    the disk.
    """
    url = origin.url
    suffixes = Path(urlsplit(public_url(url)).path).suffixes[-2:]  # without ;parameters, which may be secret
    target = layout.raw(part, "".join(suffixes) or ".csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Partial(target.with_name(target.name + SUFFIX), url)
    if (source := local_path(url)) is not None:
        published = _copy(url, source, partial, progress, expect)
    else:
        patience = Patience(timeout_seconds, slowest_bytes_per_second)
        absence = _Absence(url, part.month, grace_days, origin.known_to_exist)
        published = _fetch(partial, part, patience, absence, _Listeners(expect, progress))
    recognise = look if origin.is_converted_next and not target.exists() else inspect
    return _accept(partial, part, target, origin, layout, published, recognise)


def _accept(
    partial: Partial,
    part: Part,
    target: Path,
    origin: Origin,
    layout: Layout,
    published: Published,
    recognise: Callable[[Path, str], Inspected],
) -> Downloaded:
    """Look at what came; only CSV or Parquet takes the place of `target`, anything else is thrown away."""
    came, shown = partial.path, public_url(origin.url)
    try:
        undo(came, shown, published.coding, bound(part, origin.url, came.parent, None, 0))
        found = recognise(came, shown)
    except TaxiError:
        partial.discard()
        raise
    checksums = Checksums.of(came) if published.coding else partial.checksums
    if origin.sha256 and checksums.sha256 != origin.sha256:
        partial.discard()
        raise _another_version(shown)
    size = came.stat().st_size
    if origin.is_first and target.is_file() and Checksums.of(target).sha256 != checksums.sha256:
        put_aside(target)
    if not _is_same_file(target, local_path(origin.url)):
        with replacing(target) as scratch:
            came.replace(scratch)
    partial.discard()
    return Downloaded(
        source=origin.source,
        url=origin.source if is_demo(origin.source) else public_url(origin.url),
        file=target.relative_to(layout.data_dir).as_posix(),
        bytes=size,
        mtime_ns=target.stat().st_mtime_ns,
        sha256=checksums.sha256,
        format=found.format,
        columns=tuple(found.columns),
        crc32c=checksums.crc32c,
        etag=published.etag,
        last_modified=published.last_modified,
    )


def _another_version(shown: str) -> SourceError:
    return SourceError(
        f"{shown}: the publisher has another version by now, so the damaged raw file cannot be had again. What was "
        "made of it is intact and stays. Delete the raw file (its receipt stands for it), or take the new version "
        "with --refresh."
    )


def _is_same_file(target: Path, original: Path | None) -> bool:
    """Whether the file that was copied lies where its copy would: then it stays as it is."""
    return original is not None and target.exists() and target.samefile(original)


def _copy(
    url: str, source: Path, partial: Partial, progress: Callable[[int], None], expect: Callable[[int], None]
) -> Published:
    if source.is_dir():
        raise SourceError(
            f"{source} is a folder, not a file. Name the file in it; if there are several, as Spark writes them, "
            "write the month as one file first."
        )
    if not source.is_file():
        raise SourceError(f"There is no file {source}. Check the --source template, or copy the file there.")
    version = version_of(source.stat())
    size = version.size or 0
    check_room(url, partial.path.parent, size, 0)
    expect(size)
    with source.open("rb") as file, partial.appending(0) as append:
        while chunk := file.read(_CHUNK):
            append(chunk)
            progress(len(chunk))
    if not source.is_file() or version_of(source.stat()) != version:
        partial.discard()
        raise TransientError(f"{source} changed while it was copied.")
    return Published(version.etag, version.last_modified)


# ---- over HTTP


@dataclass(frozen=True)
class _Listeners:
    """Who hears of the whole size, and of each piece, both in bytes."""

    expect: Callable[[int], None]
    progress: Callable[[int], None]


def _fetch(partial: Partial, part: Part, patience: Patience, absence: _Absence, listeners: _Listeners) -> Published:
    try:
        with answer("GET", absence.url, {"Accept-Encoding": "identity"} | partial.range_headers(), patience) as found:
            if found.status == 416:
                partial.discard()
            absence.check(found)
            notes, framed = _receive(found, partial, part, absence.url, listeners)
    except (TransientError, OSError):
        partial.keep_if_useful()
        raise
    early = "" if framed else ends_early(partial.path, notes.coding)
    if early:
        partial.discard()
        raise TransientError(
            f"{notes.url}: the publisher announced no size, and the file may be cut: {early}. If that is how it "
            "was published, download it yourself and name it as --source file:///…."
        )
    partial.complete()
    return Published(notes.etag, notes.last_modified, notes.coding)


def _receive(found: Answer, partial: Partial, part: Part, url: str, listeners: _Listeners) -> tuple[Notes, bool]:
    """Store the body of an answer. Returns its notes, and whether it is certain that nothing is missing."""
    notes, start = partial.begin(found)
    listeners.expect(notes.total or 0)
    listeners.progress(start)
    size = _store(found, partial, start, bound(part, url, partial.path.parent, notes.total, start), listeners)
    if notes.total is not None and size != notes.total:  # what came is kept for the next try
        raise TransientError(f"{notes.url}: {size:,} of {notes.total:,} bytes came before the line was cut.")
    return notes, notes.total is not None or found.is_chunked


def _store(found: Answer, partial: Partial, start: int, allowed: Bound, listeners: _Listeners) -> int:
    """Append the body to the `start` bytes that are there already, and return the size of the file."""
    size = start
    with partial.appending(start) as append:
        for piece in found.pieces():
            size += len(piece)
            if size > allowed.most:
                partial.discard()
                raise allowed.beyond
            append(piece)
            listeners.progress(len(piece))
    return size


# ---- when the file is not there


@dataclass(frozen=True)
class _Absence:
    """What a refusal means for this month."""

    url: str
    month: str | None
    grace_days: int
    known_to_exist: bool

    def check(self, response: Answer) -> None:
        """Raise what the status of `response` means; 200 and 206 pass."""
        status, shown = response.status, response.shown
        if status in {200, 206}:
            return
        if status == 416:
            raise TransientError(f"{shown}: the file changed while it was fetched.")
        if fault := passing_fault(response):
            raise fault
        if status == 403 and (self.known_to_exist or not denied_by_storage(response)):
            raise throttle(response)
        if status in {403, 404, 410}:
            self._absent()
        raise SourceError(f"{shown}: the publisher answered {status}. Check the --source template.")

    def _absent(self) -> None:
        url = public_url(self.url)
        if self.month and (date.today() - last_day(self.month)).days < self.grace_days:
            raise NotPublishedError(
                f"{self.month} is not published yet at {url}; TLC publishes about two months after a month's end."
            )
        raise SourceError(f"The publisher has no such file: {url}. Check month and --source.")
