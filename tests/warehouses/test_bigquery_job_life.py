"""BigQuery on the wire: jobs that are sent again, waited for, cancelled, and settled by a later run."""

from __future__ import annotations

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import DATASET, JOBS, PROJECT, body_of_load, load
from recording_server import Answer, Play, Recording, Request, refuse

from taxi_ingest.errors import TransientError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Warehouse, open_warehouse, settle


@pytest.mark.parametrize(
    "play",
    [
        refuse(503, "backendError", "Error encountered"),
        refuse(403, "rateLimitExceeded", "Exceeded rate limits: too many concurrent jobs"),
        lambda _: None,
    ],
    ids=["503", "rate limit", "connection cut"],
)
def test_a_transient_error_is_retried_under_the_same_id(google: Recording, warehouse: Warehouse, play: Play) -> None:
    google.play["jobs.insert"] = [play]
    assert load(warehouse) == 2
    assert len({request.body["jobReference"]["jobId"] for request in google.sent("jobs.insert")}) == 1


def lost(google: Recording) -> Play:
    """Play a reply that is lost after the job was accepted."""

    def play(request: Request) -> Answer:
        google.accept(request)
        return None

    return play


def test_a_job_whose_reply_was_lost_runs_once(google: Recording, warehouse: Warehouse) -> None:
    google.play["jobs.insert"] = [lost(google)]
    assert load(warehouse) == 2
    assert (len(google.sent("jobs.insert")), len(google.jobs), google.states()) == (2, 2, ["done"])


def test_a_mark_whose_reply_was_lost_is_set_once(google: Recording, warehouse: Warehouse) -> None:
    google.play["upload"] = [lost(google)]
    assert load(warehouse) == 2
    assert (len(google.sent("upload")), len(google.jobs)) == (2, 2)


def test_a_409_for_our_own_id_is_our_own_job(google: Recording, warehouse: Warehouse) -> None:
    def twice(request: Request) -> Answer:
        google.accept(request)
        return google.accept(request)

    google.play["jobs.insert"] = [twice]
    assert load(warehouse) == 2
    assert google.sent("jobs.get")[0].of == body_of_load(google)["jobReference"]["jobId"]


def test_a_409_for_a_job_that_is_not_found_may_be_tried_again(google: Recording, warehouse: Warehouse) -> None:
    google.always["jobs.insert"] = refuse(409, "duplicate", "Already Exists: Job")
    with pytest.raises(TransientError, match=r"accepted the job taxi_ingest_.* but cannot find it"):
        load(warehouse)


def running(google: Recording) -> Play:
    """Play a job that is accepted and still running when it is polled."""
    return lambda request: google.accept(request, state="RUNNING")


def test_a_job_that_runs_is_waited_for(
    google: Recording, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{JOBS}.JOB_SECONDS", 10.0)
    google.play["jobs.insert"] = [running(google)]

    def done(request: Request) -> Answer:
        google.jobs[request.of]["status"] = {"state": "DONE"}
        return 200, google.jobs[request.of]

    google.play["jobs.get"] = [lambda request: (200, google.jobs[request.of]), done]
    assert (load(warehouse), len(google.sent("jobs.get"))) == (2, 2)


def test_a_job_that_never_ends_is_cancelled(google: Recording, warehouse: Warehouse) -> None:
    google.play["jobs.insert"] = [running(google)]
    with pytest.raises(TransientError, match="did not end within 0 s and was cancelled"):
        load(warehouse)
    assert len(google.sent("jobs.cancel")) == 1


def test_a_job_that_was_done_when_it_was_to_be_cancelled_counts(google: Recording, warehouse: Warehouse) -> None:
    google.play["jobs.insert"] = [running(google)]

    def too_late(request: Request) -> Answer:
        google.jobs[request.of]["status"] = {"state": "DONE"}
        return 200, {"job": google.jobs[request.of]}

    google.always["jobs.cancel"] = too_late
    assert (load(warehouse), google.states()) == (2, ["done"])


def settle_old_job(google: Recording, state: str) -> None:
    google.add_job("old", state)
    warehouse = open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"))
    settle(warehouse, f"{PROJECT}:EU.old")


def test_a_job_of_an_earlier_run_that_still_runs_is_cancelled(google: Recording) -> None:
    settle_old_job(google, "RUNNING")
    assert google.jobs["old"]["status"]["state"] == "DONE"


def test_a_job_of_an_earlier_run_is_asked_for_where_it_ran(google: Recording) -> None:
    settle_old_job(google, "DONE")
    assert [(request.of, request.query["location"]) for request in google.sent("jobs.get")] == [("old", "EU")]


def test_a_job_of_an_earlier_run_that_ended_is_left_alone(google: Recording) -> None:
    settle_old_job(google, "DONE")
    assert google.sent("jobs.cancel") == []


def test_a_job_that_does_not_stop_when_cancelled_is_reported(google: Recording) -> None:
    google.always["jobs.cancel"] = lambda request: (200, {"job": google.jobs[request.of]})
    with pytest.raises(TransientError, match="of an earlier run is still running"):
        settle_old_job(google, "RUNNING")


@pytest.mark.parametrize("job", ["never-sent", f"{PROJECT}:EU.never-sent"])
def test_a_job_that_was_never_sent_needs_no_settling(google: Recording, job: str) -> None:
    warehouse = open_warehouse(Place.parse(f"bigquery://{PROJECT}/{DATASET}"))
    settle(warehouse, job)
    assert [request.of for request in google.sent("jobs.get")] == ["never-sent"]
