"""Where in BigQuery a warehouse is, and what Google allows as a name. Only checked names get into SQL."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import parse_qsl

from taxi_ingest.errors import UsageError

METHODS = ("partition", "merge")
"""How a month is replaced: a load job into the partition (free, atomic), or a staging table and one MERGE."""

LOADS = "_loads"
"""The small table that remembers from which rows (mark) each month was loaded."""

_PROJECT = re.compile(r"(?:[a-z0-9.-]+\.[a-z]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_LOCATION = re.compile(r"[A-Za-z]+(?:-[A-Za-z0-9]+)*")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_NOT_COLUMNS = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER")
_GRAMMAR = "bigquery://PROJECT/DATASET, with ?method=merge or ?location=EU where wanted"


@dataclass(frozen=True)
class Address:
    """A dataset of a project, how to replace months in it, and where to make it when it is missing."""

    project: str
    dataset: str
    method: str
    location: str

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}"

    def table(self, name: str) -> str:
        """The full name of a table, as the API takes it."""
        return f"{self.project}.{self.dataset}.{check_table(name)}"

    def quoted(self, name: str) -> str:
        """The full name of a table, as SQL takes it."""
        return f"`{self.table(name)}`"

    def view(self, name: str) -> str:
        """The full name of a view of INFORMATION_SCHEMA, as SQL takes it."""
        return f"`{self.project}.{self.dataset}`.INFORMATION_SCHEMA.{name}"


def address(url: str) -> Address:
    """The address in `bigquery://project/dataset?…`; raises UsageError for one Google would not allow."""
    path, _, query = url.partition("://")[2].partition("?")
    project, _, dataset = path.rstrip("/").partition("/")
    settings = dict(parse_qsl(query, keep_blank_values=True))
    method, location = settings.pop("method", METHODS[0]), settings.pop("location", "")
    if settings:
        raise UsageError(f"'{url}' has a setting that is none: {', '.join(settings)}. Write {_GRAMMAR}.")
    if method not in METHODS:
        raise UsageError(f"'{method}' is no way to replace a month. Possible: method={' or method='.join(METHODS)}.")
    if location and not _LOCATION.fullmatch(location):
        raise UsageError(f"'{location}' cannot be a location. Write location=EU or location=europe-west4.")
    if not _PROJECT.fullmatch(project):
        raise UsageError(
            f"'{project}' cannot be the id of a project: 6 to 30 lower-case letters, digits and -, "
            f"beginning with a letter and not ending with -. Write {_GRAMMAR}."
        )
    if not _DATASET.fullmatch(dataset):
        raise UsageError(
            f"'{dataset}' cannot be the name of a dataset: up to 1024 letters, digits and _. Write {_GRAMMAR}."
        )
    return Address(project, dataset, method, location)


def check_table(name: str) -> str:
    """Return `name` if a table can have it (letters, marks, digits, connectors, dashes, spaces); else UsageError."""
    kinds = {unicodedata.category(character) for character in name}
    if not name or len(name.encode()) > 1024 or any(kind[0] not in "LMN" for kind in kinds - {"Pc", "Pd", "Zs"}):
        raise UsageError(f"'{name}' cannot be the name of a BigQuery table: up to 1024 bytes of letters, digits, _ -.")
    return name


def check_column(name: str) -> str:
    """Return `name` if a column can have it; raise UsageError otherwise."""
    if not _COLUMN.fullmatch(name) or name.upper().startswith(_NOT_COLUMNS):
        raise UsageError(f"'{name}' cannot be the name of a BigQuery column: up to 300 letters, digits and _.")
    return name


def bucket_of(file: str) -> str:
    """The bucket of a gs:// URL; raises UsageError for another file, which BigQuery cannot read."""
    bucket, _, name = file.removeprefix("gs://").partition("/")
    if not file.startswith("gs://") or not bucket or not name:
        raise UsageError(f"BigQuery reads objects of Google Cloud Storage, not {file}. Use --store gs://BUCKET.")
    return bucket


def in_one_location(dataset: str, bucket: str) -> bool:
    """Whether BigQuery loads from a bucket in location `bucket` into a dataset in location `dataset`.

    A multi-region takes what lies inside of it too, and the US one takes anything (Google's rules for loads).
    """
    dataset, bucket = dataset.upper(), bucket.upper()
    inside_eu = bucket in {"EUR4", "EUR5", "EUR7", "EUR8"} or bucket.startswith("EUROPE-")
    return dataset in {bucket, "US"} or (dataset == "EU" and inside_eu)


def location_for(bucket: str) -> str:
    """The location of a new dataset that is to load from a bucket in location `bucket`; "" when none fits."""
    pairs = {"NAM4": "US", "EUR4": "EU", "EUR5": "EU", "EUR7": "EU", "EUR8": "EU"}
    has_datasets = bucket.upper() in {"US", "EU"} or "-" in bucket
    return pairs.get(bucket.upper(), bucket if has_datasets else "")
