"""What TLC publishes, as data: datasets, their vintages, and the sources that publish them.

Each dataset is a `.toml` file in this folder, named after it; `sources.toml` lists the publishers. Adding a vintage
changes one `.toml`: its months, its columns as published, and an alias for each name that is not canonical.

`reading` builds these objects from the files, which `checks` validates; `months` are months as text. `fit()` chooses
the vintage of a file by its header, and `mark()` gives the identity of the file's rows.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from taxi_ingest.errors import SchemaError, UsageError

READER_VERSION = 2
"""Increment when the readers change the rows they make of a file: every month is then converted again."""

FILE_MONTH = "file_month"
"""The last column of every monthly table: DATE, the first day of the file's month; the partition key."""

_LOOKS_LIKE_DATA = re.compile(r"[-+]?[0-9]|[yn]$")

PANDAS_INDEX = "__index_level_0__"
"""A column that pandas left in some published Parquet files (2010-02 and 2010-03); dropped silently."""

TYPES = ("int64", "double", "string", "timestamp")
"""The types of canonical columns; `timestamp` is New York wall-clock time in microseconds, without a time zone."""


def fold(name: str) -> str:
    """Trim and case-fold a name or code, for comparison."""
    return name.strip().casefold()


@dataclass(frozen=True)
class Column:
    """One canonical column. `codes` maps a published text (folded) to TLC's code; "" means null."""

    name: str
    type: str
    unit: str
    meaning: str
    since: str = ""
    codes: dict[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Vintage:
    """One published layout of a dataset's files.

    `columns` are the names as published. `names` maps each of them (folded) to its canonical column, except those in
    `leaves_out` (folded), which are deliberately not loaded. `first` and `last` are months, both included; `last` is ""
    while the layout is in use. `quirks` is one line for people.
    """

    name: str
    format: str
    columns: tuple[str, ...]
    names: dict[str, str]
    leaves_out: tuple[str, ...] = ()
    first: str = ""
    last: str = ""
    quirks: str = ""

    @functools.cached_property
    def folded(self) -> frozenset[str]:
        """The published names, folded."""
        return frozenset(fold(name) for name in self.columns)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of everything in this vintage that affects the rows read from a file."""
        return _digest((self.format, self.names, self.leaves_out))

    def covers(self, month: str | None) -> bool:
        """Whether files of `month` were published in this layout."""
        return month is None or (self.first <= month and (not self.last or month <= self.last))


@dataclass(frozen=True)
class Dataset:
    """A dataset with its canonical columns and its vintages, oldest first within each format.

    `cluster_by` is the column that tables are sorted by where a warehouse can; of trips, the time of the pickup.
    `locations` maps each column that holds the number of a zone to what happened there, such as `pickup`;
    `location_key` is the column of the zone lookup that they refer to, "" in every other dataset.
    """

    name: str
    title: str
    table: str
    columns: tuple[Column, ...]
    vintages: tuple[Vintage, ...]
    first: str = ""
    cluster_by: str = ""
    monthly: bool = True
    default: bool = False
    locations: dict[str, str] = field(default_factory=dict)
    location_key: str = ""

    def names_in(self, vintage: Vintage) -> dict[str, str]:
        """The columns that are loaded from a file of `vintage`: folded published name → canonical column.

        Those that the vintage names, and any other that bears the name of a canonical column: people add zones to old
        files, or make CSV of a Parquet file that has more columns.
        """
        named = set(vintage.names.values())
        more = {fold(c.name): c.name for c in self.columns if c.name not in named}
        return vintage.names | {name: column for name, column in more.items() if name not in vintage.folded}

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the names, types and codes of the canonical columns."""
        return _digest([(c.name, c.type, c.codes) for c in self.columns])


@dataclass(frozen=True, order=True)
class Part:
    """One month of one dataset (`month` is None for a dataset without months): the unit of work."""

    dataset: str
    month: str | None = None

    def __str__(self) -> str:
        return f"{self.dataset}-{self.month}" if self.month else self.dataset


@dataclass(frozen=True)
class Source:
    """A publisher: which files it has, and where.

    `url` is a template with {dataset} and {month}. `months` maps a dataset to its first and last published month; the
    last is "" while publication continues. `files` maps each dataset without months to its URL. `auto` lists the
    datasets for which the source `auto` prefers this one.
    """

    name: str
    title: str
    format: str
    url: str
    months: dict[str, tuple[str, str]] = field(default_factory=dict)
    auto: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    def publishes(self, part: Part) -> bool:
        """Whether this source publishes the part. True for future months too: the file may not exist yet."""
        if part.month is None:
            return part.dataset in self.files
        if part.dataset not in self.months:
            return False
        first, last = self.months[part.dataset]
        return first <= part.month and (not last or part.month <= last)

    def url_of(self, part: Part) -> str:
        """The URL of the part's file. Raises UsageError for a dataset without months that this source does not have."""
        if part.month is not None:
            return self.url.replace("{dataset}", part.dataset).replace("{month}", part.month)
        if part.dataset not in self.files:
            raise UsageError(f"The source {self.name} does not publish {part.dataset}. Use another --source.")
        return self.files[part.dataset]

    def format_of(self, part: Part) -> str:
        """The format of the part's file, `csv` or `parquet`; without a month, the URL's suffix decides."""
        if part.month is not None:
            return self.format
        return "parquet" if self.url_of(part).endswith(".parquet") else "csv"


@dataclass(frozen=True)
class Fit:
    """The vintage that a file's header fits.

    `unknown` are columns that the dataset does not have. `expected` names the vintage of the file's month if it is a
    different one, else "".
    """

    vintage: Vintage
    unknown: tuple[str, ...] = ()
    expected: str = ""


def fit(dataset: Dataset, file_format: str, header: Sequence[str], month: str | None) -> Fit:
    """Choose the vintage for a file by its column names.

    A header fits a vintage when it has all of its columns, in any order. Of the vintages that fit, the one with the
    fewest columns left over wins; on a tie, the month's own. A field without a name is no column. Raises SchemaError,
    with the difference, when none fits or when the header repeats a name.
    """
    folded = [fold(name) for name in header if fold(name)]
    if folded and all(_LOOKS_LIKE_DATA.match(name) for name in folded):
        raise SchemaError("The first line holds data and no column names. Put the names of the columns above it.")
    present = set(folded)
    if len(present) < len(folded):
        repeated = sorted({name for name in folded if folded.count(name) > 1})
        raise SchemaError(f"The header has a column twice: {', '.join(repeated)}. Rename or remove one of the two.")
    candidates = [v for v in dataset.vintages if v.format == file_format]
    own = next((v for v in candidates if v.covers(month)), None)
    fitting = [v for v in candidates if v.folded <= present]
    if not fitting:
        nearest = own or (candidates[-1] if candidates else None)
        raise SchemaError(_no_fit(dataset, file_format, header, month, nearest))
    best = min(fitting, key=lambda v: (len(folded) - len(v.columns), v is not own))
    known = best.folded | set(dataset.names_in(best)) | {"", PANDAS_INDEX, FILE_MONTH}
    return Fit(
        vintage=best,
        unknown=tuple(name.strip() for name in header if fold(name) not in known),
        expected=own.name if own is not None and own is not best else "",
    )


def _no_fit(
    dataset: Dataset, file_format: str, header: Sequence[str], month: str | None, nearest: Vintage | None
) -> str:
    what = f"{dataset.name} {month or ''}".strip()
    if nearest is None:
        return f"{what}: the catalog has no {file_format} layout for this dataset. Use another --source."
    present, expected = {fold(c) for c in header}, {fold(c) for c in nearest.columns}
    missing = ", ".join(c.strip() for c in nearest.columns if fold(c) not in present)
    extra = ", ".join(c.strip() for c in header if fold(c) not in {*expected, ""})
    return (
        f"{what}: the file's columns fit no known {file_format} layout. Compared with {nearest.name}, "
        f"it lacks: {missing}; it also has: {extra or 'nothing'}. "
        "Check that it is the right file. If TLC changed the layout, a newer taxi-ingest may know it "
        "(pip install --upgrade taxi-ingest); until then, another --source may have the month."
    )


def lacks(dataset: Dataset, source: Source) -> tuple[str, ...]:
    """The canonical columns that `source` never has, although files in another format have them in the same months."""
    if dataset.name not in source.months:
        return ()
    first, last = source.months[dataset.name]
    in_format, in_other_formats = set[str](), set[str]()
    for vintage in dataset.vintages:
        if vintage.first <= (last or vintage.first) and first <= (vintage.last or first):
            (in_format if vintage.format == source.format else in_other_formats).update(vintage.names.values())
    return tuple(c.name for c in dataset.columns if c.name in in_other_formats - in_format)


def mark(raw_sha256: str, raw_bytes: int, dataset: Dataset, vintage: Vintage) -> str:
    """The identity of a part's rows, as SHA-256 in hex: equal marks mean equal rows.

    Depends on the published bytes, the catalog's digests and READER_VERSION. It does not depend on the Parquet we
    write, whose footer names the Arrow version, or on month ranges and descriptions, which do not affect rows.
    """
    return _digest([raw_sha256, raw_bytes, dataset.digest, vintage.digest, READER_VERSION])


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
