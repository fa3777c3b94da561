"""One month replaced: what was there is told to be gone, the job is run, the rows are counted, the mark is set."""

from __future__ import annotations

from datetime import datetime

from taxi_ingest.catalog import FILE_MONTH
from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses.bigquery import tables
from taxi_ingest.warehouses.bigquery.address import Address
from taxi_ingest.warehouses.bigquery.jobs import Jobs
from taxi_ingest.warehouses.bigquery.marks import Load, Marks

_MERGE = """
MERGE {table} AS t USING {staging} AS s ON FALSE
WHEN NOT MATCHED BY SOURCE AND t.{month} = @month THEN DELETE
WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})
"""


class Replacing:
    """One try to replace one month of one table."""

    def __init__(self, jobs: Jobs, marks: Marks, place: Address, load: Load) -> None:
        self._jobs = jobs
        self._marks = marks
        self._place = place
        self._load = load
        self._newest: datetime | None = None

    def run(self, file: str) -> int:
        """Replace the month by the rows of the object `file`; returns the rows counted in the table afterwards."""
        load = self._load
        self._newest = self._marks.newest(load)
        if load.month and self._place.method == "merge":
            self._merge(file)
        else:
            self._overwrite(file)
        counted = self._count()
        if counted != load.rows:
            raise WarehouseError(
                f"{load.table.name} {load.month or ''} has {counted:,} rows in {self._place}, but {file} was said to "
                f"hold {load.rows:,}. The month does not count as loaded; run again."
            )
        self._marks.write(load, "done", after=self._newest)
        return counted

    def _overwrite(self, file: str) -> None:
        """One load job over the month's partition, or over the whole table that has no months."""
        load = self._load
        self._start()
        decorator = f"${load.month.replace('-', '')}" if load.month else ""
        config = tables.load_config(tables.schema(load.table), truncate=True)
        self._jobs.load(file, self._place.table(load.table.name) + decorator, config, **load.how)

    def _merge(self, file: str) -> None:
        """A staging table, then one statement that puts its rows in the place of the month's."""
        load = self._load
        with tables.staging(self._jobs, self._place, load.table) as staging:
            config = tables.load_config(tables.schema(load.table), truncate=False)
            self._jobs.load(file, self._place.table(staging), config, **load.how)
            self._start()
            statement = _MERGE.format(
                table=self._place.quoted(load.table.name),
                staging=self._place.quoted(staging),
                month=FILE_MONTH,
                columns=", ".join(f"`{column.name}`" for column in tables.schema(load.table)),
            )
            self._jobs.execute(statement, {"month": ("DATE", load.day)}, **load.how)

    def _start(self) -> None:
        """Before a month is touched that was loaded once, its mark must not count any more."""
        if self._newest:
            self._newest = self._marks.write(self._load, "started", after=self._newest)

    def _count(self) -> int:
        load = self._load
        where = f"WHERE {FILE_MONTH} = @month" if load.month else ""
        parameters = {"month": ("DATE", load.day)} if load.month else {}
        sql = f"SELECT COUNT(*) AS there FROM {self._place.quoted(load.table.name)} {where}"  # noqa: S608
        (row,) = self._jobs.ask(sql, parameters, location=load.location)
        return int(row["there"])
