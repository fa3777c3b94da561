"""Where rows go: the contract of a warehouse, and the kinds there are.

A warehouse has one table a dataset, and knows for each month from which rows (mark) it was loaded. A new kind is a
module here with a class that keeps the contract, an entry in KINDS, and a test module that brings a fixture to the
conformance suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from taxi_ingest.catalog import Column
from taxi_ingest.errors import UsageError
from taxi_ingest.place import Check, Place


@dataclass(frozen=True)
class HeldMonth:
    """A month as the warehouse has it.

    `mark`, `loaded` (rows) and `source` were recorded when it was loaded; `rows` are in the table now.
    """

    mark: str
    rows: int
    loaded: int
    source: str


Months = Mapping[str | None, HeldMonth]
"""What is held of one table, by month; under None for a table without months."""


@dataclass(frozen=True)
class Table:
    """What a table must look like. Monthly tables get the column `file_month` after `columns`."""

    name: str
    title: str
    columns: tuple[Column, ...]
    monthly: bool
    cluster_by: str


@dataclass(frozen=True)
class Traits:
    """In what kinds of warehouses differ.

    `reads`: schemes of the stores whose objects it loads itself; empty when it loads the Parquet file on this disk,
    whatever the store. `needs_network`: whether asking what it holds needs a network. `disk_per_parquet`: bytes that
    a load adds to this disk for each byte of Parquet.
    """

    reads: tuple[str, ...] = ()
    needs_network: bool = True
    disk_per_parquet: float = 0.0


@dataclass(frozen=True)
class Options:
    """How a warehouse is used; a kind ignores what does not concern it.

    `method`: how a month is replaced. `lock_timeout`: seconds to wait for another program to let go of the
    warehouse, before TransientError.
    """

    method: str = ""
    lock_timeout: float = 30.0


class Warehouse(Protocol):
    """A place for rows. Methods raise WarehouseError, or TransientError where another try may help."""

    place: Place
    traits: Traits

    def checks(self, store: Place) -> Iterator[Check]:
        """What must be in order for loads from `store` to work; changes nothing."""
        ...

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
        """Replace one month by the `rows` rows of the Parquet `file` (path or URL), with its mark, whole or not at all.

        `record` is called with the id of each job that would go on elsewhere if this process were killed, before the
        job is sent. Returns the rows of the month counted in the table afterwards. Raises WarehouseError when they
        are not `rows`, and then the month does not count as held.
        """
        ...

    def preview_command(self, table: str) -> str:
        """A shell command that shows the first rows of `table`."""
        ...


@runtime_checkable
class SettlesJobs(Protocol):
    """The capability of a warehouse whose jobs go on elsewhere when this process is killed."""

    def settle(self, job: str) -> None:
        """Make sure that a job which a killed run recorded does nothing more; the table tells what it did."""
        ...


class JobWarehouse(Warehouse, SettlesJobs, Protocol):
    """A warehouse that works by jobs."""


def settle(warehouse: Warehouse, job: str) -> None:
    """Settle a recorded job; a warehouse without jobs has nothing to settle."""
    if isinstance(warehouse, SettlesJobs):
        warehouse.settle(job)


def _duckdb(place: Place, options: Options) -> Warehouse:
    from taxi_ingest.warehouses.duckdb import DuckDB

    return DuckDB(place, options)


def _bigquery(place: Place, options: Options) -> JobWarehouse:
    from taxi_ingest.warehouses.bigquery import BigQuery

    return BigQuery(place, options)


@dataclass(frozen=True)
class Kind:
    """A kind of warehouse: how its URLs look, and how one is opened, which touches nothing yet."""

    example: str
    open: Callable[[Place, Options], Warehouse]


KINDS: dict[str, Kind] = {
    "duckdb": Kind("duckdb:FILE", _duckdb),
    "bigquery": Kind("bigquery://project/dataset", _bigquery),
}
"""URL scheme → kind. Their modules, and the clients they need, load when one is opened."""

EXAMPLES = " or ".join(kind.example for kind in KINDS.values())
"""How warehouses are named, for help texts."""


def open_warehouse(place: Place, options: Options | None = None) -> Warehouse:
    """The warehouse at `place`, untouched. Raises UsageError for a scheme, or a name, that no warehouse can have."""
    kind = KINDS.get(place.scheme)
    if kind is None:
        raise UsageError(f"'{place}' is no warehouse. Possible: {EXAMPLES}.")
    return kind.open(place, options or Options())


def check_pair(store: Place, warehouse: Place, options: Options | None = None) -> None:
    """Raise UsageError, naming what is possible, for a store that `warehouse` cannot load from."""
    reads = open_warehouse(warehouse, options).traits.reads
    if reads and store.scheme not in reads:
        possible = ", ".join(f"{scheme}://…" for scheme in reads)
        raise UsageError(f"{warehouse} cannot load from the store {store}. Use a store it reads: {possible}.")
