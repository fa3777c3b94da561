"""How many rows each month has in the warehouse, beside what is known of the publisher's file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from taxi_ingest.catalog import Dataset, Part
from taxi_ingest.catalog.reading import expected_rows
from taxi_ingest.warehouses import Warehouse


@dataclass(frozen=True)
class Counted:
    """The rows of one month in the table now, those that were loaded, and those of TLC's Parquet (None: not known)."""

    part: Part
    source: str
    rows: int
    loaded: int
    known: int | None

    @property
    def differs(self) -> int:
        """Rows more (or less, below 0) than TLC's Parquet has; 0 where that is not known."""
        return 0 if self.known is None else self.rows - self.known


def count_months(warehouse: Warehouse, datasets: Iterable[Dataset]) -> list[Counted]:
    """Every month that the warehouse holds of `datasets`, in order. Raises what `Warehouse.held` does."""
    by_table = {known.table: known for known in datasets}
    return [
        Counted(Part(known.name, month), held.source, held.rows, held.loaded, expected_rows(known.name, month))
        for table, months in warehouse.held(*by_table).items()
        for known in (by_table[table],)
        for month, held in sorted(months.items(), key=lambda one: one[0] or "")
    ]
