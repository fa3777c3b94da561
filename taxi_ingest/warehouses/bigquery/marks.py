"""What was loaded: rows of `_loads`, appended and never changed, and the question which months are held.

A month is held when its newest row is `done` and the row before it, if there is one, is `started` by the same load.
So a load that broke off, or two that ran into each other, leave a month that is not held.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.cloud import bigquery

from taxi_ingest.catalog.months import first_day
from taxi_ingest.warehouses import HeldMonth, Table
from taxi_ingest.warehouses.bigquery.address import LOADS, Address
from taxi_ingest.warehouses.bigquery.jobs import LABELS, Jobs, Record
from taxi_ingest.warehouses.bigquery.tables import LOADS_SCHEMA

_TICK = timedelta(microseconds=1)

_NEWEST = """
SELECT MAX(`at`) AS newest
FROM {loads}
WHERE table_name = @table AND IFNULL(file_month, DATE '0001-01-01') = IFNULL(@month, DATE '0001-01-01')
"""

_HELD = """
WITH told AS (
  SELECT
    file_month, mark, `rows` AS loaded, source, state, `load`,
    ROW_NUMBER() OVER newest_first AS place,
    LEAD(state) OVER newest_first AS state_before,
    LEAD(`load`) OVER newest_first AS load_before
  FROM {loads}
  WHERE table_name = @table
  WINDOW newest_first AS (PARTITION BY file_month ORDER BY `at` DESC)
), there AS (
  SELECT IFNULL(partition_id, '') AS partition_id, total_rows
  FROM {partitions}
  WHERE table_name = @table
)
SELECT file_month, mark, IFNULL(total_rows, 0) AS now, loaded, source
FROM told LEFT JOIN there ON there.partition_id = IFNULL(FORMAT_DATE('%Y%m', file_month), '')
WHERE place = 1 AND state = 'done'
  AND (load_before IS NULL OR (load_before = `load` AND state_before = 'started'))
  AND EXISTS (SELECT 1 FROM {tables} WHERE table_name = @table)
"""


@dataclass(frozen=True)
class Load:
    """One try to replace a month: what goes in, where its jobs run, whom to tell of them."""

    table: Table
    month: str | None
    mark: str
    rows: int
    source: str
    location: str
    record: Record
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def day(self) -> date | None:
        """The first day of the month."""
        return first_day(self.month) if self.month else None

    @property
    def how(self) -> dict[str, Any]:
        """How its jobs are sent."""
        return {"location": self.location, "record": self.record}


class Marks:
    """The rows of `_loads` in one dataset."""

    def __init__(self, jobs: Jobs, place: Address) -> None:
        self._jobs = jobs
        self._place = place

    def held(self, table: str) -> dict[str | None, HeldMonth]:
        """The months held, with the rows that are there now by the table's metadata: no row is read."""
        question = _HELD.format(
            loads=self._place.quoted(LOADS),
            partitions=self._place.view("PARTITIONS"),
            tables=self._place.view("TABLES"),
        )
        return {
            row["file_month"].strftime("%Y-%m") if row["file_month"] else None: HeldMonth(
                row["mark"], row["now"], row["loaded"], row["source"]
            )
            for row in self._jobs.ask(question, {"table": ("STRING", table)})
        }

    def newest(self, load: Load) -> datetime | None:
        """When the newest row of the load's month was written; None when there is none."""
        question = _NEWEST.format(loads=self._place.quoted(LOADS))
        parameters = {"table": ("STRING", load.table.name), "month": ("DATE", load.day)}
        (row,) = self._jobs.ask(question, parameters, location=load.location)
        found: datetime | None = row["newest"]
        return found

    def write(self, load: Load, state: str, *, after: datetime | None) -> datetime:
        """Append a row; returns its time, which is later than `after` whatever this machine's clock says."""
        now = datetime.now(UTC)
        at = max(now, after + _TICK) if after else now
        row: dict[str, Any] = {
            "table_name": load.table.name,
            "file_month": load.day.isoformat() if load.day else None,
            "mark": load.mark,
            "rows": load.rows,
            "source": load.source,
            "state": state,
            "at": at.isoformat(),
            "load": load.id,
        }
        self._jobs.append(row, self._place.table(LOADS), _config(), **load.how)
        return at


def _config() -> Any:
    return bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
        schema=LOADS_SCHEMA,
        write_disposition="WRITE_APPEND",
        create_disposition="CREATE_NEVER",
        labels=LABELS,
    )
