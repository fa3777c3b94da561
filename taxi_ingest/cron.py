"""A crontab line that works: cron gives a job no folder, hardly a PATH, and a meaning of its own to `%`."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from taxi_ingest.catalog.months import MONTH_NAMES
from taxi_ingest.errors import UsageError
from taxi_ingest.process import in_full

NICKNAMES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@reboot")

WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
"""In the order in which cron counts them, from 0."""

_MONTHS = tuple(name.lower() for name in MONTH_NAMES)
_DAYS = tuple(name.lower() for name in WEEKDAYS)

_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("weekday", 0, 7, _DAYS),
)
"""The five fields: what each is called, its least and greatest number, and names for them from the least on."""

_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<every>[0-9]+))?")


def instead_on_windows(arguments: Sequence[str], folder: Path) -> str:
    """What to do on Windows, which has neither crontab nor systemd, to run `taxi-ingest run` with `arguments`."""
    command = subprocess.list2cmdline([*in_full(), "run", *arguments, "--quiet"])
    return f"Windows has neither cron nor systemd. Let its Task Scheduler start this in {folder}: {command}"


def crontab_line(at: str, arguments: Sequence[str], folder: Path) -> str:
    """The line that runs `taxi-ingest run` with `arguments` in `folder` at the times `at`, quiet when idle.

    Raises UsageError for an `at` that is neither five fields nor a nickname such as @daily, and for control characters.
    """
    fields = fields_of(at)
    check_printable([*arguments, str(folder)], "A crontab line is one line")
    job = f"cd {shlex.quote(str(folder))} && {shlex.join([*in_full(), 'run', *arguments, '--quiet'])}"
    return f"{' '.join(fields)} {job}".replace("%", r"\%")


def fields_of(at: str) -> list[str]:
    """The five fields of a time, or its nickname alone. Raises UsageError for anything else."""
    fields = at.split()
    _check_time(at, fields)
    return fields


def check_printable(words: Sequence[str], why: str) -> None:
    """Raise UsageError for a word that holds a line end or another control character."""
    if any(not character.isprintable() for word in words for character in word):
        raise UsageError(f"{why}: name no path that holds a line end or another control character.")


def _check_time(at: str, fields: Sequence[str]) -> None:
    if at in NICKNAMES:
        return
    if len(fields) != len(_FIELDS):
        raise UsageError(
            f"'{at}' is no time for cron. Write five fields, minute hour day month weekday, such as '17 6 * * *', "
            f"or one of {', '.join(NICKNAMES)}."
        )
    for text, (what, least, most, names) in zip(fields, _FIELDS, strict=True):
        if not all(_is_item(item, least, most, names) for item in text.split(",")):
            named = f", or {names[0]} to {names[-1]}" if names else ""
            raise UsageError(
                f"'{at}' is no time for cron: its {what} is '{text}'. Write * or {least} to {most}{named}; also lists "
                "(1,15), ranges (1-5) and steps (*/2)."
            )


def _is_item(item: str, least: int, most: int, names: tuple[str, ...]) -> bool:
    """Whether cron takes `item` for one of a field's comma-separated items."""
    found = _ITEM.fullmatch(item)
    if found is None:
        return False
    numbers = [_number(text, least, names) for text in (found["first"], found["last"]) if text is not None]
    if not all(number is not None and least <= number <= most for number in numbers):
        return False
    if found["every"] is not None and (len(numbers) == 1 or int(found["every"]) == 0):
        return False  # steps are of * or of a range
    return len(numbers) < 2 or (numbers[0] or 0) <= (numbers[1] or 0)


def _number(text: str, least: int, names: tuple[str, ...]) -> int | None:
    if text.isascii() and text.isdecimal():
        return int(text)
    return names.index(text.lower()) + least if text.lower() in names else None
