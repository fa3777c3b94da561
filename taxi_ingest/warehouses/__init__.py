"""Where rows go: the contract of a warehouse, and the kinds there are.

A warehouse has one table a dataset, and knows of each month from which rows (mark) it was loaded. A new kind is a
module here with a `connect(url)`, a line in KINDS, and a fixture for the conformance suite.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from taxi_ingest.catalog import Column
from taxi_ingest.errors import UsageError


@dataclass(frozen=True)
class HeldMonth:
    """A month as the warehouse has it.

    `mark`, `loaded` (rows) and `source` were recorded when it was loaded; `rows` are there now.
    """

    mark: str
    rows: int
    loaded: int
    source: str


Months = Mapping[str | None, HeldMonth]
"""What is held of one table, by month; under None for a table without months."""


@dataclass(frozen=True)
class Table:
    """What a table is to look like. Monthly tables get the column `file_month` after `columns`."""

    name: str
    title: str
    columns: tuple[Column, ...]
    monthly: bool
    cluster_by: str


class Warehouse(Protocol):
    """A place for rows. Methods raise WarehouseError, or TransientError where another try may help."""

    url: str
    reads: Sequence[str]
    """Schemes of the files it can load from; "" is a file on this disk."""
    on_this_disk: bool
    """Whether asking it needs no network."""

    def opens(self, table: str) -> str:
        """A shell command that shows the first rows of `table`."""
        ...

    patience: float
    """Seconds that are waited for another program to let go of it, before TransientError."""

    def held(self, *tables: str) -> dict[str, Months]:
        """Every month in each of `tables`, in one cheap question a table; no months where there is no table."""
        ...

    def replace(
        self,
        table: Table,
        month: str | None,
        *,
        file: str,
        rows: int,
        mark: str,
        source: str,
        record: Callable[[str], None] | None = None,
    ) -> int:
        """Replace one month by the `rows` rows of the Parquet `file`, together with its mark, whole or not at all.

        `record` is called with the id of each job that a far side goes on with when we are killed, before it is sent.
        Returns the rows of the month counted in the table afterwards; raises WarehouseError when they are not
        `rows`, and then the month does not count as held.
        """
        ...

    def settle(self, job: str) -> None:
        """See to it that a job which a killed run had recorded does no more; what it did, the table tells."""
        ...

    def examine(self, bucket: str | None) -> Iterator[tuple[bool, str]]:
        """What must be well for loads (from `bucket`, if any) to work: well or not, and a sentence; changes nothing."""
        ...


class WarehouseKind(Protocol):
    """A module of this folder."""

    def connect(self, url: str) -> Warehouse:
        """Open the warehouse at `url` without touching it; raises UsageError when the name cannot be one."""
        ...


KINDS = {"duckdb": "taxi_ingest.warehouses.duckdb", "bigquery": "taxi_ingest.warehouses.bigquery"}
"""URL scheme → module. Modules load when first needed."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")


def connect(url: str) -> Warehouse:
    """The warehouse `url` names; raises UsageError for a scheme that is none."""
    match = _SCHEME.match(url)
    scheme = match.group(1) if match else ""
    if scheme not in KINDS:
        raise UsageError(f"'{url}' is no warehouse. Possible: {', '.join(f'{s}:…' for s in KINDS)}.")
    kind: WarehouseKind = importlib.import_module(KINDS[scheme])
    return kind.connect(url)
