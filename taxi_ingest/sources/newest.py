"""What `latest` stands for: the newest month that the publisher has, found by asking for one month after another."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from taxi_ingest import sources as publishers
from taxi_ingest.catalog import Dataset, Part
from taxi_ingest.catalog.months import month_range, this_month
from taxi_ingest.catalog.reading import auto_source, sources
from taxi_ingest.errors import SourceError, TransientError
from taxi_ingest.place import Place
from taxi_ingest.redaction import public_url, redacted
from taxi_ingest.retrying import Retries, with_retries
from taxi_ingest.sources.headers import seconds_to_wait
from taxi_ingest.sources.http import answer
from taxi_ingest.sources.patience import Patience
from taxi_ingest.sources.refusals import denied_by_storage, throttle

MONTHS_ASKED = 24
"""How many months back the publisher is asked: TLC is late by two, copies of one's own may be by more."""

_UNTOLD_BY_HEAD = {403, 405, 501}
"""What settles nothing when a HEAD gets it: a 403 without a body may be a throttle."""

_NOT_THERE = {403, 404, 410}

_NO_DEMO = publishers.MadeUp(rows=0, seed=0)


Tell = Callable[[str], None]


def _say_nothing(_: str) -> None:
    pass


@dataclass(frozen=True)
class Latest:
    """What `latest` stood for in a dataset: its newest published `month`.

    If nobody could tell, `unanswered` says why, and `month` is the newest that is held, "" for none.
    """

    month: str
    unanswered: str = ""


def newest_month(
    known: Dataset, source: Place, *, retries: Retries, timeout_seconds: float, tell: Tell = _say_nothing
) -> str:
    """The newest month of a dataset at `source` (a name, "auto", "demo" or a URL template).

    `tell` hears of passing faults that are waited out.
    Raises SourceError when the last MONTHS_ASKED are not there or this machine's clock is wrong, TransientError when
    the publisher cannot be asked.
    """
    months = month_range(known.first, this_month())[::-1]
    if not months:
        raise SourceError(
            f"{known.name} begins with {known.first}, but on this machine today is {date.today()}. Set its clock, or "
            "name the month."
        )
    if str(source) == publishers.DEMO:
        from taxi_ingest.sources import demo

        return next((month for month in months if demo.layout(Part(known.name, month))), known.first)
    if str(source) == publishers.AUTO:
        source = Place.parse(auto_source(Part(known.name, months[0])))
    if publishers.is_named(str(source)):
        _, last = sources()[str(source)].months.get(known.name, ("", known.first))
        if last:
            return last
    for month in months[:MONTHS_ASKED]:
        if is_published(Part(known.name, month), source, retries, timeout_seconds, tell):
            return month
    raise SourceError(
        f"{source} has none of the last {MONTHS_ASKED} months of {known.name}. Name the month, or check --source."
    )


def is_published(
    part: Part, source: Place, retries: Retries, timeout_seconds: float, tell: Tell = _say_nothing
) -> bool:
    """Whether the file of `part` is at `source` (no demo); none of it is fetched. Raises TransientError."""
    publisher = publishers.Publisher(source)
    url = publisher.url(part, publishers.identity(source, part, _NO_DEMO))
    told = functools.partial(_tell_fault, tell)
    return with_retries(retries, lambda _: _is_there(url, timeout_seconds), wait=_sleep, tell=told)


def _tell_fault(tell: Tell, message: str, _seconds: float) -> None:
    tell(redacted(message))


def _is_there(url: str, timeout_seconds: float) -> bool:
    """Whether there is a file at `url`; none of it is fetched."""
    if (path := publishers.local_path(url)) is not None:
        return path.is_file()
    for method in ("HEAD", "GET"):
        with answer(method, url, {}, Patience(timeout_seconds)) as found:
            status, retry_after = found.status, seconds_to_wait(found.header("Retry-After"))
            if status == 403 and method == "GET" and not denied_by_storage(found):
                raise throttle(found)
        if status not in _UNTOLD_BY_HEAD:
            break
    if status == 200 or status in _NOT_THERE:
        return status == 200
    raise TransientError(
        f"{public_url(url)}: the publisher answered {status} when asked whether the file is there.",
        retry_after=retry_after,
    )


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
