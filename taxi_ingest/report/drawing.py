"""Something that is drawn again and again at the bottom of a terminal, with lines above it that stay."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from taxi_ingest.report.fitting import wrapped

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_SECONDS = 0.25
"""How long a drawing stays before it is drawn anew."""


class Drawing(AbstractContextManager["Drawing"]):
    """Draws `what` until the end of the block, and takes it away.

    rich reckons how many lines to go up before it prints, so two threads that print at once would leave some of them
    behind. Here each waits for the other.
    """

    def __init__(self, out: Console, what: RenderableType) -> None:
        self._out = out
        self._one_at_a_time = threading.Lock()
        self._live = Live(what, console=out, transient=True, auto_refresh=False)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._draw_again, daemon=True)

    def __enter__(self) -> Drawing:
        self._live.start(refresh=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._over.set()
        self._thread.join()
        with self._one_at_a_time:
            self._live.stop()

    def say(self, line: Text) -> None:
        """Print a line above it, wrapped; colours count for its first line."""
        text = Text(wrapped(self._out, line.plain), spans=line.spans)
        with self._one_at_a_time:
            self._live.console.print(text)

    def _draw_again(self) -> None:
        while not self._over.wait(_SECONDS):
            with self._one_at_a_time:
                self._live.refresh()
