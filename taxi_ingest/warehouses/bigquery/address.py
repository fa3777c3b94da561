"""Where in BigQuery a warehouse is, and which names Google allows. Only checked names are put into SQL."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place

METHODS = ("partition", "merge", "external")
"""How a month is replaced: a load job into the partition (free, atomic); a staging table and one MERGE; or not at all,
because the table shows the store's objects."""

LOADS = "_loads"
"""The small table that records the mark of each month that was loaded."""

_PROJECT = re.compile(r"(?:[a-z0-9.-]+\.[a-z]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_LOCATION = re.compile(r"[A-Za-z]+(?:-[A-Za-z0-9]+)*")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_RESERVED_COLUMNS = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER")
_GRAMMAR = (
    "Write bigquery://PROJECT/DATASET, followed by ?method=merge, ?location=EU or ?billing_project=PROJECT if you need "
    "them."
)


@dataclass(frozen=True)
class Address:
    """A dataset, how months are replaced in it, and where to create it ("": where the bucket is).

    `billing_project` is "" where the dataset's own project pays.
    """

    project: str
    dataset: str
    method: str
    location: str
    billing_project: str = ""

    @property
    def payer(self) -> str:
        """The project in which jobs run, and which pays for them."""
        return self.billing_project or self.project

    def __str__(self) -> str:
        return f"{self.project}:{self.dataset}"

    @property
    def dataset_id(self) -> str:
        """The full name of the dataset, as the API takes it."""
        return f"{self.project}.{self.dataset}"

    def table(self, name: str) -> str:
        """The full name of a table, as the API takes it."""
        return f"{self.dataset_id}.{check_table(name)}"

    def quoted(self, name: str) -> str:
        """The full name of a table, as SQL takes it."""
        return f"`{self.table(name)}`"

    def view(self, name: str) -> str:
        """The full name of a view of INFORMATION_SCHEMA, as SQL takes it."""
        return f"`{self.dataset_id}`.INFORMATION_SCHEMA.{name}"


def parse_address(place: Place, method: str = "") -> Address:
    """The address in `bigquery://project/dataset?method=…&location=…&billing_project=…`.

    The method in it wins over `method`. Raises UsageError for names Google does not allow. Messages show no part of the
    query, which may hold a secret.
    """
    parts = urlsplit(place.url)
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    method, location = settings.pop("method", method or METHODS[0]), settings.pop("location", "")
    billing_project = settings.pop("billing_project", "")
    if not place.has_host or settings or parts.fragment or "@" in parts.netloc:
        raise UsageError(
            f"'{place}' takes no user and no parameters but method, location and billing_project. {_GRAMMAR}"
        )
    if method not in METHODS:
        raise UsageError(f"{place}: a month cannot be replaced by this method. Possible: {' or '.join(METHODS)}.")
    if location and not _LOCATION.fullmatch(location):
        raise UsageError(f"{place}: no location has this name. Write ?location=EU or ?location=europe-west4.")
    project, dataset = unquote(parts.netloc), parts.path.strip("/")
    if not all(_PROJECT.fullmatch(name) for name in (project, billing_project or project)):
        raise UsageError(
            f"'{place}' names no project that can exist: a project's id has 6 to 30 lower-case letters, digits and -, "
            f"begins with a letter and does not end with -. {_GRAMMAR}"
        )
    if not _DATASET.fullmatch(dataset):
        raise UsageError(
            f"'{place}' names no dataset that can exist: its name has up to 1024 letters, digits and _. {_GRAMMAR}"
        )
    return Address(project, dataset, method, location, billing_project)


def check_table(name: str) -> str:
    """Return `name` if a table can have it (letters, marks, digits, connectors, dashes, spaces); else UsageError."""
    kinds = {unicodedata.category(character) for character in name}
    if not name or len(name.encode()) > 1024 or any(kind[0] not in "LMN" for kind in kinds - {"Pc", "Pd", "Zs"}):
        raise UsageError(f"'{name}' cannot be the name of a BigQuery table: up to 1024 bytes of letters, digits, _ -.")
    return name


def check_column(name: str) -> str:
    """Return `name` if a column can have it; raise UsageError otherwise."""
    if not _COLUMN.fullmatch(name) or name.upper().startswith(_RESERVED_COLUMNS):
        raise UsageError(f"'{name}' cannot be the name of a BigQuery column: up to 300 letters, digits and _.")
    return name


def bucket_of(url: str) -> str:
    """The bucket of a gs:// URL. Raises UsageError for anything else, which BigQuery cannot read.

    Also for one with *, which would be read as a pattern, and other objects with it.
    """
    bucket = url.removeprefix("gs://").partition("/")[0]
    if not url.startswith("gs://") or not bucket:
        raise UsageError(f"BigQuery reads objects of Google Cloud Storage, not {url}. Use --store gs://BUCKET.")
    if "*" in url:
        raise UsageError(f"BigQuery takes the * in {url} for a pattern. Use a --store without it.")
    return bucket
