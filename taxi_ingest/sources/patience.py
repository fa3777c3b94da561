"""How long a publisher is waited for.

The time-out of a socket starts anew with every byte, so one byte a minute would hold a download for ever. A `Deadline`
cuts the connection from outside instead, because a read may never return.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import Self

_HEADERS = 3
"""Connecting, the handshake and the headers together may take so many times the time-out."""

_LARGEST_PIECE = 1 << 17


@dataclass(frozen=True)
class Patience:
    """`timeout_seconds`: how long the line may be silent, and how long it may be slower than the slowest rate."""

    timeout_seconds: float = 60.0
    slowest_bytes_per_second: float = 1000.0

    @property
    def piece(self) -> int:
        """Bytes that are read at a time: they arrive well within the time-out even at the slowest rate."""
        return max(1, min(_LARGEST_PIECE, int(self.timeout_seconds * self.slowest_bytes_per_second / 2)))


class Deadline:
    """Ends the connections it watches when time is up; what was already received can still be read.

    `too_slow` is "" until then, and afterwards says why. To be used in a `with` block, from one thread.
    """

    def __init__(self, patience: Patience) -> None:
        self.too_slow = ""
        self._patience = patience
        self._why = f"its headers were not complete after {_HEADERS * patience.timeout_seconds:g} seconds"
        self._until = time.monotonic() + _HEADERS * patience.timeout_seconds
        self._sockets: list[socket.socket] = []
        self._changed = threading.Condition()
        self._over = False

    def watch(self, connection: socket.socket) -> None:
        """End `connection` when time is up. A copy is kept: TLS takes the socket itself away."""
        with self._changed:
            self._sockets.append(connection.dup())
            if self.too_slow:
                self._cut()

    def body_begins(self) -> None:
        """The headers are here: from now on it is the rate that counts."""
        patience = self._patience
        with self._changed:
            self._why = (
                f"for {patience.timeout_seconds:g} seconds it sent less than "
                f"{patience.slowest_bytes_per_second:,g} bytes a second"
            )
            self._until = time.monotonic() + patience.timeout_seconds
            self._changed.notify()

    def came(self, size: int) -> None:
        """So many bytes arrived: they buy time, though never more than the time-out from now."""
        with self._changed:
            earned = self._until + size / self._patience.slowest_bytes_per_second
            self._until = min(earned, time.monotonic() + self._patience.timeout_seconds)

    def __enter__(self) -> Self:
        threading.Thread(target=self._wait, name="deadline", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
            for connection in self._sockets:
                connection.close()

    def _wait(self) -> None:
        with self._changed:
            while not self._over:
                left = self._until - time.monotonic()
                if left <= 0:
                    self.too_slow = self._why
                    self._cut()
                    return
                self._changed.wait(left)

    def _cut(self) -> None:
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
