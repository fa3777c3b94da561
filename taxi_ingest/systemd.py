"""A systemd service and its timer: what a crontab line says, where systemd starts what happens at set times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from taxi_ingest import exits
from taxi_ingest.catalog.months import MONTH_NAMES
from taxi_ingest.cron import NICKNAMES, WEEKDAYS, check_printable, fields_of
from taxi_ingest.errors import UsageError
from taxi_ingest.process import in_full

_FOLDER = "~/.config/systemd/user"

_UNITS = """\
# {folder}/taxi-ingest.service
[Unit]
Description=New York's taxi trip records, from the web to a table
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={directory}
ExecStart={command}
SuccessExitStatus={not_published}

# {folder}/taxi-ingest.timer
[Unit]
Description=When taxi-ingest runs

[Timer]
OnCalendar={calendar}
Persistent=true

[Install]
WantedBy=timers.target

# Save the two parts as the files named above them, then: systemctl --user enable --now taxi-ingest.timer
"""


def units(at: str, arguments: Sequence[str], folder: Path) -> str:
    """The service that runs `taxi-ingest run` with `arguments` in `folder`, and the timer for `at`, as cron writes it.

    Raises UsageError for times that systemd has no calendar for, and for control characters.
    """
    check_printable([*arguments, str(folder)], "A setting of a unit is one line")
    words = [*in_full(), "run", *arguments, "--quiet"]
    return _UNITS.format(
        folder=_FOLDER,
        directory=str(folder).replace("%", "%%"),
        command=" ".join(_quoted(word) for word in words),
        not_published=exits.NOT_PUBLISHED,
        calendar=calendar(at),
    )


def calendar(at: str) -> str:
    """The times of cron's five fields, or of a nickname, as systemd writes them. Raises UsageError."""
    fields = fields_of(at)
    if at in NICKNAMES:
        return _nickname(at)
    minute, hour, day, month, weekday = fields
    if day != "*" and weekday != "*":
        raise UsageError(
            f"'{at}' means that day of the month or that weekday, which one timer cannot say. Leave one of them *."
        )
    days = "" if weekday == "*" else f"{','.join(_weekdays(weekday))} "
    return f"{days}*-{_translated(month, 1)}-{_translated(day, 1)} {_translated(hour, 0)}:{_translated(minute, 0)}:00"


def _nickname(at: str) -> str:
    if at == "@reboot":
        raise UsageError("@reboot is no time of a calendar. Write five fields, such as '17 6 * * *'.")
    return _OTHERWISE.get(at, at[1:])


_OTHERWISE = {"@midnight": "daily", "@annually": "yearly", "@weekly": "Sun *-*-* 00:00:00"}
"""Nicknames that systemd does not have, or takes for another day."""


def _translated(field: str, first: int) -> str:
    """A field of cron as one of systemd: `1-5` as `1..5`, and `*/5` as `0/5`, where 0 is the `first` of its values."""
    items = []
    for item in field.split(","):
        span, slash, step = item.partition("/")
        edges = [str(first)] if slash and span == "*" else [_number(edge, MONTH_NAMES, 1) for edge in span.split("-")]
        items.append("..".join(edges) + (f"/{step}" if slash else ""))
    return ",".join(items)


def _weekdays(field: str) -> list[str]:
    """The names of the weekdays in a field of cron, where the week begins on Sunday, unlike systemd's."""
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        edges = ["0", "6"] if span == "*" else [_number(edge, WEEKDAYS, 0) for edge in span.split("-")]
        found |= {number % 7 for number in range(int(edges[0]), int(edges[-1]) + 1, int(step or "1"))}
    return [WEEKDAYS[number] for number in sorted(found)]


def _number(text: str, names: Sequence[str], first: int) -> str:
    """The number of a name such as Jan or mon; any other text as it is."""
    known = [name.casefold() for name in names]
    return str(known.index(text.casefold()) + first) if text.casefold() in known else text


def _quoted(word: str) -> str:
    """A word of ExecStart, with what systemd would read as its own written twice."""
    escaped = word.replace("\\", r"\\").replace('"', r"\"").replace("%", "%%").replace("$", "$$")
    return escaped if re.fullmatch(r"[\w@%+=:,./{}-]+", escaped) else f'"{escaped}"'
