"""Where an HTTP answer comes from in the end: redirects go to https only, and never towards this machine's network."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from taxi_ingest.errors import SourceError
from taxi_ingest.redaction import public_url

if TYPE_CHECKING:
    import requests

MAX_HOPS = 5
USER_AGENT = "taxi-ingest"


@contextlib.contextmanager
def answer(
    session: requests.Session, method: str, url: str, headers: Mapping[str, str], timeout: float
) -> Iterator[requests.Response]:
    """The answer at the end of at most MAX_HOPS redirects, its body still on the line; a resume starts at `url`.

    Raises SourceError for a redirect that is not followed, and whatever requests raises.
    """
    at = url
    ours = {"User-Agent": USER_AGENT, **headers}
    for _ in range(MAX_HOPS + 1):
        response = session.request(method, at, headers=ours, timeout=timeout, stream=True, allow_redirects=False)
        if not response.is_redirect:
            with response:
                yield response
            return
        with response:
            at = _next_hop(at, response.headers["Location"])
    raise SourceError(f"{public_url(url)} redirects more than {MAX_HOPS} times. Check the --source template.")


def _next_hop(at: str, location: str) -> str:
    target = urljoin(at, location)
    parts = urlsplit(target)
    if parts.scheme != "https":
        raise SourceError(
            f"{public_url(at)} redirects to {parts.scheme}://{parts.hostname}, which is not https; not followed. "
            f"Use the address it redirects to as --source, if you trust it."
        )
    if not _is_private(urlsplit(at).hostname) and _is_private(parts.hostname):
        raise SourceError(f"{public_url(at)} redirects into a private network ({parts.hostname}); not followed.")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def _is_private(host: str | None) -> bool:
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(not ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in addresses)
