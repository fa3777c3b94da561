"""An HTTP server that passes every request on to another one, keeps a list, and lets a test step in between."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Forwarding:
    """`requests` are (method, path); `before` is called with each before it is passed on."""

    url: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda _method, _path: None


@contextlib.contextmanager
def forwarding(to: str) -> Iterator[Forwarding]:
    """Pass requests on to the server at `to`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            there.requests.append((self.command, self.path))
            there.before(self.command, self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
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

        do_GET = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815 - the names http.server calls

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Forwarding(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
