"""BigQuery on the wire: tables that take no more changes for the moment, and quotas that are used up."""

from __future__ import annotations

from typing import Any

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import load
from recording_server import Answer, Play, Recording, Request, refuse

from taxi_ingest.errors import TransientError
from taxi_ingest.retrying import Retries, wait_seconds
from taxi_ingest.warehouses import Warehouse

TOO_FAST = (
    "Exceeded rate limits: too many table update operations for this table. For more information, see "
    "https://cloud.google.com/bigquery/docs/troubleshoot-quotas"
)


def append_refused(reason: str = "rateLimitExceeded") -> Play:
    """Play a row of `_loads` whose job was accepted and failed."""

    def play(request: Request) -> Answer:
        error = {"reason": reason, "message": TOO_FAST}
        status = {"state": "DONE", "errorResult": error, "errors": [error]}
        job: dict[str, Any] = request.body["job"]
        return 200, {**job, "id": job["jobReference"]["jobId"], "status": status, "statistics": {}}

    return play


@pytest.mark.parametrize("refusal", [append_refused(), refuse(403, "rateLimitExceeded", TOO_FAST)], ids=["job", "403"])
def test_a_mark_that_is_refused_for_the_moment_is_written_again_without_loading_again(
    google: Recording, warehouse: Warehouse, refusal: Play
) -> None:
    google.play["upload"] = [refusal] * 3
    assert load(warehouse) == 2
    assert len(google.sent("jobs.insert")) == 1
    assert google.states() == ["done"] * 4


def test_a_load_that_is_refused_for_the_moment_is_sent_again(google: Recording, warehouse: Warehouse) -> None:
    google.play["jobs.insert"] = [refuse(403, "rateLimitExceeded", TOO_FAST)]
    assert load(warehouse) == 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("reason", ["rateLimitExceeded", "quotaExceeded"])
def test_a_limit_that_does_not_pass_ends_the_tries_of_the_step(
    google: Recording, warehouse: Warehouse, reason: str
) -> None:
    google.always["upload"] = append_refused(reason)
    with pytest.raises(TransientError) as refused:
        load(warehouse)
    assert wait_seconds(Retries(3, 1.0), 1, refused.value) is None
    assert len(google.sent("jobs.insert")) == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("reason", ["rateLimitExceeded", "quotaExceeded"])
def test_a_limit_is_told_without_an_address_and_without_advice_that_google_does_not_grant(
    google: Recording, warehouse: Warehouse, reason: str
) -> None:
    google.always["upload"] = append_refused(reason)
    with pytest.raises(TransientError) as refused:
        load(warehouse)
    assert str(refused.value).endswith("says: Exceeded rate limits: too many table update operations for this table")
    assert "request more" not in str(refused.value)


def test_the_table_of_loads_is_partitioned_so_that_it_takes_more_changes(
    google: Recording, warehouse: Warehouse
) -> None:
    missing = refuse(404, "notFound", "Not found: Table wire-project:taxi._loads")
    google.play["tables.get"] = [missing]
    load(warehouse)
    (created,) = google.sent("tables.insert")
    assert created.body["timePartitioning"] == {"type": "MONTH", "field": "at"}
