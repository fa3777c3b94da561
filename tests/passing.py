"""Faults of a publisher that are gone at the next try."""

from __future__ import annotations

import socket
import struct
import time
from http.server import BaseHTTPRequestHandler

from publishing import Answer, answer
from republishing import CSV


def reset(to: BaseHTTPRequestHandler) -> None:
    to.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    to.connection.close()
    to.close_connection = True


def cut(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.send_header("ETag", '"1"')
    to.send_header("Content-Length", str(len(CSV)))
    to.end_headers()
    to.wfile.write(CSV[: len(CSV) // 2])
    to.wfile.flush()
    reset(to)


def silent(to: BaseHTTPRequestHandler) -> None:
    time.sleep(1.5)
    to.close_connection = True


PASSING: dict[str, Answer] = {
    "reset": reset,
    "cut": cut,
    "time-out": silent,
    "429": lambda to: answer(to, 429, b"", Retry_After="0"),
    "500": lambda to: answer(to, 500, b""),
    "502": lambda to: answer(to, 502, b""),
    "503": lambda to: answer(to, 503, b""),
    "504": lambda to: answer(to, 504, b""),
    "throttled 403": lambda to: answer(to, 403, b"<html>slow down</html>"),
}
