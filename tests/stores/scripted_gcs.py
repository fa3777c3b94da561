"""A loopback server that answers as a test tells it, in the form of Google's JSON API."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any]
"""Status and JSON."""


def refusal(status: int, message: str, reason: str = "") -> Reply:
    """An error as the API words it."""
    told = {"domain": "global", "reason": reason, "message": message}
    return status, {"error": {"code": status, "message": message, "errors": [told]}}


def described(name: str, crc32c: str, size: int, mark: str) -> Reply:
    """The metadata of an object; `crc32c` is 8 hex digits."""
    checksum = base64.b64encode(bytes.fromhex(crc32c)).decode()
    document = {"name": name, "crc32c": checksum, "size": str(size), "metadata": {"taxi-ingest-mark": mark}}
    return 200, {**document, "generation": "1"}


@dataclass
class Scripted:
    """`script` holds replies by HTTP method, played in order, the last one again and again."""

    url: str
    script: dict[str, list[Reply]] = field(default_factory=dict)

    @property
    def session(self) -> str:
        """Where a large upload is told to go on; Google's carries a secret in its query, as this one does."""
        return f"{self.url}/upload/session?upload_id=a-secret"

    def play(self, method: str) -> Reply:
        """The next reply."""
        replies = self.script[method]
        return replies.pop(0) if len(replies) > 1 else replies[0]


@contextlib.contextmanager
def scripted() -> Iterator[Scripted]:
    """Serve until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, document = there.play(self.command)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Location", there.session)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = reply  # noqa: N815 - the names http.server calls

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Scripted(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
