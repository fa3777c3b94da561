"""HTTP requests with their redirects, which are followed to https only, and never into a private network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from taxi_ingest.errors import SourceError
from taxi_ingest.redaction import public_url
from taxi_ingest.sources.addresses import is_host, may_be_public

if TYPE_CHECKING:
    from taxi_ingest.sources.connection import Answer
    from taxi_ingest.sources.patience import Patience

MAX_HOPS = 5
USER_AGENT = "taxi-ingest"

_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))


@contextlib.contextmanager
def answer(method: str, url: str, headers: Mapping[str, str], patience: Patience) -> Iterator[Answer]:
    """The answer at the end of at most MAX_HOPS redirects, its body still on the line; a resume starts at `url`.

    Raises SourceError for a redirect that is not followed and for any other fault that will not pass, and
    TransientError when another try may help; both also while the body is read.
    """
    from taxi_ingest.sources.connection import ask

    at, shown, public_page = url, public_url(url), ""
    ours = {"User-Agent": USER_AGENT, **headers}
    for _ in range(MAX_HOPS + 1):
        with ask(method, at, shown, ours, patience, public_page) as found:
            if not found.redirects:
                yield found
                return
            public_page = shown if found.is_public else public_page
            at = _next_hop(at, shown, found.header("Location"), public_page)
        # of the address that it redirects to, even the path may be a secret
        shown = f"{public_url(url)} (now at {urlsplit(at).hostname})"
    raise SourceError(f"{public_url(url)} redirects more than {MAX_HOPS} times. Check the --source template.")


def _next_hop(at: str, shown: str, location: str, public_page: str) -> str:
    """The URL that `location` leads to. Raises SourceError unless it may be followed, judged by its spelling."""
    try:
        # http.client reads headers as Latin-1; the bytes that were sent are kept as they are
        target = urljoin(at, quote(location.strip().encode("latin-1"), safe=_PRINTABLE))
        parts = urlsplit(target)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("https://")
    if parts.scheme != "https":
        raise SourceError(
            f"{shown} redirects to an address that is not https; not followed. "
            "Use the address it redirects to as --source, if you trust it."
        )
    if not is_host(host):
        raise SourceError(f"{shown} redirects to an address that is malformed; not followed.")
    if public_page and not may_be_public(host):  # behind a proxy this is all that can be known
        raise SourceError(f"{public_page} redirects into a private network ({host}); not followed.")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
