"""Which view fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from taxi_ingest.report.plain import PlainView

if TYPE_CHECKING:
    from taxi_ingest.report.live import LiveView


def view(stream: TextIO, *, quiet: bool) -> PlainView | LiveView:
    """Bars on a terminal, lines elsewhere and when `quiet`."""
    if quiet or not stream.isatty():
        return PlainView(stream, quiet=quiet)
    from taxi_ingest.report import console
    from taxi_ingest.report.live import LiveView

    return LiveView(console(stream))
