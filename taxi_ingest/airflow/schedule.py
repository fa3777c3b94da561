"""When the runs of a DAG come: one in every month, since a run is a month. Needs no Airflow."""

from __future__ import annotations

import re
from datetime import date, timedelta

from taxi_ingest.catalog.months import months_before
from taxi_ingest.errors import UsageError
from taxi_ingest.values import quoted

MONTHLY = "0 6 5 * *"
"""Six o'clock on the fifth of each month."""

DAILY = timedelta(days=1)

_ONCE_A_MONTH = re.compile(r"@monthly|\s*\d{1,2}\s+\d{1,2}\s+(0?[1-9]|1\d|2[0-8])\s+\*\s+\*\s*", re.ASCII)
"""Later days are not in every month."""


def month_of_run(partition: str | None, day: date | None, today: date, months_back: int) -> str:
    """The month that a run is for: its partition, or that of its date.

    A run that somebody started and gave no month has no date, or that of the day it was started on, `today`. It is for
    the month that a run of the schedule would be for: the one that is not over has no file.
    """
    this_month = f"{today:%Y-%m}"
    month = partition or (f"{day:%Y-%m}" if day else this_month)
    return months_before(this_month, months_back) if month == this_month and not partition else month


def check_monthly(schedule: str, months_back: int) -> None:
    """Raise UsageError unless a cron line comes exactly once in every month.

    Airflow counts how many of its runs a partition lies back, which are months only then; and a month without a run
    would never be loaded.
    """
    if not isinstance(schedule, str) or not _ONCE_A_MONTH.fullmatch(schedule):
        raise UsageError(
            f"A run is a month, so the schedule must come once in every month, and {quoted(schedule)} does not: write "
            f"minute, hour and day (1 to 28), such as {MONTHLY}. To ask more often for a month that is late: wait=True."
        )
    if months_back < 0:
        raise UsageError(f"months_back must be 0 or more, not {months_back}: a month that is to come has no file.")
