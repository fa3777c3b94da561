"""Whether a publisher still has the version of a file that we hold: a conditional request that fetches none of it.

A HEAD, because a server that ignores If-None-Match would answer a GET with the whole file. Signed URLs may refuse a
HEAD and take a GET, so what HEAD cannot settle is asked once more with a conditional GET, whose body is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from os import stat_result
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from taxi_ingest.errors import SourceError, TransientError
from taxi_ingest.sources import local_path
from taxi_ingest.sources.headers import moment
from taxi_ingest.sources.http import answer
from taxi_ingest.sources.patience import Patience
from taxi_ingest.sources.refusals import denied_by_storage, passing_fault, throttle

if TYPE_CHECKING:
    from taxi_ingest.sources.connection import Answer

Verdict = Literal["unchanged", "changed", "unknown", "gone"]
"""What became of a file. "unknown": its publisher tells nothing that could be compared."""


@dataclass(frozen=True)
class Version:
    """One version of a published file as its publisher tells it; "" and None where it says nothing.

    `size` is in bytes.
    """

    etag: str = ""
    last_modified: str = ""
    size: int | None = None

    @property
    def day(self) -> str:
        """The day it was last modified, as 2024-01-19; "" when that is not told."""
        modified = moment(self.last_modified)
        return f"{modified:%Y-%m-%d}" if modified else ""


@dataclass(frozen=True)
class Reply:
    """What a publisher says of a file that we hold, and the version it has now."""

    verdict: Verdict
    now: Version = Version()


def ask(url: str, held: Version, patience: Patience) -> Reply:
    """Whether the file at `url` (http, https or file) is still the version `held`.

    Raises TransientError when the publisher cannot be asked now (a throttle, a web page in the file's place), and
    SourceError when it does not answer such a question.
    """
    if (path := local_path(url)) is not None:
        return _look(path, held)
    with answer("HEAD", url, _conditions(held), patience) as found:
        reply = _settled(found, held)
    if reply is not None:
        return reply
    with answer("GET", url, _conditions(held), patience) as found:
        return _settled(found, held) or _refused(found)


def version_of(stat: stat_result) -> Version:
    """The version of a file on this disk; its ETag holds all of the time, the date only the second."""
    return Version(f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"', formatdate(stat.st_mtime, usegmt=True), stat.st_size)


def compared(held: Version, now: Version) -> Verdict:
    """Whether two versions are the same, by the best that both tell: ETag, else date, else size."""
    for before, after in (
        (_strong(held.etag), _strong(now.etag)),
        (held.last_modified, now.last_modified),
        (held.size, now.size),
    ):
        if before not in {"", None} and after not in {"", None}:
            return "unchanged" if before == after else "changed"
    return "unknown"


def _look(path: Path, held: Version) -> Reply:
    try:
        now = version_of(path.stat())
    except OSError:
        return Reply("gone")
    return Reply(compared(held, now), now)


def _conditions(held: Version) -> dict[str, str]:
    """The headers of the question. A date beside an ETag would let some servers say "unchanged" by the date alone."""
    asked = {"Accept-Encoding": "identity"}
    if held.etag:
        return asked | {"If-None-Match": held.etag}
    return asked | ({"If-Modified-Since": held.last_modified} if held.last_modified else {})


def _settled(found: Answer, held: Version) -> Reply | None:
    """What an answer says; None when it settles nothing. Raises TransientError for another's answer."""
    if found.status == 304:
        return Reply("unchanged", held)
    if fault := passing_fault(found):
        raise fault
    if found.status != 200:
        return None
    if found.header("Content-Type").lower().startswith("text/html"):
        raise TransientError(f"{found.shown}: the publisher answered with a web page.")
    size = None if found.header("Content-Encoding") else found.length
    now = Version(found.header("ETag"), found.header("Last-Modified"), size)
    return Reply(compared(held, now), now)


def _refused(found: Answer) -> Reply:
    """What it means that a GET got no file either."""
    if found.status in {404, 410} or (found.status == 403 and denied_by_storage(found)):
        return Reply("gone")
    if found.status == 403:
        raise throttle(found)
    raise SourceError(f"{found.shown}: the publisher answered {found.status} when asked whether the file changed.")


def _strong(etag: str) -> str:
    """An ETag without the mark of a weak one, which a cache in between may add or take away."""
    return etag.removeprefix("W/")
