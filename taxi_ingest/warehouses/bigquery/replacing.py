"""One month replaced: its mark is revoked, the rows are loaded and counted, the new mark is written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from google.cloud import bigquery

from taxi_ingest import google_cloud
from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.bigquery import tables
from taxi_ingest.warehouses.bigquery.address import Address
from taxi_ingest.warehouses.bigquery.jobs import Jobs, Parameters
from taxi_ingest.warehouses.bigquery.marks import Load, Marks

_MERGE = """
MERGE {table} AS t USING {staging} AS s ON FALSE
WHEN NOT MATCHED BY SOURCE AND t.{month} = @month THEN DELETE
WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})
"""


class Replacement:
    """One attempt to replace one month of one table, to which its owner added the columns `owner_columns`."""

    def __init__(
        self, jobs: Jobs, marks: Marks, address: Address, load: Load, owner_columns: Sequence[bigquery.SchemaField]
    ) -> None:
        self._jobs = jobs
        self._marks = marks
        self._address = address
        self._load = load
        self._owner_columns = owner_columns
        self._newest: datetime | None = None

    def run(self, file: str) -> int:
        """Replace the month with the rows of the object `file`; returns the rows counted in the table afterwards."""
        load = self._load
        self._newest = self._marks.newest(load)
        if load.month and self._address.method == "merge":
            self._merge(file)
        else:
            self._overwrite(file)
        counted = self._count()
        checked_count(self._address, load.table, load.month, file, counted=counted, expected=load.rows)
        self._marks.write(load, "done", after=self._newest)
        return counted

    def _overwrite(self, file: str) -> None:
        """One load job over the month's partition, or over the whole table if it has no months."""
        load = self._load
        self._revoke_mark()
        decorator = f"${load.month.replace('-', '')}" if load.month else ""
        # WRITE_TRUNCATE replaces the schema, so the columns that the owner added must be listed
        config = tables.load_config(self._jobs, [*tables.schema(load.table), *self._owner_columns], truncate=True)
        self._jobs.load(file, self._address.table(load.table.name) + decorator, config, load.sending)

    def _merge(self, file: str) -> None:
        """A load into a staging table, then one statement that exchanges the month's rows for its rows."""
        load = self._load
        with tables.staging(self._jobs, self._address, load.table) as staging:
            config = tables.load_config(self._jobs, tables.schema(load.table), truncate=False)
            self._jobs.load(file, self._address.table(staging), config, load.sending)
            self._revoke_mark()
            statement = _MERGE.format(
                table=self._address.quoted(load.table.name),
                staging=self._address.quoted(staging),
                month=FILE_MONTH,
                columns=", ".join(f"`{name}`" for name in load.table.column_names),
            )
            self._jobs.execute(statement, {"month": ("DATE", load.day)}, load.sending)

    def _revoke_mark(self) -> None:
        """Before a month that was loaded earlier is changed, its mark must no longer count."""
        if self._newest:
            self._newest = self._marks.write(self._load, "started", after=self._newest)

    def _count(self) -> int:
        load = self._load
        where = f"WHERE {FILE_MONTH} = @month" if load.month else ""
        parameters: Parameters = {"month": ("DATE", load.day)} if load.month else {}
        sql = f"SELECT COUNT(*) AS row_count FROM {self._address.quoted(load.table.name)} {where}"  # noqa: S608
        return self._jobs.count(sql, parameters, location=load.sending.location)


def checked_count(address: Address, table: Table, month: str | None, file: str, *, counted: int, expected: int) -> int:
    """The rows counted of a month. Raises WarehouseError if they are not as many as its file holds."""
    if counted == expected:
        return counted
    emulated = google_cloud.uses_emulator(google_cloud.BIGQUERY_EMULATOR) and address.method != "merge" and month
    hint = "An emulator may know no partitions (table$YYYYMM) and no external tables: set load.method = merge. "
    raise WarehouseError(
        f"{table.name} {month or ''} has {counted:,} rows in {address}, but {file} should hold {expected:,}. The month "
        f"does not count as loaded. {hint if emulated else ''}Run again."
    )
