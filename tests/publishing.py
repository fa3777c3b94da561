"""A publisher on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest
from loopback import LoopbackHandler, serving

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Publisher:
    """A publisher on loopback: `files` by path; a callable answers for itself. `requests` lists what was asked."""

    url: str
    files: dict[str, bytes | Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    everything: Answer | None = None

    @property
    def template(self) -> str:
        """A --source for `/{dataset}_{month}.csv`."""
        return self.url + "/{dataset}_tripdata_{month}.csv"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A publisher that answers 404 for what it does not have, and knows Range and If-Range."""

    class Handler(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            published.requests.append(self.path)
            published.methods.append(self.command)
            published.headers.append(dict(self.headers))
            found = published.everything or published.files.get(self.path)
            if callable(found):
                found(self)
            elif found is None:
                answer(self, 404, b"not here")
            else:
                serve(self, found)

        do_HEAD = do_GET  # noqa: N815 - the server's name

    with serving(Handler) as url:
        published = Publisher(url)
        yield published


def answer(to: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer one request."""
    to.send_response(status)
    for name, value in headers.items():
        to.send_header(name.replace("_", "-"), value)
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    if to.command != "HEAD":
        to.wfile.write(body)


def serve(to: BaseHTTPRequestHandler, body: bytes, etag: str = '"1"') -> None:
    """Serve a file as an object store does: with an ETag, and with Range where If-Range allows it."""
    wanted = to.headers.get("Range")
    if wanted and to.headers.get("If-Range") == etag:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        answer(to, 206, body[start:], ETag=etag, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")
    else:
        answer(to, 200, body, ETag=etag)


def sends(status: int, headers: dict[str, str], body: bytes) -> Answer:
    """Send just these headers and bytes, and hang up."""

    def handle(to: BaseHTTPRequestHandler) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        to.wfile.write(f"HTTP/1.1 {status} OK\r\n{lines}Connection: close\r\n\r\n".encode() + body)
        to.close_connection = True

    return handle


def one_after_another(*answers: Answer) -> Answer:
    """The n-th request gets the n-th answer; the last one is repeated."""
    waiting = list(answers)

    def handle(to: BaseHTTPRequestHandler) -> None:
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(to)

    return handle


def in_chunks(body: bytes, *, end: bool = True) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) + (b"0\r\n\r\n" if end else b"")
