"""Where rows go: the contract of a warehouse, and the kinds there are.

A warehouse has one table per dataset and records, for each month, the mark of the rows that were loaded. A new kind is
a module here with a class that implements `Warehouse`, an entry in KINDS, and a test module that gives the conformance
suite its fixture. What only some kinds can do is in `capabilities`. A table of its name that is not ours is left alone:
`ownership` tells which. `zone_views` has the views that show trips with the names of their zones, `refusals` how a
query is refused. The kinds are `duckdb`, `bigquery` and `postgres`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Check, Place
from taxi_ingest.values import quoted
from taxi_ingest.warehouses.capabilities import (
    AnswersQueries,
    Bill,
    ComparesAtCost,
    ComparesContent,
    CountsUnrecorded,
    Foresees,
    LeavesRemains,
    SettlesJobs,
    TellsForeignTables,
)

if TYPE_CHECKING:  # this page is read for help texts, which must come at once
    from taxi_ingest.catalog import Column, Dataset


@dataclass(frozen=True)
class HeldMonth:
    """One month in a warehouse.

    `mark`, `loaded` (number of rows) and `source` were recorded when it was loaded; `rows` is the number of rows in
    the table now. `mark` is "" when other rows are shown now than those that were recorded. `stale` tells why the month
    must be loaded again although nothing is missing: the table is kept otherwise than the method asks for, or somebody
    changed rows; "" if it need not. `file` is the path of the file that a view shows, "" where the rows were copied;
    it does not count when months are compared.
    """

    mark: str
    rows: int
    loaded: int
    source: str
    stale: str = ""
    file: str = field(default="", compare=False)


Months = Mapping[str | None, HeldMonth]
"""The months of one table, keyed as `2021-01`; a table without months has the one key None."""


@dataclass(frozen=True)
class Table:
    """The layout of a table. Monthly tables have the column `file_month` (DATE) after `columns`."""

    name: str
    title: str
    columns: tuple[Column, ...]
    monthly: bool
    cluster_by: str

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        from taxi_ingest.catalog import FILE_MONTH

        names = tuple(column.name for column in self.columns)
        return (*names, FILE_MONTH) if self.monthly else names


def table_of(known: Dataset) -> Table:
    """The table of a dataset."""
    return Table(known.table, known.title, known.columns, known.monthly, known.cluster_by)


def column_comment(column: Column) -> str:
    """What a column's comment says in every warehouse: its meaning and, in brackets, its unit."""
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


def month_key(day: date | None) -> str | None:
    """The key in `Months` for a value of the column `file_month`."""
    return day.strftime("%Y-%m") if day else None


@dataclass(frozen=True)
class Traits:
    """How kinds of warehouses differ.

    `reads`: schemes of the stores whose objects it loads by URL, "" for a folder; empty when it loads the Parquet file
    on this disk, whatever the store. `needs_network`: whether `held` needs a network. `disk_per_parquet`: bytes that a
    load adds to this disk for each byte of Parquet.
    """

    reads: tuple[str, ...] = ()
    needs_network: bool = True
    disk_per_parquet: float = 0.0


TABLE, EXTERNAL = "table", "external"
"""Methods: rows are copied into a table, as the kind does it best; or the table shows the store's objects."""


def _ignore(_: str) -> None:
    pass


@dataclass(frozen=True)
class Options:
    """How a warehouse is used; a kind ignores options that do not concern it.

    `method`: how a month is replaced, as in `Kind.methods`; "" is `table`. `lock_timeout`: seconds that an opened
    warehouse waits, in all, for another program to release it before InUseError is raised. `memory_limit_mb`: megabytes
    that a load may take on this machine. `labels`, each `key=value`, are given to jobs and tables where such are kept.
    `maximum_bytes_billed`: a question that would be billed for more bytes is refused; 0 is no limit. `announce` hears
    what is waited for.
    """

    method: str = ""
    lock_timeout: float = 30.0
    memory_limit_mb: int = 200
    labels: tuple[str, ...] = ()
    maximum_bytes_billed: int = 0
    announce: Callable[[str], None] = field(default=_ignore, compare=False, repr=False)


class Warehouse(Protocol):
    """A place for rows. Methods raise WarehouseError, or TransientError where another try may help."""

    place: Place
    traits: Traits

    def checks(self, store: Place) -> Iterator[Check]:
        """What loads from `store` need in order to work, one thing at a time; changes nothing and raises nothing."""
        ...

    def held(self, *tables: str) -> dict[str, Months]:
        """The months of each of `tables`, by one query per table; no months for a table that does not exist."""
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
        """Replace one month and its mark with the `rows` rows of the Parquet `file` (path or URL), whole or not at all.

        `record` is called with the id of each job that would continue elsewhere if this process were killed, before
        the job is sent. Returns the number of rows of the month counted in the table afterwards. Raises
        WarehouseError when that is not `rows`; the month then does not count as held.
        """
        ...

    def make_views(self, table: Table) -> None:
        """Make the views over `table` that are missing or out of date, as a load does after its rows.

        For a load that was killed before it came to that. What cannot be made is told, or raises as a load does.
        """
        ...

    def preview_command(self, table: str) -> str:
        """A shell command that shows the first rows of `table`."""
        ...


class JobWarehouse(
    Warehouse, SettlesJobs, Foresees, TellsForeignTables, AnswersQueries, ComparesAtCost, CountsUnrecorded, Protocol
):
    """A warehouse that works through jobs somewhere else, some of which it bills."""


class ComparingWarehouse(
    Warehouse, ComparesContent, AnswersQueries, CountsUnrecorded, TellsForeignTables, LeavesRemains, Protocol
):
    """A warehouse that reads its rows at no charge."""


def settle(warehouse: Warehouse, job: str) -> bool:
    """Settle a recorded job. Returns False for a warehouse without jobs, which knows nothing of it."""
    if not isinstance(warehouse, SettlesJobs):
        return False
    warehouse.settle(job)
    return True


def sweep(warehouse: Warehouse, *tables: str) -> None:
    """Remove what killed loads into `tables` left; nothing where they leave nothing."""
    if isinstance(warehouse, LeavesRemains):
        warehouse.sweep(*tables)


def foreseen_refusals(warehouse: Warehouse, tables: Iterable[Table]) -> list[str]:
    """The sentences with which loads into `tables` would be refused, as far as the warehouse can tell beforehand."""
    if not isinstance(warehouse, TellsForeignTables):
        return []
    return [sentence for table in tables if (sentence := warehouse.refusal(table))]


def foresee(warehouse: Warehouse, store: Place) -> list[str]:
    """What a warehouse foresees of loads from `store`; nothing if it is none that does."""
    return warehouse.foresee(store) if isinstance(warehouse, Foresees) else []


def bill(warehouse: Warehouse, table: Table, rows: int) -> Bill | None:
    """What a load of `rows` rows costs; None in a warehouse that bills nothing."""
    return warehouse.bill(table, rows) if isinstance(warehouse, Foresees) else None


def _duckdb(place: Place, options: Options) -> ComparingWarehouse:
    from taxi_ingest.warehouses.duckdb import DuckDB

    return DuckDB(place, options)


def _bigquery(place: Place, options: Options) -> JobWarehouse:
    from taxi_ingest.warehouses.bigquery import BigQuery

    return BigQuery(place, replace(options, method="") if options.method == TABLE else options)


def _postgres(place: Place, options: Options) -> ComparingWarehouse:
    try:
        from taxi_ingest.warehouses.postgres import Postgres
    except ImportError as error:
        raise UsageError(f"{place} needs psycopg ({error}): pip install 'taxi-ingest[postgres]'.") from error
    return Postgres(place, options)


@dataclass(frozen=True)
class Kind:
    """A kind of warehouse: an example of its URL, how to open one, which touches nothing yet, and its methods."""

    example: str
    open: Callable[[Place, Options], Warehouse]
    methods: tuple[str, ...] = (TABLE,)


KINDS: dict[str, Kind] = {
    "duckdb": Kind("duckdb:FILE", _duckdb, (TABLE, EXTERNAL)),
    "bigquery": Kind("bigquery://project/dataset", _bigquery, (TABLE, "partition", "merge", EXTERNAL)),
    "postgresql": Kind("postgresql://user@host/database", _postgres),
}
"""URL scheme → kind. An opener imports its module, and the client that needs, when called."""

EXAMPLES = " or ".join(kind.example for kind in KINDS.values())
"""How warehouses are named, for help texts."""


def kind_of(place: Place, options: Options | None = None) -> Kind:
    """The kind of warehouse at `place`; loads no client.

    Raises UsageError for an unknown scheme, or an option the kind does not know.
    """
    kind = KINDS.get(place.scheme)
    if kind is None:
        raise UsageError(f"{quoted(str(place))} is not a warehouse.{_guess(place)} Possible: {EXAMPLES}.")
    if options and options.method == EXTERNAL and EXTERNAL not in kind.methods:
        raise UsageError(
            f"{place} cannot show the store's objects as a table (load.method = external). "
            f"Possible: load.method = {' or '.join(kind.methods)}."
        )
    return kind


def open_warehouse(place: Place, options: Options | None = None) -> Warehouse:
    """The warehouse at `place`, untouched.

    Raises UsageError for an unknown scheme, a name that no warehouse can have, or an option the kind does not know.
    """
    return kind_of(place, options).open(place, options or Options())


def _guess(place: Place) -> str:
    """What was meant, where that is clear."""
    if not place.scheme:
        near = Path(place.path).parent == Path.cwd()
        return f" Did you mean duckdb:{Path(place.path).name if near else place.path}?"
    scheme = place.similar(KINDS)
    return f" Did you mean {KINDS[scheme].example}?" if scheme else ""


def check_pair(store: Place, warehouse: Place, options: Options | None = None) -> None:
    """Raise UsageError, naming the stores that are possible, when `warehouse` cannot load from `store`."""
    reads = open_warehouse(warehouse, options).traits.reads
    if reads and store.scheme not in reads:
        possible = ", ".join(f"{scheme}://…" if scheme else "a folder" for scheme in reads)
        copies = " Or copy the rows: load.method = table." if options and options.method == EXTERNAL else ""
        raise UsageError(f"{warehouse} cannot load from the store {store}. Use a store it reads: {possible}.{copies}")
