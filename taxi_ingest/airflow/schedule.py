"""When the runs of a DAG come: one in every month, since a run is a month. Needs no Airflow."""

from __future__ import annotations

import re
from datetime import timedelta

from taxi_ingest.errors import UsageError
from taxi_ingest.values import quoted

MONTHLY = "0 6 5 * *"
"""Six o'clock on the fifth of each month."""

DAILY = timedelta(days=1)

_ONCE_A_MONTH = re.compile(r"@monthly|\s*\d{1,2}\s+\d{1,2}\s+(0?[1-9]|1\d|2[0-8])\s+\*\s+\*\s*", re.ASCII)
"""Later days are not in every month."""


def check_monthly(schedule: str, months_back: int) -> None:
    """Raise UsageError unless a cron line comes exactly once in every month.

    Airflow counts how many of its runs a partition lies back, which are months only then; and a month without a run
    would never be loaded.
    """
    if not _ONCE_A_MONTH.fullmatch(schedule):
        raise UsageError(
            f"A run is a month, so the schedule must come once in every month, and {quoted(schedule)} does not: write "
            f"minute, hour and day (1 to 28), such as {MONTHLY}. To ask more often for a month that is late: wait=True."
        )
    if months_back < 0:
        raise UsageError(f"months_back must be 0 or more, not {months_back}: a month that is to come has no file.")
