"""What TLC publishes, as data: datasets, their vintages, and the places that publish them.

A dataset is one `.toml` file here, named after it; `sources.toml` names the publishers. A new vintage is a
diff in one `.toml`: months, columns as published, and an alias for each name that is not the canonical one.

`reading` makes these objects of the files, `fit()` chooses the vintage of a file by its header, `mark()` is
the identity of the rows that come of it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from taxi_ingest.errors import SchemaError, UsageError

READER_VERSION = 1
"""Raised whenever the readers make other rows of the same file; every month is then made anew."""

FILE_MONTH = "file_month"
"""The last column of every monthly table: DATE, the first day of the file's month, the partition's key."""

PANDAS_INDEX = "__index_level_0__"
"""A column pandas left behind in some published Parquet (2010-02 and 2010-03); dropped without a word."""

TYPES = ("int64", "double", "string", "timestamp")
"""The types a canonical column can have; `timestamp` is microseconds of New York wall clock, without zone."""


def fold(name: str) -> str:
    """A column name as it is compared: trimmed, case-folded."""
    return name.strip().casefold()


@dataclass(frozen=True)
class Column:
    """One canonical column. `codes` maps a text as published (folded) to TLC's code; "" means null."""

    name: str
    type: str
    unit: str
    meaning: str
    since: str = ""
    codes: dict[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Vintage:
    """One published layout of a dataset's files.

    `columns` are the names as published; `names` maps each of them (folded) to its canonical column, without
    those in `leaves_out` (folded), which are knowingly not loaded. `first` and `last` are months, both
    included; `last` is "" while the layout is in use. `quirks` is a line for people.
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
        """The published names as they are compared."""
        return frozenset(fold(name) for name in self.columns)

    @functools.cached_property
    def digest(self) -> str:
        """The checksum of what decides which rows a file of this layout gives."""
        return _digest((self.format, self.names, self.leaves_out))

    def covers(self, month: str | None) -> bool:
        """Whether files of `month` were published in this layout."""
        return month is None or (self.first <= month and (not self.last or month <= self.last))


@dataclass(frozen=True)
class Dataset:
    """A dataset with its canonical columns and every vintage, oldest first."""

    name: str
    title: str
    table: str
    columns: tuple[Column, ...]
    vintages: tuple[Vintage, ...]
    first: str = ""
    cluster_by: str = ""
    monthly: bool = True
    default: bool = False

    @functools.cached_property
    def digest(self) -> str:
        """The checksum of what decides the types and codes of its rows."""
        return _digest([(c.name, c.type, c.codes) for c in self.columns])


@dataclass(frozen=True, order=True)
class Part:
    """One dataset, one month (None for a dataset without months): what is downloaded, converted, replaced."""

    dataset: str
    month: str | None = None

    def __str__(self) -> str:
        return f"{self.dataset}-{self.month}" if self.month else self.dataset


@dataclass(frozen=True)
class Source:
    """A publisher: where its files are and which it has.

    `url` is a template with {dataset} and {month}; `months` are the first and the last month it has of a
    dataset, the last "" while it goes on; `files` are the URLs of datasets without months; `auto` are the
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
        """Whether the file should exist, once its month is due; says nothing of a month still to come."""
        if part.month is None:
            return part.dataset in self.files
        if part.dataset not in self.months:
            return False
        first, last = self.months[part.dataset]
        return first <= part.month and (not last or part.month <= last)

    def url_of(self, part: Part) -> str:
        """Where the part's file is; raises UsageError for one without a month that is not published here."""
        if part.month is not None:
            return self.url.replace("{dataset}", part.dataset).replace("{month}", part.month)
        if part.dataset not in self.files:
            raise UsageError(f"The source {self.name} does not publish {part.dataset}. Use another --source.")
        return self.files[part.dataset]

    def format_of(self, part: Part) -> str:
        """The format of the part's file, `csv` or `parquet`; one without a month may have its own."""
        if part.month is not None:
            return self.format
        return "parquet" if self.url_of(part).endswith(".parquet") else "csv"


@dataclass(frozen=True)
class Fit:
    """The vintage a file's header fits, and what does not quite agree with it.

    `unknown` are the columns that no vintage explains; `expected` is the vintage the month suggested, when
    that is another one.
    """

    vintage: Vintage
    unknown: tuple[str, ...] = ()
    expected: str = ""


def fit(dataset: Dataset, file_format: str, header: Sequence[str], month: str | None) -> Fit:
    """Choose the vintage for a file by its column names.

    A header fits when it holds all columns of a vintage, in any order; of those that fit, the one that leaves
    the fewest columns over wins, the month's own on a tie. Raises SchemaError when none fits, showing the
    difference.
    """
    folded = [fold(name) for name in header]
    have = set(folded)
    if len(have) < len(folded):
        doubled = sorted({name for name in folded if folded.count(name) > 1})
        raise SchemaError(f"The file names a column twice: {', '.join(doubled)}.")
    candidates = [v for v in dataset.vintages if v.format == file_format]
    own = next((v for v in candidates if v.covers(month)), None)
    fitting = [v for v in candidates if v.folded <= have]
    if not fitting:
        nearest = own or (candidates[-1] if candidates else None)
        raise SchemaError(_no_fit(dataset, file_format, header, month, nearest))
    best = min(fitting, key=lambda v: (len(folded) - len(v.columns), v is not own))
    known = best.folded | {PANDAS_INDEX}
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
        return f"{what}: the catalog knows no {file_format} layout of this dataset. Use another --source."
    have, want = {fold(c) for c in header}, {fold(c) for c in nearest.columns}
    missing = ", ".join(c.strip() for c in nearest.columns if fold(c) not in have)
    extra = ", ".join(c.strip() for c in header if fold(c) not in want)
    return (
        f"{what}: the file's columns fit no known {file_format} layout. Against {nearest.name} it lacks: "
        f"{missing}; it has besides: {extra or 'nothing'}. "
        f"If TLC changed the layout, add a vintage to catalog/{dataset.name}.toml."
    )


def lacks(dataset: Dataset, source: Source) -> tuple[str, ...]:
    """The canonical columns that `source` never has, though files of another format do in these months."""
    if dataset.name not in source.months:
        return ()
    first, last = source.months[dataset.name]
    there, elsewhere = set[str](), set[str]()
    for vintage in dataset.vintages:
        if vintage.first <= (last or vintage.first) and first <= (vintage.last or first):
            (there if vintage.format == source.format else elsewhere).update(vintage.names.values())
    return tuple(c.name for c in dataset.columns if c.name in elsewhere - there)


def mark(raw_sha256: str, raw_bytes: int, dataset: Dataset, vintage: Vintage) -> str:
    """The identity of a part's rows, in hex: equal marks, equal rows.

    Made of the published bytes, what the catalog says of them, and READER_VERSION; never of our own Parquet,
    whose footer names the Arrow version. Month ranges and descriptions do not change rows and are left out.
    """
    return _digest([raw_sha256, raw_bytes, dataset.digest, vintage.digest, READER_VERSION])


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
