"""The views of trips with the names of their zones, in BigQuery. To make one and to look at one is free."""

from __future__ import annotations

import contextlib

from google.api_core import exceptions as answers
from google.cloud import bigquery

from taxi_ingest.errors import TaxiError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Table
from taxi_ingest.warehouses.bigquery import tables
from taxi_ingest.warehouses.bigquery.address import Address
from taxi_ingest.warehouses.bigquery.errors import translated_errors
from taxi_ingest.warehouses.bigquery.jobs import Jobs, call_options
from taxi_ingest.warehouses.zone_views import Tell, ZoneView, digest, edited, foreign, not_made, views_over

_DIGEST = "zone_view"
"""The label with the digest of the SQL that a view was made from."""


class ZoneViews:
    """The views of one dataset of BigQuery.

    A view is looked at after the first load of each of its two tables, however many months follow.
    """

    def __init__(self, jobs: Jobs, address: Address, place: Place, tell: Tell) -> None:
        self._jobs = jobs
        self._address = address
        self._place = place
        self._tell = tell
        self._looked_at: set[tuple[str, str]] = set()

    def make(self, table: Table) -> None:
        """Make the views over `table` that are missing or out of date; a failure is told and changes nothing else."""
        for view in views_over(table):
            if (view.name, table.name) in self._looked_at:
                continue
            self._looked_at.add((view.name, table.name))
            try:
                with translated_errors(self._address):
                    self._make(view, other=view.zones if table == view.trips else view.trips)
            except TaxiError as error:
                self._tell(not_made(self._place, view, error))

    def _make(self, view: ZoneView, other: Table) -> None:
        """Make the view if need be and if `other` is there, as the table that was loaded is."""
        found = tables.get(self._jobs, self._address, view.name)
        wanted = self._wanted(view)
        if found is None:
            if self._has(other):
                with contextlib.suppress(answers.Conflict):  # another machine was first
                    self._jobs.client.create_table(wanted, **call_options())
        elif found.table_type != "VIEW" or not tables.is_labelled(found):
            self._tell(foreign(self._place, view))
        elif found.labels.get(_DIGEST) != digest(found.view_query):
            self._tell(edited(self._place, view))
        elif found.labels.get(_DIGEST) != wanted.labels[_DIGEST] and self._has(other):
            found.view_query, found.description = wanted.view_query, wanted.description
            found.labels = {**found.labels, **wanted.labels}
            self._jobs.client.update_table(found, ["view", "description", "labels"], **call_options())

    def _has(self, table: Table) -> bool:
        """Whether there is a table with all columns of ours."""
        there = tables.get(self._jobs, self._address, table.name)
        return there is not None and tables.types(tables.schema(table)).items() <= tables.types(there.schema).items()

    def _wanted(self, view: ZoneView) -> bigquery.Table:
        select = view.select(self._address.quoted, lambda name: f"`{name}`")
        new = bigquery.Table(self._address.table(view.name))
        new.view_query = select
        new.view_use_legacy_sql = False
        new.description = view.title
        new.labels = {**self._jobs.labels, _DIGEST: digest(select)}
        return new
