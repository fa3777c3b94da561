"""A terminal: a command runs on a real pty, and what it draws is read from the screen and from what scrolled off."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyte
import pytest

ROWS = 24


@dataclass(frozen=True)
class Shown:
    """What a command left: its exit code, every byte it drew, and the lines that one can scroll back to."""

    code: int
    drawn: bytes
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


Terminal = Callable[..., Shown]
Watch = Callable[[bytes], None]


def _ignore(_: bytes) -> None:
    pass


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """The command line on a terminal of so many columns: `terminal(80, "status")`."""

    def run(columns: int, *arguments: str, watch: Watch = _ignore, **environment: str) -> Shown:
        command = [sys.executable, "-m", "taxi_ingest", *arguments]
        return on_a_terminal(command, tmp_path, columns, watch, **environment)

    return run


def on_a_terminal(command: list[str], folder: Path, columns: int, watch: Watch = _ignore, **environment: str) -> Shown:
    """Run `command` to its end on a terminal of so many columns and 24 rows; `watch` hears all drawn so far."""
    import fcntl  # these three are not there on Windows, where the other tests run
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    settings = os.environ | {"TERM": "xterm-256color", "TAXI_INGEST_DEMO__ROWS": "20000"} | environment
    with subprocess.Popen(command, cwd=folder, env=settings, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                drawn += os.read(ours, 1 << 16)
                watch(drawn)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    return Shown(child.returncode, drawn, _scrolled(drawn, columns))


def _scrolled(drawn: bytes, columns: int) -> list[str]:
    screen = pyte.HistoryScreen(columns, ROWS, history=100_000)
    pyte.ByteStream(screen).feed(drawn)
    above = ["".join(line[at].data for at in range(columns)).rstrip() for line in screen.history.top]
    return [*above, *(line.rstrip() for line in screen.display)]
