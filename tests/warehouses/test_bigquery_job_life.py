"""BigQuery on the wire: jobs that are sent again, waited for, cancelled, and settled by a later run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bigquery_wire import *  # noqa: F403 - its fixtures
from bigquery_wire import DATASET, JOBS, PROJECT, body_of_load, load
from recording_server import Answer, Play, Recording, Request, refuse

from taxi_ingest.errors import TransientError, WarehouseError
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


def ends(google: Recording) -> Play:
    """Play the answer that a job is done."""

    def done(request: Request) -> Answer:
        google.jobs[request.of]["status"] = {"state": "DONE"}
        return 200, google.jobs[request.of]

    return done


def test_a_job_that_runs_is_waited_for(
    google: Recording, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{JOBS}.JOB_SECONDS", 10.0)
    google.play["jobs.insert"] = [running(google)]
    google.play["jobs.get"] = [lambda request: (200, google.jobs[request.of]), ends(google)]
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


def hours_old(hours: float) -> str:
    return f"{PROJECT}:EU.taxi_ingest_{datetime.now(UTC) - timedelta(hours=hours):%Y%m%dT%H%M%S}_0f"


UNSEEN = [
    (403, "accessDenied", "Access Denied: Job p:EU.x: Permission bigquery.jobs.get denied on job p:EU.x."),
    (403, "accessDenied", "Access Denied: Project p: User does not have bigquery.jobs.get permission in project p."),
]


@pytest.mark.parametrize("refusal", UNSEEN)
@pytest.mark.parametrize(
    "job",
    [hours_old(6.1), f"{PROJECT}:EU.taxi_ingest_0123456789abcdef", "old"],
    ids=["of six hours ago", "of a build that gave it no time", "of the first build"],
)
def test_a_job_that_may_not_be_seen_is_settled_once_no_job_runs_as_long(
    google: Recording, warehouse: Warehouse, job: str, refusal: tuple[int, str, str]
) -> None:
    google.always["jobs.get"] = refuse(*refusal)
    settle(warehouse, job)
    assert len(google.sent("jobs.get")) == 1


@pytest.mark.parametrize("refusal", UNSEEN)
def test_a_job_that_may_not_be_seen_and_may_still_run_is_told_with_a_way_out(
    google: Recording, warehouse: Warehouse, refusal: tuple[int, str, str]
) -> None:
    google.always["jobs.get"] = refuse(*refusal)
    with pytest.raises(WarehouseError, match=r"may still write.*resourceViewer on its project, or wait until \d{4}-"):
        settle(warehouse, hours_old(5.9))


def test_a_job_that_bigquery_can_not_have_is_settled(google: Recording, warehouse: Warehouse) -> None:
    google.always["jobs.get"] = refuse(400, "invalid", "Invalid project ID 'demo'")
    settle(warehouse, hours_old(0))
    assert len(google.sent("jobs.get")) == 1


def test_a_job_is_recorded_with_the_time_it_was_sent(google: Recording, warehouse: Warehouse) -> None:
    recorded: list[str] = []
    load(warehouse, recorded.append)
    google.always["jobs.get"] = refuse(*UNSEEN[0])
    for job in recorded:
        with pytest.raises(WarehouseError, match="may still write"):
            settle(warehouse, job)


def test_a_job_that_bigquery_finds_only_after_a_while_is_waited_for(google: Recording, warehouse: Warehouse) -> None:
    google.play["jobs.insert"] = [running(google)]
    google.play["jobs.get"] = [refuse(404, "notFound", "Not found: Job p:EU.x"), ends(google)]
    assert (load(warehouse), google.states()) == (2, ["done"])


def test_a_job_that_bigquery_never_finds_again_may_be_tried_again(
    google: Recording, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{JOBS}.APPEARING_SECONDS", 0.0)
    google.play["jobs.insert"] = [running(google)]
    google.always["jobs.get"] = refuse(404, "notFound", "Not found: Job p:EU.x")
    with pytest.raises(TransientError, match=r"accepted the job .* but cannot find it"):
        load(warehouse)
    assert google.states() == []
