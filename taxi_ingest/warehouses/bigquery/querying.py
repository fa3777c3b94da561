"""A user's SQL: looked at by a dry run, which is free and tells what the query reads; then its rows, page by page."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator

import pyarrow as pa
from google.api_core import exceptions as answers

from taxi_ingest.errors import TransientError
from taxi_ingest.google_cloud import message_of
from taxi_ingest.place import Place
from taxi_ingest.warehouses.bigquery.address import Address
from taxi_ingest.warehouses.bigquery.errors import translated_errors
from taxi_ingest.warehouses.bigquery.jobs import Jobs
from taxi_ingest.warehouses.capabilities import Answer
from taxi_ingest.warehouses.refusals import may_only_read, refused


def answer(jobs: Jobs, place: Place, address: Address, sql: str) -> Answer:
    """The answer to `sql`; see the contract, `AnswersQueries.query`."""
    with _explained(place, address):
        kind, read = jobs.foresee(sql, address.dataset_id)
        if kind != "SELECT":
            raise may_only_read(place, f"this is a statement of the kind {kind}")
        rows = jobs.rows(sql, address.dataset_id)
        batches = rows.to_arrow_iterable(bqstorage_client=None)
        first = next(batches, None)
        schema = first.schema if first is not None else rows.to_arrow(create_bqstorage_client=False).schema
    note = f"BigQuery reads {read / 1e6:,.1f} MB for this query, and bills 10 MB a table at least." if read else ""
    everything = itertools.chain([] if first is None else [first], batches)
    return Answer(_plain(schema), _batches(place, address, everything, rows.total_rows or 0), note)


def _batches(
    place: Place, address: Address, batches: Iterable[pa.RecordBatch], expected: int
) -> Iterator[pa.RecordBatch]:
    """The batches. Raises TransientError unless they have as many rows as BigQuery says the answer has."""
    rows = 0
    with _explained(place, address):
        for batch in batches:
            rows += batch.num_rows
            if rows > expected:
                break
            yield batch.cast(_plain(batch.schema))
    if rows != expected:
        raise TransientError(f"BigQuery says that the answer has {expected:,} rows, and sent {rows:,}. Run again.")


def _plain(schema: pa.Schema) -> pa.Schema:
    """A schema without what Google's client notes in it."""
    return pa.schema([pa.field(field.name, field.type) for field in schema])


@contextlib.contextmanager
def _explained(place: Place, address: Address) -> Iterator[None]:
    """Turn what Google's client raises into an error of the query, or of the way to BigQuery."""
    with translated_errors(address):
        try:
            yield
        except (answers.BadRequest, answers.NotFound) as error:
            raise refused(place, message_of(error)) from error
