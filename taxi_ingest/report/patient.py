"""A console that goes on when nobody reads it any more."""

from __future__ import annotations

from rich.console import Console


class PatientConsole(Console):
    """Prints into nothing once its reader has left, where rich would end the program with exit code 1."""

    def on_broken_pipe(self) -> None:
        """Called by rich when a write finds no reader."""
        self.quiet = True
