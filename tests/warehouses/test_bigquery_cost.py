"""BigQuery on the wire: a comparison of values costs no more than was said."""

from __future__ import annotations

from typing import Any

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import OBJECT
from conformance_of_warehouses import TRIPS
from recording_server import Answer, Recording, Request, refuse

from taxi_ingest.errors import WarehouseError
from taxi_ingest.warehouses import Warehouse
from taxi_ingest.warehouses.capabilities import ComparesAtCost

MIB = 1 << 20


def reads(google: Recording, number: int) -> None:
    """Let the next dry run find so many bytes to read."""

    def answer(request: Request) -> Answer:
        assert request.body["configuration"]["dryRun"] is True
        read = {"totalBytesProcessed": str(number)}
        return 200, {**request.body, "status": {"state": "DONE"}, "statistics": read | {"query": read}}

    google.play["jobs.insert"] = [answer]


def most_bytes(warehouse: Warehouse) -> int:
    assert isinstance(warehouse, ComparesAtCost)
    return warehouse.comparison_bytes(TRIPS, "2021-01")


def query(google: Recording) -> dict[str, Any]:
    """The one query that was sent."""
    (request,) = google.sent("jobs.query")
    return dict(request.body)


@pytest.mark.parametrize(
    ("bytes_read", "billed"),
    [(0, 20 * MIB), (1, 20 * MIB), (100 * MIB, 220 * MIB), (100 * MIB + 1, 222 * MIB)],
)
def test_both_sides_are_billed_with_a_tenth_to_spare_and_as_bigquery_rounds(
    google: Recording, warehouse: Warehouse, bytes_read: int, billed: int
) -> None:
    reads(google, bytes_read)
    assert most_bytes(warehouse) == billed


def test_the_cost_is_found_without_what_bigquery_still_knows(google: Recording, warehouse: Warehouse) -> None:
    reads(google, 1)
    most_bytes(warehouse)
    (request,) = google.sent("jobs.insert")
    sent = request.body["configuration"]["query"]
    assert (sent["useQueryCache"], "FROM `wire-project.taxi.trips` WHERE file_month = @month" in sent["query"]) == (
        False, True
    )  # fmt: skip


def test_a_comparison_that_would_cost_more_is_refused_and_leaves_no_staging_table(
    google: Recording, warehouse: Warehouse
) -> None:
    said = "Query exceeded limit for bytes billed: 20971520. 31457280 or higher required."
    google.play["jobs.query"] = [refuse(400, "bytesBilledLimitExceeded", said)]
    assert isinstance(warehouse, ComparesAtCost)
    with pytest.raises(WarehouseError, match="31457280 or higher required"):
        warehouse.compare_billed(TRIPS, "2021-01", file=OBJECT, most_bytes=20 * MIB)
    assert query(google)["maximumBytesBilled"] == str(20 * MIB)
    created, dropped = google.sent("tables.insert"), google.sent("tables.delete")
    assert [request.body["tableReference"]["tableId"] for request in created] == [request.of for request in dropped]
