"""Months counted back from today, and processes whose clock is wrong."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path


def months_ago(number: int) -> str:
    """The month so many months before this one."""
    day = date.today().replace(day=1)
    for _ in range(number):
        day = (day - timedelta(days=1)).replace(day=1)
    return f"{day:%Y-%m}"


def clock(folder: Path, days: int) -> dict[str, str]:
    """An environment in which Python's clock is so many days ahead."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(WRONG_CLOCK.format(days=days))
    return {"PYTHONPATH": str(folder)}


WRONG_CLOCK = """
import datetime
by = datetime.timedelta(days={days})
right = datetime.datetime
class Date(datetime.date):
    @classmethod
    def today(cls): return (right.now() + by).date()
class DateTime(right):
    @classmethod
    def now(cls, tz=None): return right.now(tz) + by
datetime.date, datetime.datetime = Date, DateTime
"""
