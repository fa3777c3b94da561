"""Views of trips with the names of their zones: which there are, their SQL, and whose a view is.

A view is made once its two tables are there. It has every row of the trips exactly once, whatever the zones hold. Each
kind of warehouse makes it in its own way after a load, if it is missing or its SQL has changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from taxi_ingest.catalog.reading import datasets
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Table, table_of

Quote = Callable[[str], str]
Tell = Callable[[str], None]

_SIGN = "A view of taxi-ingest"
_SIGNED = re.compile(rf"\. {_SIGN} \(([0-9a-f]{{16}})(?:, shown as ([0-9a-f]{{16}}))?\)\.$")


@dataclass(frozen=True)
class ZoneView:
    """The view `name` over two tables.

    `locations` maps columns of `trips` to what happened there, such as `pickup`; they refer to the column `key` of
    `zones`.
    """

    name: str
    trips: Table
    zones: Table
    locations: dict[str, str]
    key: str

    @property
    def title(self) -> str:
        """What the view shows, for people."""
        return f"{self.trips.title}, with the names of their zones"

    def select(self, table: Quote, column: Quote) -> str:
        """The SELECT of all columns of the trips, and of what the zones tell of each location.

        `table` and `column` write a name as SQL takes it. A number that the zones lack gives null.
        """
        told = [known.name for known in self.zones.columns if known.name != self.key]
        columns = [f"trips.{column(name)}" for name in self.trips.column_names]
        columns += [
            f"{event}.{column(name)} AS {column(f'{event}_{name.lower()}')}"
            for event in self.locations.values()
            for name in told
        ]
        # grouped, so that a number that stands there twice doubles no trip
        names = ", ".join(f"min({column(name)}) AS {column(name)}" for name in told)
        zones = f"(SELECT {column(self.key)}, {names} FROM {table(self.zones.name)} GROUP BY {column(self.key)})"  # noqa: S608
        joins = (
            f"LEFT JOIN {zones} AS {event} ON {event}.{column(self.key)} = trips.{column(name)}"
            for name, event in self.locations.items()
        )
        return f"SELECT {', '.join(columns)} FROM {table(self.trips.name)} AS trips {' '.join(joins)}"  # noqa: S608


def views_over(table: Table) -> list[ZoneView]:
    """The views that show `table`."""
    lookup = next((known for known in datasets().values() if known.location_key), None)
    if lookup is None:
        return []
    zones = table_of(lookup)
    views = [
        ZoneView(f"{known.name}_trips_with_zones", table_of(known), zones, known.locations, lookup.location_key)
        for known in datasets().values()
        if known.locations
    ]
    return [view for view in views if table in (view.trips, zones)]


def digest(select: str) -> str:
    """What tells one SELECT from another: 16 hexadecimal digits."""
    return hashlib.sha256(select.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Signature:
    """What the comment of a view of ours tells of it.

    `select` is the digest of the SELECT that it was made from, `shown` of the one that the warehouse showed for it
    then; "" where a view that somebody edits loses its comment, so that this need not be known.
    """

    select: str
    shown: str = ""


def comment_of(view: ZoneView, select: str, shown: str = "") -> str:
    """The comment by which a view is known as ours, as made from `select` and shown by the warehouse as `shown`."""
    as_shown = f", shown as {digest(shown)}" if shown else ""
    return f"{view.title}. {_SIGN} ({digest(select)}{as_shown})."


def signature_of(comment: str) -> Signature | None:
    """What the comment of a view tells; None of one that is not ours."""
    found = _SIGNED.search(comment)
    return Signature(found[1], found[2] or "") if found else None


def told_once(announce: Tell) -> Tell:
    """Passes each sentence on once, however many months are loaded."""
    told: set[str] = set()

    def tell(sentence: str) -> None:
        if sentence not in told:
            told.add(sentence)
            announce(sentence)

    return tell


def foreign(place: Place, view: ZoneView) -> str:
    """The sentence on something else of the view's name."""
    return (
        f"{place} has a {view.name} that taxi-ingest did not make. It was left as it is. Rename or drop it to get a "
        "view with the names of zones."
    )


def edited(place: Place, view: ZoneView) -> str:
    """The sentence on a view of ours that somebody changed."""
    return (
        f"{place}: the view {view.name} was changed since it was made. It was left as it is. Rename it to keep it, or "
        "drop it; the next load makes it anew."
    )


def not_made(place: Place, view: ZoneView, error: Exception) -> str:
    """The sentence on a view that could not be made, in one line."""
    reason = " ".join(str(error).split())
    return f"{place}: the rows were loaded, but not the view {view.name} made, which a later load tries again: {reason}"
