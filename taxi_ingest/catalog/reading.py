"""Build Dataset and Source objects from the catalog's files, and reject invalid files with CatalogError.

The keys of a dataset's file, `<dataset>.toml`::

    title, table     a title for people; the table's name in the warehouse
    first            the first month published, in any format
    cluster_by       the column the warehouse sorts by
    default          true for the one dataset that is used when none is named
    monthly          false for a dataset that is a single file, without months
    locations        column with the number of a zone = what happened there, such as pickup
    location_key     of the zone lookup alone: the column that `locations` refer to

    [[columns]]      the canonical columns, in the order of the table
    name, type       the column's name in the table; one of catalog.TYPES
    unit, meaning    for people; both go into the comment on the table's column
    since            the first month in which some source regularly fills it; earlier stray values do not count
    codes            text as published (trimmed, case-folded) = code; "" means null

    [[vintages]]     layouts, oldest first; the months of one format have no gap or overlap
    name             format and first month, such as csv-2019; never changes
    first, last      months, both included; no `last` while the layout is in use
    columns          names as published, trimmed, in published order
    aliases          published name = canonical name, where they differ in more than case
    leaves_out       published columns that are deliberately not loaded
    quirks           one line for people

`sources.toml` has one table per Source, `demo.toml` recipes for made-up rows, and `row_counts.csv` the rows and bytes
of published Parquet files.
"""

from __future__ import annotations

import bisect
import difflib
import functools
import re
import tomllib
from collections.abc import Mapping, Set
from itertools import pairwise
from pathlib import Path
from typing import cast

from taxi_ingest.catalog import FILE_MONTH, TYPES, Column, Dataset, Part, Source, Vintage, fold
from taxi_ingest.catalog.checks import (
    COLUMN_KEYS,
    DATASET_KEYS,
    SOURCE_KEYS,
    VINTAGE_KEYS,
    CatalogError,
    ColumnEntry,
    DatasetEntry,
    SourceEntry,
    VintageEntry,
    check_keys,
    refuse,
    refuse_repeated,
)
from taxi_ingest.catalog.months import next_month
from taxi_ingest.errors import UsageError

_FOLDER = Path(__file__).parent
_SOURCES = "sources.toml"
_NO_DATASETS = (_SOURCES, "demo.toml")
_COUNTS = "row_counts.csv"

_FORMATS = ("csv", "parquet")
_TABLE_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_CODE_KINDS: dict[str, type] = {"int64": int, "string": str}


@functools.cache
def datasets() -> dict[str, Dataset]:
    """Every dataset by name: the default first, the others in alphabetical order."""
    paths = (path for path in sorted(_FOLDER.glob("*.toml")) if path.name not in _NO_DATASETS)
    found = [read_dataset(path) for path in paths]
    if len([d for d in found if d.default]) != 1:
        refuse(_FOLDER.name, "exactly one dataset must have `default = true`")
    if len([d for d in found if d.location_key]) > 1:
        refuse(_FOLDER.name, "only one dataset can have a `location_key`")
    refuse_repeated(_FOLDER.name, "table", [d.table for d in found])
    return {d.name: d for d in sorted(found, key=lambda d: (not d.default, d.name))}


def dataset(name: str) -> Dataset:
    """The dataset of that name. Raises UsageError, listing the known names."""
    known = datasets()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    guess = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"There is no dataset '{name}'.{guess} Known datasets: {', '.join(known)}.")


def default_dataset() -> Dataset:
    """The dataset that is used when none is named."""
    return next(iter(datasets().values()))


@functools.cache
def sources() -> dict[str, Source]:
    """Every publisher by name, in the order in which `auto` tries them."""
    return read_sources(_FOLDER / _SOURCES)


def auto_source(part: Part) -> str:
    """The name of the source that `auto` uses: the first that lists and publishes the part, else the last source."""
    known = sources()
    candidates = (s.name for s in known.values() if part.dataset in s.auto and s.publishes(part))
    return next(candidates, list(known)[-1])


def expected_rows(dataset: str, month: str | None) -> int | None:
    """The number of rows of TLC's Parquet file, or None if unknown. The CSV file may differ by a few rows."""
    return _counts().get((dataset, month or ""), (None, None))[0]


def estimated_size(dataset: str, month: str | None) -> tuple[int, int]:
    """Estimate (rows, bytes) of TLC's Parquet file: this month's, else those of the nearest month before, or after."""
    counted = sorted(known for name, known in _counts() if name == dataset)
    if not counted:
        return 0, 0
    nearest = counted[max(bisect.bisect_right(counted, month or "") - 1, 0)]
    return _counts()[dataset, nearest]


@functools.cache
def largest_month(dataset: str) -> int:
    """The number of rows of the largest of TLC's Parquet files of a dataset; 0 if none is known."""
    return max((rows for (name, _), (rows, _) in _counts().items() if name == dataset), default=0)


@functools.cache
def _counts() -> dict[tuple[str, str], tuple[int, int]]:
    text = (_FOLDER / _COUNTS).read_text(encoding="utf-8")
    lines = (line.split(",") for line in text.splitlines() if line and not line.startswith(("#", "dataset,")))
    return {(name, month): (int(rows), int(size)) for name, month, rows, size in lines}


def read_dataset(path: Path) -> Dataset:
    """Read one dataset's file, named after the dataset. Raises CatalogError if it is invalid."""
    where, content = path.name, _parse(path)
    check_keys(where, content, DATASET_KEYS)
    entry = cast("DatasetEntry", content)
    for name in (path.stem, entry["table"]):
        if not _TABLE_NAME.fullmatch(name):
            refuse(where, f"'{name}' is not a table name: use only a-z, 0-9 and _, and do not start with a digit")
    columns = [_column(_location(where, "column", i, t), t) for i, t in enumerate(entry["columns"], 1)]
    refuse_repeated(where, "column", [*(fold(c.name) for c in columns), FILE_MONTH])
    canonical = {fold(c.name): c.name for c in columns}
    vintages = [_vintage(_location(where, "vintage", i, t), t, canonical) for i, t in enumerate(entry["vintages"], 1)]
    refuse_repeated(where, "vintage", [v.name for v in vintages])
    _check_named_columns(where, entry, {c.name for c in columns})
    if entry.get("monthly", True):
        _check_months(where, entry.get("first", ""), columns, vintages)
    else:
        _check_no_months(where, entry, vintages)
    return Dataset(
        name=path.stem,
        title=entry["title"],
        table=entry["table"],
        columns=tuple(columns),
        vintages=tuple(vintages),
        first=entry.get("first", ""),
        cluster_by=entry.get("cluster_by", ""),
        monthly=entry.get("monthly", True),
        default=entry.get("default", False),
        locations=entry.get("locations", {}),
        location_key=entry.get("location_key", ""),
    )


def _column(where: str, content: Mapping[str, object]) -> Column:
    check_keys(where, content, COLUMN_KEYS)
    entry = cast("ColumnEntry", content)
    if entry["type"] not in TYPES:
        refuse(where, f"the type '{entry['type']}' is none of {', '.join(TYPES)}")
    kind = _CODE_KINDS.get(entry["type"])
    for text, code in entry.get("codes", {}).items():
        if fold(text) != text:
            refuse(where, f"the code '{text}' must be written trimmed and in lower case")
        # "" means null for numbers as well; type(), because isinstance(True, int) is true.
        if kind is None or (type(code) is not kind and code != ""):
            refuse(where, f"the code {text} = {code!r} does not fit the type {entry['type']}")
    return Column(**entry)


def _vintage(where: str, content: Mapping[str, object], canonical: dict[str, str]) -> Vintage:
    """Build a Vintage; `canonical` maps folded canonical names to canonical names."""
    check_keys(where, content, VINTAGE_KEYS)
    entry = cast("VintageEntry", content)
    if entry["format"] not in _FORMATS:
        refuse(where, f"the format '{entry['format']}' is none of {', '.join(_FORMATS)}")
    published = [fold(name) for name in entry["columns"]]
    refuse_repeated(where, "published column", published)
    left_out = tuple(fold(name) for name in entry.get("leaves_out", []))
    aliases = {fold(name): target for name, target in entry.get("aliases", {}).items()}
    for name in (*aliases, *left_out):
        if name not in published:
            refuse(where, f"`aliases` or `leaves_out` names {name}, which is not a published column")
    for name, target in aliases.items():
        if target not in canonical.values():
            refuse(where, f"the alias {name} maps to {target}, which is not a canonical column")
    names = {name: aliases.get(name, canonical.get(name, "")) for name in published if name not in left_out}
    unmapped = [name for name, target in names.items() if not target]
    if unmapped:
        refuse(where, f"no canonical column for {', '.join(unmapped)}; add an alias or list it in `leaves_out`")
    refuse_repeated(where, "canonical column", names.values())
    return Vintage(
        name=entry["name"],
        format=entry["format"],
        columns=tuple(entry["columns"]),
        names=names,
        leaves_out=left_out,
        first=entry.get("first", ""),
        last=entry.get("last", ""),
        quirks=entry.get("quirks", ""),
    )


def _check_named_columns(where: str, entry: DatasetEntry, columns: Set[str]) -> None:
    if "cluster_by" in entry and entry["cluster_by"] not in columns:
        refuse(where, f"`cluster_by` is not a column: {entry['cluster_by']}")
    locations, location_key = entry.get("locations", {}), entry.get("location_key", "")
    for name in (*locations, *filter(None, [location_key])):
        if name not in columns:
            refuse(where, f"`locations` or `location_key` names {name}, which is not a column")
    for event in locations.values():
        if not _TABLE_NAME.fullmatch(event):
            refuse(where, f"`locations` has '{event}', which cannot begin the name of a column")


def _check_months(where: str, first: str, columns: list[Column], vintages: list[Vintage]) -> None:
    for vintage in vintages:
        if not vintage.first or (vintage.last and vintage.last < vintage.first):
            refuse(f"{where}, vintage {vintage.name}", "`first` is missing or after `last`")
    for file_format in _FORMATS:
        for before, after in pairwise(v for v in vintages if v.format == file_format):
            if not before.last or after.first < next_month(before.last):
                refuse(f"{where}, vintage {after.name}", f"its months overlap those of {before.name}")
            if after.first > next_month(before.last):
                refuse(f"{where}, vintage {after.name}", f"there is a gap between it and {before.name}")
    if first != min(v.first for v in vintages):
        refuse(where, "`first` is not the first month of any vintage")
    for column in columns:
        if column.since < first:
            refuse(f"{where}, column {column.name}", "`since` is missing or before the dataset's first month")


def _check_no_months(where: str, entry: DatasetEntry, vintages: list[Vintage]) -> None:
    if entry.get("first") or any(v.first or v.last for v in vintages):
        refuse(where, "`first` and `last` are not allowed in a dataset without months")
    refuse_repeated(where, "vintage for format", [v.format for v in vintages])


def read_sources(path: Path) -> dict[str, Source]:
    """Read the publishers' file, one table per source. Raises CatalogError if it is invalid."""
    return {name: _source(f"{path.name}, {name}", name, entry) for name, entry in _parse(path).items()}


def _source(where: str, name: str, content: object) -> Source:
    if not isinstance(content, dict):
        refuse(where, "a source must be a table")
    check_keys(where, content, SOURCE_KEYS)
    entry = cast("SourceEntry", content)
    if entry["format"] not in _FORMATS:
        refuse(where, f"the format '{entry['format']}' is none of {', '.join(_FORMATS)}")
    if "{dataset}" not in entry["url"] or "{month}" not in entry["url"]:
        refuse(where, "`url` must contain {dataset} and {month}")
    months = {key: (first, last) for key, (first, last) in entry.get("months", {}).items()}
    auto = tuple(entry.get("auto", ()))
    for key in auto:
        if key not in months:
            refuse(where, f"`auto` names {key}, which has no `months` here")
    return Source(
        name=name,
        title=entry["title"],
        format=entry["format"],
        url=entry["url"],
        months=months,
        auto=auto,
        files=entry.get("files", {}),
    )


def _parse(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{path.name}: invalid TOML: {error}") from error


def _location(where: str, what: str, number: int, content: Mapping[str, object]) -> str:
    return f"{where}, {what} {content.get('name', f'no. {number}')}"
