"""Which months the nights of a crontab line load, and why.

They are a range up to `latest`: no month is lost in a night that fails, nor in one in which two months appear.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from taxi_ingest.asked import datasets_named, exists
from taxi_ingest.catalog import Dataset, Part
from taxi_ingest.catalog.months import LATEST, months_before, parse_months, this_month
from taxi_ingest.errors import TaxiError
from taxi_ingest.job import layout_of, options_of, store_of, warehouse_of
from taxi_ingest.place import Place
from taxi_ingest.retrying import Retries
from taxi_ingest.settings import Origin, Settings, Shared
from taxi_ingest.sources.newest import newest_month
from taxi_ingest.stores import open_store
from taxi_ingest.warehouses import open_warehouse

_SURELY_PUBLISHED = 4
"""So many months ago is a month that publishers have by now: TLC is late by two."""

_PATIENCE_SECONDS = 10.0

_CATCHES_UP = "Each night loads what is missing of them: what an earlier one missed, and what was not published before."


@dataclass(frozen=True)
class Nightly:
    """The months that a line names, "" where it leaves them to the config file, and sentences about that."""

    months: str
    why: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """What decides the months of a line.

    `given` are those of --month, `configured` those of the config file or, unless `in_file`, of the environment; each
    is "" where there are none. `first_held` is the first month that is here of the datasets in question, "" for none.
    """

    given: str = ""
    configured: str = ""
    in_file: bool = True
    first_held: str = ""


def nightly(settings: Settings, given: str, *, refresh: bool) -> Nightly:
    """The months for the nights of `settings`, with those `given` by --month.

    Publishers are asked for their newest month only where nothing is given, configured or held. Raises UsageError for
    what makes no sense.
    """
    open_store(store_of(settings))  # these refuse what makes no sense, such as a user or a query
    open_warehouse(warehouse_of(settings), options_of(settings))
    parse_months([given] if given else [], newest=this_month)
    monthly = [known for known in datasets_named(settings.shared.dataset) if known.monthly]
    also = [*_asks_again(settings, refresh=refresh), *_unknown_to_cron(settings)]
    if not monthly:
        return Nightly("", tuple(also))
    names = {known.name for known in monthly}
    held = {part for part in layout_of(settings).parts_with_receipts() if part.dataset in names}
    known = _known(settings, given, held)
    months, why = choose(known, lambda: _newest(monthly, settings))
    missing = _not_here(months or known.configured, monthly, held, settings.global_.source)
    return Nightly(months, (why, *missing, *also))


def _known(settings: Settings, given: str, held: Collection[Part]) -> Known:
    """What decides the months; the one that every new config file has was chosen by nobody, and does not count."""
    months, origin = settings.shared.month, settings.origins.get("shared.month", Origin())
    is_chosen = not given and origin.kind != "default" and months != Shared().month
    first_held = min((part.month or "" for part in held), default="")
    return Known(given, months if is_chosen else "", origin.kind == "file", first_held)


def choose(known: Known, newest: Callable[[], str]) -> tuple[str, str]:
    """The months that a line names, and why.

    Those given; else those configured, if they go up to the newest; else all up to the newest: from the first that is
    configured, or held here, or from the newest that is published now.
    """
    if known.given:
        return known.given, _of_given(known.given)
    if _catches_up(known.configured):  # nobody sets cron's environment
        where = "those of the config file, at present" if known.in_file else "those of your environment,"
        return "" if known.in_file else known.configured, f"Months: {where} {known.configured}. {_CATCHES_UP}"
    if fixed := _fixed(known.configured):
        return _up_to_latest(min(fixed), f"from the first that is configured ({known.configured}) to the newest")
    if known.first_held:
        return _up_to_latest(known.first_held, "from the first that is held here to the newest")
    return _up_to_latest(newest(), "because none is held here yet")


def _of_given(given: str) -> str:
    """What the months of --month lead to."""
    if _catches_up(given):
        return f"Months: {given}. {_CATCHES_UP}"
    if LATEST in given:
        return (
            f"Months: {given}. Of months that appear at once this loads the newest only, and none whose night failed. "
            f"To catch up, name a range up to {LATEST}, or leave --month out."
        )
    return f"Months: {given}, and never a newer one. To go on from there: --month {min(_fixed(given))}..{LATEST}."


def _up_to_latest(first: str, why: str) -> tuple[str, str]:
    months = f"{first}..{LATEST}"
    return months, f"Months: {months}, {why}. {_CATCHES_UP} For others: --month."


def _catches_up(months: str) -> bool:
    """Whether `months` have a range up to the newest."""
    ranges = (item.strip().partition("..") for item in months.split(","))
    return any(first != LATEST and last == LATEST for first, _, last in ranges)


def _fixed(months: str) -> list[str]:
    """The months that are named without `latest`."""
    return parse_months([item for item in months.split(",") if item.strip() and LATEST not in item])


def _newest(monthly: Sequence[Dataset], settings: Settings) -> str:
    """The newest month that every dataset has; where nobody tells, one that is surely published."""
    source = Place.parse(settings.global_.source)
    patience = min(_PATIENCE_SECONDS, settings.download.timeout_seconds)
    try:
        return min(newest_month(known, source, retries=Retries(1, 0), timeout_seconds=patience) for known in monthly)
    except TaxiError:
        return months_before(this_month(), _SURELY_PUBLISHED)


def _not_here(months: str, monthly: Sequence[Dataset], held: Collection[Part], source: str) -> Iterator[str]:
    """How much the first night has to do."""
    newest = months_before(this_month(), _SURELY_PUBLISHED)
    named = parse_months([months], newest=lambda: newest)
    parts = [(known, Part(known.name, month)) for known in monthly for month in named]
    missing = sum(part not in held and exists(known, part, source) for known, part in parts)
    if missing and _catches_up(months):
        count = "1 month of them is" if missing == 1 else f"{missing:,} months of them are"
        yield f"{count} not here yet: the first night loads what is published of that."


def _asks_again(settings: Settings, *, refresh: bool) -> Iterator[str]:
    """Whether the nights notice files that were published anew."""
    newest = settings.download.refresh_months
    if refresh:
        yield "Each night asks whether any of these files was published anew (--refresh)."
    elif newest:
        yield f"Each night asks whether the newest {newest:,} of them were published anew (download.refresh_months)."
    else:
        yield (
            "Files that are published anew are not noticed: set refresh_months = 3 in the config file's [download], or "
            "print the line with --refresh."
        )


def _unknown_to_cron(settings: Settings) -> Iterator[str]:
    """Settings of this environment, which cron does not have; months are written into the line."""
    names = [o.name for name, o in settings.origins.items() if o.kind == "environment" and name != "shared.month"]
    if names:
        yield f"Cron does not know your environment: put {', '.join(names)} into the config file."
