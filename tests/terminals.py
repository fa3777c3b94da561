"""A terminal: a command runs on a real pty, and what it draws is read from the screen and from what scrolled off."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
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


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """The command line on a terminal of so many columns: `terminal(80, "status")`."""

    def run(columns: int, *arguments: str, **environment: str) -> Shown:
        return on_a_terminal([sys.executable, "-m", "taxi_ingest", *arguments], tmp_path, columns, **environment)

    return run


def on_a_terminal(command: list[str], folder: Path, columns: int, **environment: str) -> Shown:
    """Run `command` to its end on a terminal of so many columns and 24 rows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    settings = os.environ | {"TERM": "xterm-256color", "TAXI_INGEST_DEMO__ROWS": "20000"} | environment
    with subprocess.Popen(command, cwd=folder, env=settings, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                drawn += os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    return Shown(child.returncode, drawn, _scrolled(drawn, columns))


def _scrolled(drawn: bytes, columns: int) -> list[str]:
    screen = pyte.HistoryScreen(columns, ROWS, history=100_000)
    pyte.ByteStream(screen).feed(drawn)
    above = ["".join(line[at].data for at in range(columns)).rstrip() for line in screen.history.top]
    return [*above, *(line.rstrip() for line in screen.display)]
