"""Text without what would steer the terminal that shows it.

Words of servers, names of files and values of tables may hold escape sequences. A terminal would obey them: move over
what stands there, change its title, or send keystrokes.
"""

from __future__ import annotations

import re

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tabs and line ends, and those that turn the direction of writing."""


def printable(text: str) -> str:
    """`text` with an escape, as Python writes it, in the place of each character that would steer a terminal."""
    return _STEERING.sub(_escape, text)


def on_one_line(text: str) -> str:
    """As `printable`, with tabs, line ends and whatever else cannot be seen as escapes too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
