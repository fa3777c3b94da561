"""HTTP servers on loopback, which the tests' publishers, emulated APIs and proxies are made of, and a network."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class LoopbackHandler(BaseHTTPRequestHandler):
    """A handler that keeps connections open and logs nothing; subclasses add `do_GET` and the like."""

    protocol_version = "HTTP/1.1"
    sni = ""

    def body(self) -> bytes:
        """The whole body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply_json(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        """Answer with a JSON document; it does not matter if the client has gone."""
        content = json.dumps(document).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(handler: type[LoopbackHandler], certificate: Path | None = None) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1, one thread per connection, until the end of the block; yields the URL.

    With a certificate (PEM, its key in the same file) it is https, with the name that the client asked for as `sni` of
    the handler's class.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if certificate:
        server.socket = _encrypted(server.socket, certificate, handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _encrypted(listening: socket.socket, certificate: Path, handler: type[LoopbackHandler]) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def note(_: ssl.SSLObject, name: str, __: ssl.SSLContext) -> None:
        handler.sni = name

    context.sni_callback = note
    return context.wrap_socket(listening, server_side=True)


def self_signed(folder: Path, *names: str) -> Path:
    """A certificate for these names (as in DNS:localhost) with its key, in one PEM file that may also be trusted."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=loopback", "-addext", f"subjectAltName={','.join(names)}"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


@dataclass
class Internet:
    """Names and addresses as this process sees them: `names` by host, one list of addresses a lookup (the last one
    stays); `ports` on loopback by address. `looked_up` and `connected` list what was asked for."""

    names: dict[str, list[list[str] | OSError]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    """Put a network of one's own in place of the system's resolver and routes."""
    known = Internet()
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def resolve(host: Any, port: Any, *arguments: Any, **named: Any) -> Any:
        if host not in known.names or named.get("flags"):
            return look_up(host, port, *arguments, **named)
        known.looked_up.append(host)
        waiting = known.names[host]
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(found, OSError):
            raise found
        return [one for address in found for one in look_up(address, port, *arguments, **named)]

    def route(self: socket.socket, address: Any) -> None:
        known.connected.append(address[0])
        port = known.ports.get(address[0])
        connect(self, ("127.0.0.1", port) if port else address)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", route)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    return known
