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
NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@reboot")


def crontab_line(at: str, arguments: Sequence[str], folder: Path) -> str:
    """The line that runs `taxi-ingest run` with `arguments` in `folder` at the times `at`, quiet when idle.

    Raises UsageError for an `at` that is neither five fields nor a nickname such as @daily, and for control characters.
    """
    fields = fields_of(at)
    check_printable([*arguments, str(folder)], "A crontab line is one line")
    job = f"cd {shlex.quote(str(folder))} && {shlex.join([*program(), 'run', *arguments, '--quiet'])}"
    return f"{' '.join(fields)} {job}".replace("%", r"\%")


def fields_of(at: str) -> list[str]:
    """The five fields of a time, or its nickname alone. Raises UsageError for anything else."""
    fields = at.split()
    if at not in NICKNAMES and not (len(fields) == 5 and all(_FIELD.fullmatch(field) for field in fields)):
        raise UsageError(
            f"'{at}' is no time for cron. Write five fields, minute hour day month weekday, such as '17 6 * * *', "
            f"or one of {', '.join(NICKNAMES)}."
        )
    return fields


def check_printable(words: Sequence[str], why: str) -> None:
    """Raise UsageError for a word that holds a line end or another control character."""
    if any(not character.isprintable() for word in words for character in word):
        raise UsageError(f"{why}: name no path that holds a line end or another control character.")


def program() -> list[str]:
    """This very program under its full name; without a script of its own, as a module of this Python."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "taxi-ingest" and os.access(script, os.X_OK):
        return [str(script)]
    return [sys.executable, "-m", "taxi_ingest"]
