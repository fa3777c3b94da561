"""BigQuery on the wire: method=merge."""

from __future__ import annotations

import time

from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import DATASET, PROJECT, failed, load
from recording_server import Recording

from taxi_ingest.place import Place
from taxi_ingest.warehouses import open_warehouse


def merge(google: Recording) -> list[str]:
    """Replace January by method=merge; returns the statements sent."""
    load(open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}?method=merge")))
    sent = [request.body["configuration"].get("query", {}) for request in google.sent("jobs.insert")]
    return [" ".join(query["query"].split()) for query in sent if query]


def test_a_merge_is_limited_to_its_month(google: Recording) -> None:
    (statement,) = merge(google)
    staging = google.sent("tables.insert")[0].body["tableReference"]["tableId"]
    columns = "`VendorID`, `pickup_datetime`, `fare_amount`, `flag`, `file_month`"
    assert statement == (
        f"MERGE `wire-project.taxi.trips` AS t USING `wire-project.taxi.{staging}` AS s ON FALSE "
        "WHEN NOT MATCHED BY SOURCE AND t.file_month = @month THEN DELETE "
        f"WHEN NOT MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns})"
    )


def test_a_merge_that_conflicts_with_another_writer_is_sent_again(google: Recording) -> None:
    conflict = failed("invalidQuery", "Could not serialize access to table wire-project:taxi.trips due to concurrent")
    google.play["jobs.insert"] = [google.accept, conflict]
    assert len(merge(google)) == 2


def test_a_staging_table_left_behind_by_a_kill_expires(google: Recording) -> None:
    merge(google)
    hours = (int(google.sent("tables.insert")[0].body["expirationTime"]) / 1000 - time.time()) / 3600
    assert 23 < hours <= 24
