"""Months as text, such as `2021-01`: the form used throughout the pipeline."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta

from taxi_ingest.errors import UsageError
from taxi_ingest.values import quoted

LATEST = "latest"
"""Stands for the newest month that the publisher has."""

MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_YEAR = re.compile(r"[0-9]{4}")
_ALMOST = re.compile(r"([0-9]{4})[-/._ ]?([0-9]{1,2})([-/._ ]?[0-9]{1,2})?")
"""How a month is sometimes written: 2021-1, 2021/01, 202101, and a day of it."""


def is_month(text: str) -> bool:
    """Whether `text` is a month such as `2021-01`."""
    return bool(_MONTH.fullmatch(text))


def check_month(text: str) -> str:
    """Return `text` if it is a month such as `2021-01` that has begun; raise UsageError otherwise."""
    if not is_month(text):
        raise UsageError(
            f"{quoted(text)} is not a month.{_guess(text)} Write 2021-01, 2021 for a whole year, a range "
            f"2021-01..2021-12, a list 2021-01,2021-03, or {LATEST} for the newest published month."
        )
    if text > this_month():
        raise UsageError(
            f"{text} has not happened yet: on this machine today is {date.today()}. "
            f"For the newest published month, write {LATEST}."
        )
    return text


def this_month() -> str:
    """The month of today."""
    return f"{date.today():%Y-%m}"


def _guess(text: str) -> str:
    """What was meant, where that is clear."""
    numbers = _ALMOST.fullmatch(text)
    guess = f"{numbers[1]}-{int(numbers[2]):02d}" if numbers else ""
    if not is_month(guess):
        guess = next(iter(difflib.get_close_matches(text, [LATEST], cutoff=0.7)), "")
    return f" Did you mean {guess}?" if guess else ""


def next_month(month: str) -> str:
    """The month after `month`."""
    return months_before(month, -1)


def previous_month(month: str) -> str:
    """The month before `month`."""
    return months_before(month, 1)


def months_before(month: str, number: int) -> str:
    """The month that is `number` months before `month`; after it where `number` is negative."""
    return _numbered(_number(month) - number)


def in_spans(months: Iterable[str]) -> str:
    """Months in words, the earliest first: "2021-01..2021-03, 2021-07"."""
    spans: list[list[str]] = []
    for month in sorted(set(months)):
        if spans and month == next_month(spans[-1][-1]):
            spans[-1].append(month)
        else:
            spans.append([month])
    return ", ".join(span[0] if len(span) == 1 else f"{span[0]}..{span[-1]}" for span in spans)


def first_day(month: str) -> date:
    """The first day of `month`."""
    return date(int(month[:4]), int(month[5:]), 1)


def last_day(month: str) -> date:
    """The last day of `month`."""
    return first_day(next_month(month)) - timedelta(days=1)


def month_range(first: str, last: str) -> list[str]:
    """Every month from `first` to `last`, both included; empty when `last` is before `first`."""
    return [_numbered(number) for number in range(_number(first), _number(last) + 1)]


def _number(month: str) -> int:
    """Months since the year 0."""
    return int(month[:4]) * 12 + int(month[5:]) - 1


def _numbered(number: int) -> str:
    """The month that is `number` months after the beginning of the year 0."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _no_newest() -> str:
    raise UsageError(f"'{LATEST}' cannot be resolved here. Write the month itself, such as 2021-01.")


def parse_months(texts: list[str], newest: Callable[[], str] = _no_newest) -> list[str]:
    """The months named by `--month` values, in the order given, without duplicates.

    Accepts `2021-01`, `2021` for all months of a year that have begun, `2021-01..2021-12` and comma-separated lists of
    these. `latest` may replace any month and is resolved by calling `newest`; where that returns "", there is no such
    month. A range that ends in `latest` is empty when that month is before its start. Raises UsageError for anything
    else.
    """
    months: dict[str, None] = {}
    for item in (item.strip() for text in texts for item in text.split(",")):
        first, dots, last = item.partition("..")
        start, end = _span(first, newest)[0], _span(last if dots else first, newest)[1]
        if not start or not end:
            continue
        if end < start and last != LATEST:
            raise UsageError(f"The range {item} is empty: it ends before it begins. Write {last}..{first}.")
        months.update(dict.fromkeys(month_range(start, end)))
    return list(months)


def _span(text: str, newest: Callable[[], str]) -> tuple[str, str]:
    """The first and the last month that `text` names: of a year, or twice the same one."""
    if _YEAR.fullmatch(text):
        return check_month(f"{text}-01"), min(f"{text}-12", this_month())
    month = newest() if text == LATEST else check_month(text)
    return month, month
