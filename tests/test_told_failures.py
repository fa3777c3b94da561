"""What failed without leaving a step undone is told all the same: by `status`, and by `logs`."""

from __future__ import annotations

from conftest import Loaded, answer
from republishing import PAGE

QUICK = {"TAXI_INGEST_DOWNLOAD__TRIES": "1", "TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0"}


def test_a_republished_file_that_is_damaged_shows_in_the_status_until_a_later_run_ends_well(loaded: Loaded) -> None:
    loaded.publisher.everything = lambda to: answer(to, 200, PAGE, ETag='"2"')
    assert loaded.run("--refresh", **QUICK).code == 1
    (part,) = loaded.look("status")["parts"]
    states = [part[step]["state"] for step in ("download", "parquetize", "upload", "load")]
    assert states == ["failed", "done", "done", "done"]
    assert part["download"]["why"].startswith("what is here stays: ")
    loaded.publisher.everything = None
    assert loaded.run().code == 0
    (part,) = loaded.look("status")["parts"]
    assert part["download"]["state"] == "done"


def test_logs_tell_the_reason_of_a_run_in_which_no_step_failed(loaded: Loaded) -> None:
    loaded.publisher.everything = lambda to: answer(to, 503, b"")
    assert loaded.run("--refresh", **QUICK).code == 1
    for words in (["--failed"], ["latest"]):
        ran = loaded.taxi("logs", *words)
        assert (ran.code, "could not be asked whether it changed" in ran.out) == (0, True), ran.out + ran.err
        assert ran.out.startswith("==> ")
