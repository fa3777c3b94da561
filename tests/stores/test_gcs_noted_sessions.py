"""The session of an upload that was cut: whose it may be, what Google may say of it, and that nobody else learns it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clouds import workload_credentials
from loopback import LoopbackHandler, serving
from resumable_gcs import Bucket, Handler, resumable_gcs

from taxi_ingest.errors import TransientError
from taxi_ingest.place import Place
from taxi_ingest.redaction import redacted
from taxi_ingest.stores import Store, open_store

NAME = "trips/trips_2021-01.parquet"
MIB = 1 << 20
SESSION = "taxi_ingest.stores.gcs_session"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with resumable_gcs() as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        monkeypatch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 0.5)
        yield bucket


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(Place.parse("gs://demo-bucket"), uploads=tmp_path / "uploads")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "large.parquet"
    path.write_bytes(os.urandom(20 * MIB))
    return path


def put(store: Store, path: Path) -> None:
    store.put(path, NAME, mark="m1", facts={})


@pytest.fixture
def note(google: Bucket, store: Store, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The note of an upload of which 8 MiB arrived."""
    with monkeypatch.context() as patch:
        patch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 0.1)
        patch.setattr(f"{SESSION}.TRIES", 1)
        google.cut_after, google.cuts = 1, 99
        google.before = lambda chunk: setattr(google, "cuts", 99 if chunk else 0)
        with pytest.raises(TransientError):
            put(store, path)
    google.before, google.cuts, google.received = lambda _: None, 0, 0
    (found,) = (tmp_path / "uploads").rglob("*.json")
    return found


def change(note: Path, **fields: str) -> None:
    note.write_text(json.dumps(json.loads(note.read_text()) | fields))


@pytest.mark.parametrize(
    "session",
    [
        "http://127.0.0.1:9/upload?upload_id=gone",
        "not an address",
        "file:///etc/hostname",
        "http://[bad/",
        "",
        "\x00\n",
    ],
)
def test_a_session_somewhere_else_is_begun_anew(
    google: Bucket, store: Store, path: Path, note: Path, session: str
) -> None:
    change(note, session=session)
    put(store, path)
    assert (google.begun, google.objects[NAME][1]) == (2, path.read_bytes())


def test_an_upload_that_an_emulator_has_does_not_go_on_at_another_server(
    google: Bucket, store: Store, path: Path, note: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with resumable_gcs() as other:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", other.url)
        again = open_store(Place.parse("gs://demo-bucket"), uploads=note.parents[1])
        put(again, path)
        assert (other.begun, other.objects[NAME][1], google.received) == (1, path.read_bytes(), 0)


def test_credentials_are_shown_to_no_other_server_than_googles(
    google: Bucket, store: Store, path: Path, note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    class Eager(LoopbackHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name http.server calls
            self.body()
            self.reply_json(200, {"access_token": "a-secret-token", "token_type": "Bearer", "expires_in": 3600})

        def do_PUT(self) -> None:  # noqa: N802 - the name http.server calls
            shown.append(self.headers.get("Authorization", ""))
            self.body()
            self.reply_json(410, {})

    with serving(Eager) as url:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(workload_credentials(tmp_path, url)))
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "wire-project")
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        for server in (google.url, "https://storage.googleapis.com"):
            change(note, session=f"{url}/upload?upload_id=theirs", server=server)
            with pytest.raises(TransientError):  # Google itself is not there
                put(open_store(Place.parse("gs://demo-bucket"), uploads=note.parents[1]), path)
    assert shown == []


Answer = Callable[[Handler, int], tuple[int, Any, dict[str, str]] | None]


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], None]:
    """Has the server answer a PUT otherwise; an answer is given the handler and the number of the PUT, from 0."""

    def begin(answer: Answer) -> None:
        count, usual = iter(range(1_000)), Handler.do_PUT

        def reply(handler: Handler) -> None:
            played = answer(handler, next(count))
            if played is None:
                usual(handler)
                return
            handler.body()
            handler.reply_json(*played)

        monkeypatch.setattr(Handler, "do_PUT", reply)

    return begin


def refused(status: int, message: str = "no") -> tuple[int, Any, dict[str, str]]:
    return status, {"error": {"code": status, "message": message, "errors": []}}, {}


@pytest.mark.parametrize("at_once", [True, False], ids=["asked", "at the end"])
@pytest.mark.parametrize("status", [400, 403, 404, 410, 412, 499])
def test_a_noted_session_that_is_refused_is_begun_anew(
    google: Bucket,
    store: Store,
    path: Path,
    note: Path,
    answering: Callable[[Answer], None],
    status: int,
    at_once: bool,
) -> None:
    def answer(handler: Handler, _: int) -> tuple[int, Any, dict[str, str]] | None:
        asks = handler.headers["Content-Range"].startswith("bytes */")
        return refused(status) if handler.path.endswith("=s1") and asks == at_once else None

    answering(answer)
    put(store, path)
    assert (google.begun, google.objects[NAME][1]) == (2, path.read_bytes())
    assert not note.exists()


@pytest.mark.parametrize("last", [20 * MIB - 1, 99 * MIB])
def test_a_server_that_has_all_bytes_and_does_not_say_so_is_asked(
    google: Bucket, store: Store, path: Path, answering: Callable[[Answer], None], last: int
) -> None:
    answering(lambda _, number: (308, {}, {"Range": f"bytes=0-{last}"}) if number == 0 else None)
    put(store, path)
    assert google.objects[NAME][1] == path.read_bytes()


def test_a_server_that_never_ends_an_upload_is_given_up(
    google: Bucket, store: Store, path: Path, answering: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SESSION}.TRIES", 2)
    answering(lambda *_: (308, {}, {"Range": f"bytes=0-{99 * MIB}"}))
    with pytest.raises(TransientError, match="does not arrive"):
        put(store, path)


def test_a_session_that_is_ended_in_the_middle_may_be_tried_again(
    google: Bucket, store: Store, path: Path, answering: Callable[[Answer], None]
) -> None:
    answering(lambda _, number: refused(499) if number == 1 else None)
    with pytest.raises(TransientError):
        put(store, path)


def test_a_log_in_page_in_googles_place_may_be_gone_at_the_next_try(
    google: Bucket, store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_in(handler: Handler) -> None:
        handler.body()
        handler.reply_json(200, {"please": "sign in"})

    monkeypatch.setattr(Handler, "do_POST", log_in)
    with pytest.raises(TransientError, match="Something in between"):
        put(store, path)


def test_what_is_left_of_a_sessions_address_shows_no_secret(
    google: Bucket, store: Store, path: Path, note: Path
) -> None:
    (begun,) = google.sessions.values()
    google.sessions["a-long-secret"] = begun
    change(note, session=f"{google.url}/upload/session?upload_id=a-long-secret")
    put(store, path)
    told = "Max retries exceeded with url: /upload/session?uploadType=resumable&upload_id=a-long-secret (Caused by …)"
    assert "a-long-secret" not in redacted(told)


def test_a_session_that_took_other_bytes_is_begun_anew(google: Bucket, store: Store, path: Path, note: Path) -> None:
    google.sessions["s1"].arrived[:MIB] = bytes(MIB)
    put(store, path)
    assert (google.begun, google.objects[NAME][1]) == (2, path.read_bytes())


def test_a_server_that_forgets_what_arrived_again_and_again_is_given_up(
    google: Bucket, store: Store, path: Path, answering: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SESSION}.TRIES", 2)

    def forget_every_other_chunk(_: Handler, number: int) -> tuple[int, Any, dict[str, str]]:
        return 308, {}, {"Range": f"bytes=0-{8 * MIB - 1}"} if number % 2 == 0 else {}

    answering(forget_every_other_chunk)
    with pytest.raises(TransientError, match="does not arrive"):
        put(store, path)
    assert google.objects == {}


def test_progress_of_an_upload_that_is_begun_anew_adds_up_to_the_size(
    google: Bucket, store: Store, path: Path, note: Path, answering: Callable[[Answer], None]
) -> None:
    seen: list[int] = []
    answering(lambda _, number: refused(410) if number == 1 else None)
    store.put(path, NAME, mark="m1", facts={}, progress=seen.append)
    assert (google.begun, sum(seen)) == (2, 20 * MIB)
