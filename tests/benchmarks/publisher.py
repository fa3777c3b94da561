"""A publisher on loopback, as a CDN serves files: `publisher.py FOLDER`.

Prints its port, and ends when its input does. A process of its own, so that its time and memory count for nobody.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files of one folder, with length, ETag and pieces from an offset on."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        path = self.folder / Path(self.path).name
        if not path.is_file():
            self.send_error(404)
            return
        stat = path.stat()
        etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        start = self._start(etag)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{stat.st_size - 1}/{stat.st_size}")
        self.send_header("Content-Type", "application/gzip")
        self.send_header("Content-Length", str(stat.st_size - start))
        self.send_header("ETag", etag)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if self.command != "HEAD":
            self._send(path, start)

    do_HEAD = do_GET  # noqa: N815 - the server's name

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _start(self, etag: str) -> int:
        """The first byte asked for; 0 unless the file is still the one that was begun."""
        wanted = self.headers.get("Range", "")
        same = self.headers.get("If-Range", etag) == etag
        return int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted.endswith("-") and same else 0

    def _send(self, path: Path, start: int) -> None:
        self.wfile.flush()
        with path.open("rb") as file, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.sendfile(file, start)


def main() -> None:
    """Serve until the standard input ends."""
    Handler.folder = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
