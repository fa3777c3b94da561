"""What was loaded: rows of `_loads`, appended and never changed, and the query for the months that are held.

A month is held when its newest row is `done` and the row before it, if there is one, is `started` by the same load.
So a load that was interrupted, or two that overlapped, leave a month that is not held.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from google.cloud import bigquery

from taxi_ingest.catalog.months import first_day
from taxi_ingest.warehouses import HeldMonth, Table, month_key
from taxi_ingest.warehouses.bigquery.address import LOADS, Address
from taxi_ingest.warehouses.bigquery.jobs import Jobs, Sending
from taxi_ingest.warehouses.bigquery.tables import LOADS_SCHEMA

_TICK = timedelta(microseconds=1)

_NEWEST = """
SELECT MAX(`at`) AS newest
FROM {loads}
WHERE table_name = @table AND IFNULL(file_month, DATE '0001-01-01') = IFNULL(@month, DATE '0001-01-01')
"""

_HELD = """
WITH recorded AS (
  SELECT
    file_month, mark, `rows` AS loaded, source, state, `load`,
    ROW_NUMBER() OVER newest_first AS age,
    LEAD(state) OVER newest_first AS previous_state,
    LEAD(`load`) OVER newest_first AS previous_load
  FROM {loads}
  WHERE table_name = @table
  WINDOW newest_first AS (PARTITION BY file_month ORDER BY `at` DESC)
), present AS (
  SELECT IFNULL(partition_id, '') AS partition_id, total_rows
  FROM {partitions}
  WHERE table_name = @table
)
SELECT file_month, mark, IFNULL(total_rows, 0) AS row_count, loaded, source
FROM recorded LEFT JOIN present ON present.partition_id = IFNULL(FORMAT_DATE('%Y%m', file_month), '')
WHERE age = 1 AND state = 'done'
  AND (previous_load IS NULL OR (previous_load = `load` AND previous_state = 'started'))
  AND EXISTS (SELECT 1 FROM {tables} WHERE table_name = @table)
"""

_UNRECORDED = """
SELECT partition_id, total_rows
FROM {partitions}
WHERE table_name = @table AND total_rows > 0 AND partition_id NOT IN (
  SELECT FORMAT_DATE('%Y%m', file_month) FROM {loads} WHERE table_name = @table AND file_month IS NOT NULL
) AND EXISTS (SELECT 1 FROM {loads} WHERE table_name = @table)
"""

_MONTH_ID = re.compile(r"\d{6}")
_NO_MONTH_ID = "__NULL__"
"""The partition of rows whose `file_month` is null."""


@dataclass(frozen=True)
class Load:
    """One attempt to replace a month; `sending` is how its jobs are sent."""

    table: Table
    month: str | None
    mark: str
    rows: int
    source: str
    sending: Sending
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def day(self) -> date | None:
        """The first day of the month."""
        return first_day(self.month) if self.month else None


class Marks:
    """The rows of `_loads` in one dataset."""

    def __init__(self, jobs: Jobs, address: Address) -> None:
        self._jobs = jobs
        self._address = address

    def held(self, table: str) -> dict[str | None, HeldMonth]:
        """The months held, with their present number of rows from the table's metadata: no row is read."""
        sql = _HELD.format(
            loads=self._address.quoted(LOADS),
            partitions=self._address.view("PARTITIONS"),
            tables=self._address.view("TABLES"),
        )
        return {
            month_key(row["file_month"]): HeldMonth(row["mark"], row["row_count"], row["loaded"], row["source"])
            for row in self._jobs.query(sql, {"table": ("STRING", table)})
        }

    def unrecorded(self, table: str) -> dict[date | None, int]:
        """The months that no load recorded, each with its number of rows from the table's metadata."""
        sql = _UNRECORDED.format(loads=self._address.quoted(LOADS), partitions=self._address.view("PARTITIONS"))
        found: dict[date | None, int] = {}
        for row in self._jobs.query(sql, {"table": ("STRING", table)}):
            name = row["partition_id"] or ""
            if _MONTH_ID.fullmatch(name):
                found[first_day(f"{name[:4]}-{name[4:]}")] = row["total_rows"]
            elif name == _NO_MONTH_ID:
                found[None] = row["total_rows"]
        return found

    def newest(self, load: Load) -> datetime | None:
        """When the newest row of the load's month was written; None if there is none."""
        sql = _NEWEST.format(loads=self._address.quoted(LOADS))
        parameters = {"table": ("STRING", load.table.name), "month": ("DATE", load.day)}
        return self._jobs.value(sql, parameters, datetime, location=load.sending.location)

    def write(self, load: Load, state: Literal["started", "done"], *, after: datetime | None) -> datetime:
        """Append a row. Returns its time, which is later than `after` even if this machine's clock is behind."""
        now = datetime.now(UTC)
        at = max(now, after + _TICK) if after else now
        row = {
            "table_name": load.table.name,
            "file_month": load.day.isoformat() if load.day else None,
            "mark": load.mark,
            "rows": load.rows,
            "source": load.source,
            "state": state,
            "at": at.isoformat(),
            "load": load.id,
        }
        self._jobs.append(row, self._address.table(LOADS), _config(self._jobs), load.sending)
        return at


def _config(jobs: Jobs) -> bigquery.LoadJobConfig:
    return bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
        schema=LOADS_SCHEMA,
        write_disposition="WRITE_APPEND",
        create_disposition="CREATE_NEVER",
        labels=jobs.labels,
    )
