"""An HTTP proxy that forwards every request to one server, keeps a list, and can act before each is forwarded."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loopback import LoopbackHandler, serving


@dataclass
class Forwarding:
    """`requests` are (method, path); `before` is called with each before it is forwarded."""

    url: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda _method, _path: None


@contextlib.contextmanager
def forwarding(to: str) -> Iterator[Forwarding]:
    """Forward requests to the server at `to` until the end of the block."""

    class Handler(LoopbackHandler):
        def forward(self) -> None:
            forwarded.requests.append((self.command, self.path))
            forwarded.before(self.command, self.path)
            body = self.body() or None
            kept = {
                k: v for k, v in self.headers.items() if k.lower() not in {"host", "content-length", "accept-encoding"}
            }
            request = urllib.request.Request(to + self.path, body, kept, method=self.command)
            try:
                reply = urllib.request.urlopen(request, timeout=60)
            except urllib.error.HTTPError as refused:
                reply = refused
            with reply:
                content = reply.read()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    if name.lower() not in {"content-length", "transfer-encoding", "connection", "date", "server"}:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = forward  # noqa: N815 - the names http.server calls

    with serving(Handler) as url:
        forwarded = Forwarding(url)
        yield forwarded
