"""Validation of the catalog's files: the keys and value types of each table, and the errors for violations."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn, NotRequired, TypedDict

from taxi_ingest.catalog.months import is_month


class CatalogError(ValueError):
    """A catalog file is invalid. The message names the file and the place in it."""


def _all_strings(value: Iterable[object]) -> bool:
    return all(isinstance(item, str) and item.strip() for item in value)


def _is_month(value: object) -> bool:
    return isinstance(value, str) and is_month(value)


def _is_range(value: object) -> bool:
    if not (isinstance(value, list) and len(value) == 2 and _is_month(value[0])):
        return False
    first, last = value
    return bool(last == "" or (_is_month(last) and first <= last))


_KINDS: dict[str, Callable[[object], bool]] = {
    "a non-empty string": lambda v: isinstance(v, str) and bool(v.strip()),
    "true or false": lambda v: isinstance(v, bool),
    "a month such as 2021-01": _is_month,
    "a table": lambda v: isinstance(v, dict),
    "a table of non-empty strings": lambda v: isinstance(v, dict) and _all_strings(v.values()),
    "a list of non-empty strings": lambda v: isinstance(v, list) and _all_strings(v),
    "a list of tables": lambda v: isinstance(v, list) and v != [] and all(isinstance(i, dict) for i in v),
    'a table of ranges ["2021-01", "2021-12"], the last month "" if open-ended': (
        lambda v: isinstance(v, dict) and all(map(_is_range, v.values()))
    ),
}
_TEXT, _FLAG, _A_MONTH, _TABLE, _TEXT_TABLE, _TEXT_LIST, _TABLE_LIST, _RANGE_TABLE = _KINDS

# A key with a question mark is optional.
DATASET_KEYS = {
    "title": _TEXT,
    "table": _TEXT,
    "first?": _A_MONTH,
    "cluster_by?": _TEXT,
    "monthly?": _FLAG,
    "default?": _FLAG,
    "locations?": _TEXT_TABLE,
    "location_key?": _TEXT,
    "columns": _TABLE_LIST,
    "vintages": _TABLE_LIST,
}
COLUMN_KEYS = {
    "name": _TEXT,
    "type": _TEXT,
    "unit": _TEXT,
    "meaning": _TEXT,
    "since?": _A_MONTH,
    "codes?": _TABLE,
}
VINTAGE_KEYS = {
    "name": _TEXT,
    "format": _TEXT,
    "first?": _A_MONTH,
    "last?": _A_MONTH,
    "columns": _TEXT_LIST,
    "aliases?": _TEXT_TABLE,
    "leaves_out?": _TEXT_LIST,
    "quirks?": _TEXT,
}
SOURCE_KEYS = {
    "title": _TEXT,
    "format": _TEXT,
    "url": _TEXT,
    "auto?": _TEXT_LIST,
    "months?": _RANGE_TABLE,
    "files?": _TEXT_TABLE,
}


class DatasetEntry(TypedDict):
    """A dataset's file, once `check_keys` has accepted it."""

    title: str
    table: str
    first: NotRequired[str]
    cluster_by: NotRequired[str]
    monthly: NotRequired[bool]
    default: NotRequired[bool]
    locations: NotRequired[dict[str, str]]
    location_key: NotRequired[str]
    columns: list[Mapping[str, object]]
    vintages: list[Mapping[str, object]]


class ColumnEntry(TypedDict):
    """A checked `[[columns]]` table."""

    name: str
    type: str
    unit: str
    meaning: str
    since: NotRequired[str]
    codes: NotRequired[dict[str, int | str]]


class VintageEntry(TypedDict):
    """A checked `[[vintages]]` table."""

    name: str
    format: str
    first: NotRequired[str]
    last: NotRequired[str]
    columns: list[str]
    aliases: NotRequired[dict[str, str]]
    leaves_out: NotRequired[list[str]]
    quirks: NotRequired[str]


class SourceEntry(TypedDict):
    """A checked table of `sources.toml`."""

    title: str
    format: str
    url: str
    auto: NotRequired[list[str]]
    months: NotRequired[dict[str, list[str]]]
    files: NotRequired[dict[str, str]]


def check_keys(where: str, entry: Mapping[str, object], keys: dict[str, str]) -> None:
    """Raise CatalogError for an unknown key, a missing key, or a value of another kind than `keys` requires."""
    kinds = {key.removesuffix("?"): kind for key, kind in keys.items()}
    for key, value in entry.items():
        if key not in kinds:
            near = difflib.get_close_matches(key, kinds, n=1)
            refuse(where, f"unknown key `{key}`" + (f"; did you mean `{near[0]}`?" if near else ""))
        if not _KINDS[kinds[key]](value):
            refuse(where, f"`{key}` must be {kinds[key]}")
    for key in keys:
        if not key.endswith("?") and key not in entry:
            refuse(where, f"`{key}` is missing")


def refuse_repeated(where: str, what: str, names: Iterable[str]) -> None:
    """Raise CatalogError if a name occurs more than once."""
    seen = list(names)
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        refuse(where, f"{what} twice: {', '.join(twice)}")


def refuse(where: str, sentence: str) -> NoReturn:
    """Raise CatalogError; `where` is the file and the place in it."""
    raise CatalogError(f"{where}: {sentence.removesuffix('?')}{'?' if sentence.endswith('?') else '.'}")
