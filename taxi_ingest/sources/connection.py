"""One request over HTTP: its host is looked up once, and its answer has limits of time.

Imports requests, so it is itself imported when first needed.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.utils import prepend_scheme_if_needed, select_proxy
from urllib3.util import parse_url
from urllib3.util.response import assert_header_parsing

from taxi_ingest.errors import SourceError, TransientError
from taxi_ingest.sources.addresses import addresses, is_this_machine, may_be_public
from taxi_ingest.sources.faults import fault, proxy_in_words, proxy_wants_password
from taxi_ingest.sources.headers import whole_number
from taxi_ingest.sources.patience import Deadline, Patience

_LARGEST_PIECE = 1 << 18
"""Bytes of a body that are read at a time, if so many have arrived."""


@dataclass
class Route:
    """How one request gets to its host.

    `crossed_from` is the public page (as it may be shown) that redirected here, after which no private address will
    do; "" when any will. `proxy` and `is_public` (whether a public address answers) are found out on the way.
    """

    deadline: Deadline
    crossed_from: str = ""
    proxy: str = ""
    is_public: bool = True

    def connect(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """Look `host` up once, and connect to one of the addresses that were found and judged."""
        found = addresses(host, port)
        if self.crossed_from and not all(address.is_public for address in found):
            raise SourceError(f"{self.crossed_from} redirects into a private network ({host}); not followed.")
        failure: OSError = OSError(f"{host} has no address")
        for address in found:
            if self.deadline.too_slow:
                break
            connection = socket.socket(address.family, socket.SOCK_STREAM)
            try:
                connection.settimeout(timeout)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.connect(address.at)
            except OSError as error:
                connection.close()
                failure = error
            else:
                self.is_public = address.is_public
                return connection
        raise failure


class Answer:
    """The answer of a publisher, with its body still on the line. `shown` is what messages call what was asked for."""

    def __init__(self, shown: str, response: requests.Response, route: Route, patience: Patience) -> None:
        self.shown = shown
        self.status: int = response.status_code
        self.redirects: bool = response.is_redirect
        self.is_public = route.is_public
        self._response = response
        self._deadline = route.deadline
        self._patience = patience

    def header(self, name: str) -> str:
        """The value of a header, "" when there is none."""
        return str(self._response.headers.get(name, ""))

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks, the last of which is marked."""
        return bool(self._response.raw.chunked)

    @property
    def length(self) -> int | None:
        """Bytes of the body on the wire; None when that is not announced.

        Raises SourceError for what is no size, TransientError when headers are damaged that may have held it.
        """
        text = self.header("Content-Length")
        received = self._response.raw._original_response
        if received and not text and not self.is_chunked:
            assert_header_parsing(received.msg)
        if not text or self.is_chunked:
            return None
        size = whole_number(text)
        if size is None:
            raise SourceError(f"{self.shown}: the publisher announced a Content-Length that is no size.")
        return size

    def beginning(self, size: int) -> bytes:
        """Up to `size` bytes of the body, fewer only if it has no more. Raises as `pieces` does."""
        start = b""
        for piece in self.pieces():
            start += piece
            if len(start) >= size:
                break
        return start[:size]

    def pieces(self) -> Iterator[bytes]:
        """The body as it came over the wire, packed or not. Raises TransientError when it comes too slowly."""
        self._deadline.body_begins()
        raw = self._response.raw
        chunks = raw.stream(self._patience.piece, decode_content=False)
        # what has arrived, without waiting for more; chunks cannot be read so
        arrived = iter(lambda: raw.read1(_LARGEST_PIECE, decode_content=False), b"")
        for piece in chunks if self.is_chunked else arrived:
            self._deadline.came(len(piece))
            yield piece
        if self._deadline.too_slow:  # to the reader, a cut looks like the end
            raise _gave_up(self.shown, self._deadline)


@contextlib.contextmanager
def ask(
    method: str, url: str, shown: str, headers: Mapping[str, str], patience: Patience, crossed_from: str = ""
) -> Iterator[Answer]:
    """Send one request and yield its answer, whatever the status; no redirect is followed. Messages say `shown`.

    Raises SourceError for what will not pass, and TransientError for what may, also while the body is read.
    """
    with Deadline(patience) as deadline:
        route = Route(deadline, crossed_from, is_public=may_be_public(urlsplit(url).hostname or ""))
        try:
            with _Session() as session, _send(session, method, url, headers, patience, route) as response:
                if response.status_code == 407 and route.proxy:
                    raise SourceError(proxy_wants_password(route.proxy))
                yield Answer(shown, response, route, patience)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # the texts of these errors hold the whole URL, query and all, so they are not passed on
            host = urlsplit(url).hostname or ""
            raise (_gave_up(shown, deadline) if deadline.too_slow else fault(shown, host, error, route.proxy)) from None


def _send(
    session: _Session, method: str, url: str, headers: Mapping[str, str], patience: Patience, route: Route
) -> requests.Response:
    adapter = _Adapter(route)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session.request(
        method,
        url,
        headers=headers,
        auth=_credentials(url),
        timeout=patience.timeout_seconds,
        verify=_trusted_certificates() if url.lower().startswith("https:") else True,
        stream=True,
        allow_redirects=False,
    )


def _credentials(url: str) -> HTTPBasicAuth | None:
    """User and password of `url` in UTF-8; requests itself would encode them in Latin-1, which lacks many letters."""
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return HTTPBasicAuth(user.encode(), password.encode()) if user or password else None


def _trusted_certificates() -> str | bool:
    """The file or folder of certificates to trust; True for those that requests brings along."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name, ""):
            if not Path(path).exists():
                raise SourceError(f"{name} names {path}, which does not exist. Name the file of trusted certificates.")
            return path
    path = os.environ.get("SSL_CERT_FILE", "")  # OpenSSL, curl and Python itself honour it, requests does not
    return path if path and Path(path).is_file() else True


def _gave_up(shown: str, deadline: Deadline) -> TransientError:
    return TransientError(f"{shown}: gave up waiting: {deadline.too_slow}.", is_silence=True)


class _Session(requests.Session):
    """Leaves redirects alone: requests would take their address apart even when told not to follow them."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class _Adapter(HTTPAdapter):
    """Sends over connections that take the route; this machine is asked without a proxy, whatever the settings."""

    def __init__(self, route: Route) -> None:
        self._route = route
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        _guard(self.poolmanager, self._route)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **named)
        if not known:
            _guard(manager, self._route)
        return manager

    def send(self, request: requests.PreparedRequest, *arguments: Any, **named: Any) -> requests.Response:
        url = request.url or ""
        if is_this_machine(urlsplit(url).hostname or ""):
            named["proxies"] = {}
        self._route.proxy = select_proxy(url, named["proxies"]) or ""
        if self._route.proxy:
            self._check_proxy(self._route.proxy)
        return super().send(request, *arguments, **named)

    def _check_proxy(self, proxy: str) -> None:
        try:
            proxy = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
            usable = bool(parse_url(proxy).host)
            self.proxy_manager_for(proxy)
        except (ValueError, AssertionError):  # what urllib3 raises for an address or a scheme it cannot use
            usable = False
        if not usable:
            socks = " SOCKS needs the package PySocks." if proxy.startswith("socks") else ""
            raise SourceError(
                f"{proxy_in_words(self._route.proxy)} cannot be used.{socks} "
                "Set it as in http://127.0.0.1:3128, or remove it."
            )


def _guard(manager: Any, route: Route) -> None:
    """Let every connection that `manager` opens take `route`."""
    manager.pool_classes_by_scheme = {
        scheme: type(pool.__name__, (pool,), {"ConnectionCls": _guarded(pool.ConnectionCls, route)})
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _guarded(kind: Any, route: Route) -> type:
    class Guarded(kind):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            if route.proxy:
                connection: socket.socket = super()._new_conn()
            else:
                connection = route.connect(self._dns_host, self.port, self.timeout)
            route.deadline.watch(connection)
            return connection

    return Guarded
