"""A question to whoever sits at the terminal."""

from __future__ import annotations

import sys


def check_terminal(sentence: str) -> None:
    """Raise UsageError with `sentence` where nobody can be asked."""
    from taxi_ingest.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError(sentence)


def agreed(question: str) -> bool:
    """Whether the answer to `question` is yes."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}
