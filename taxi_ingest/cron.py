"""A crontab line that works: cron gives a job no folder, hardly a PATH, and a meaning of its own to `%`."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from taxi_ingest.errors import UsageError

_FIELD = re.compile(r"[0-9A-Za-z*/,-]+")
_NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@reboot")


def crontab_line(at: str, arguments: Sequence[str], folder: Path) -> str:
    """The line that runs `taxi-ingest run` with `arguments` in `folder` at the times `at`, quiet when idle.

    Raises UsageError for an `at` that is neither five fields nor a nickname such as @daily, and for control characters.
    """
    fields = at.split()
    if at not in _NICKNAMES and not (len(fields) == 5 and all(_FIELD.fullmatch(field) for field in fields)):
        raise UsageError(
            f"'{at}' is no time for cron. Write five fields, minute hour day month weekday, such as '17 6 * * *', "
            f"or one of {', '.join(_NICKNAMES)}."
        )
    if any(not character.isprintable() for word in (*arguments, str(folder)) for character in word):
        raise UsageError("A crontab line is one line: name no path that holds a line end or another control character.")
    job = f"cd {shlex.quote(str(folder))} && {shlex.join([*_program(), 'run', *arguments, '--quiet'])}"
    return f"{' '.join(fields)} {job}".replace("%", r"\%")


def _program() -> list[str]:
    """This very program under its full name; without a script of its own, as a module of this Python."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "taxi-ingest" and os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "taxi_ingest"]
