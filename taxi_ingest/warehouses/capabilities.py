"""What some warehouses can do beside loading: a Protocol each, and what its methods give.

Whoever needs one asks with `isinstance`; a front page in `warehouses` says which kinds have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from taxi_ingest.place import Place

if TYPE_CHECKING:
    import pyarrow as pa

    from taxi_ingest.warehouses import Table


@runtime_checkable
class SettlesJobs(Protocol):
    """The capability of a warehouse whose jobs continue elsewhere when this process is killed."""

    def settle(self, job: str) -> None:
        """Make sure that `job`, recorded by a run that was killed, has ended; cancel it if it still runs.

        What it did is left to `held`. Raises TransientError when the job does not end.
        """
        ...


@dataclass(frozen=True)
class Compared:
    """The rows of one month in the table, beside those of the Parquet file they were loaded from.

    `file_rows` and `table_rows` are counted; `columns` are those whose values are not the same in both, as far as that
    can be told column by column. `same`: whether the table has exactly the rows of the file, in whatever order.
    """

    same: bool
    file_rows: int
    table_rows: int
    columns: tuple[str, ...] = ()


@runtime_checkable
class ComparesContent(Protocol):
    """The capability of a warehouse that can compare all values of a month with a Parquet file, at no charge."""

    def compare(self, table: Table, month: str | None, *, file: str) -> Compared:
        """Compare the rows of one month with those of the Parquet `file` on this disk.

        A row that was added, removed, doubled or changed in any column shows, and so do values that changed places,
        null beside an empty text or 0, and 0.0 beside -0.0. Takes no more memory than a load. Changes nothing.
        """
        ...


@runtime_checkable
class ComparesAtCost(Protocol):
    """The capability of a warehouse that compares all values of a month, and bills for what it reads."""

    def comparison_bytes(self, table: Table, month: str | None) -> int:
        """The most bytes that `compare_billed` is billed for; asking is free."""
        ...

    def compare_billed(self, table: Table, month: str | None, *, file: str, most_bytes: int) -> Compared:
        """Compare the rows of one month with those of the Parquet object at the URL `file`.

        A row that was added, removed, doubled or changed in any column shows, and so do values that changed places and
        null beside an empty text or 0. Changes no row of the table. Raises WarehouseError, with nothing billed, when
        more than `most_bytes` would be billed.
        """
        ...


@runtime_checkable
class CountsUnrecorded(Protocol):
    """The capability of a warehouse that finds rows of no load, at no charge."""

    def unrecorded(self, table: Table) -> Mapping[date | None, int]:
        """The values of `file_month` that no load recorded, each with its number of rows; none without months."""
        ...


@dataclass(frozen=True)
class Bill:
    """What one load costs at most: bytes that it adds to what is stored, bytes that are billed for its questions."""

    stored: int
    billed: int


@runtime_checkable
class Foresees(Protocol):
    """The capability of a warehouse that can tell before any work that loads from a store will fail, or will cost."""

    def bill(self, table: Table, rows: int) -> Bill:
        """What a load of `rows` rows into one month of `table` costs; asks nobody."""
        ...

    def foresee(self, store: Place) -> list[str]:
        """Sentences on what loads from `store` will cost beside the usual.

        Raises WarehouseError if none can succeed. Changes nothing.
        """
        ...


@dataclass(frozen=True)
class Answer:
    """What a query gives: its columns, which may share a name, and its rows, fetched as `batches` is read.

    `note` is what a person should know beforehand, such as what the query costs; "" for nothing.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    note: str = ""


@runtime_checkable
class AnswersQueries(Protocol):
    """The capability of a warehouse that answers a user's SQL."""

    def query(self, sql: str) -> AbstractContextManager[Answer]:
        """The answer to one statement that reads, to be used within the block; memory does not grow with its rows.

        Tables are found by their names alone. Raises UsageError, with the warehouse's own words, for a statement that
        is wrong or would write, also while `batches` is read.
        """
        ...


@runtime_checkable
class TellsForeignTables(Protocol):
    """The capability of a warehouse that can tell beforehand whose tables there are."""

    def refusal(self, table: Table) -> str:
        """The sentence with which a load into `table` would be refused, as it is somebody else's; "" if it is not."""
        ...


@runtime_checkable
class LeavesRemains(Protocol):
    """The capability of a warehouse in which a load that is killed may leave something behind, which nobody sees."""

    def sweep(self, *tables: str) -> None:
        """Remove what killed loads into `tables` left, unless another load may be at work on it."""
        ...
