"""Large uploads to Cloud Storage: slow and cut lines, and an upload that goes on in a new process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from resumable_gcs import Bucket, resumable_gcs

from taxi_ingest.errors import StoreError, TransientError
from taxi_ingest.place import Place
from taxi_ingest.stores import Held, Store, open_store, unfinished

NAME = "trips/trips_2021-01.parquet"
MIB = 1 << 20
SESSION = "taxi_ingest.stores.gcs_session"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with resumable_gcs() as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        yield bucket


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def store(notes: Path) -> Store:
    return open_store(Place.parse("gs://demo-bucket"), uploads=notes)


def large(folder: Path, mebibytes: int) -> Path:
    path = folder / "large.parquet"
    path.write_bytes(os.urandom(mebibytes * MIB))
    return path


def put(store: Store, path: Path, mark: str = "m1") -> Held:
    return store.put(path, NAME, mark=mark, facts={"rows": "7"})


def test_a_line_so_slow_that_a_chunk_takes_longer_than_retries_last_is_cut_and_goes_on(
    google: Bucket, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 0.5)
    google.before = lambda _: time.sleep(0.7)
    google.cut_after, google.cuts = 3 * MIB, 2
    path = large(tmp_path, 17)
    put(store, path)
    assert google.objects[NAME][1] == path.read_bytes()
    assert (google.begun, google.received) == (1, 17 * MIB)


def test_chunks_grow_while_they_are_quick_and_are_small_again_after_a_cut(
    google: Bucket, store: Store, tmp_path: Path
) -> None:
    def cut_the_fifth(chunk: int) -> None:
        google.cut_after, google.cuts = (0, 0) if chunk != 4 else (MIB, 1)
        google.before = cut_the_fifth if chunk < 4 else lambda _: None

    google.before = cut_the_fifth
    put(store, large(tmp_path, 8 + 16 + 32 + 32 + 1 + 8 + 3))
    assert [length // MIB for length in google.chunks] == [8, 16, 32, 32, 8, 3]


def test_chunks_stay_small_on_a_slow_line(
    google: Bucket, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SESSION}.QUICK_SECONDS", 0.0)
    put(store, large(tmp_path, 17))
    assert [length // MIB for length in google.chunks] == [8, 8, 1]


UPLOAD = """
import sys
from pathlib import Path
from taxi_ingest.place import Place
from taxi_ingest.stores import open_store
store = open_store(Place.parse("gs://demo-bucket"), uploads=Path(sys.argv[2]))
store.put(Path(sys.argv[1]), sys.argv[3], mark="m1", facts={"rows": "7"})
"""


def killed_at(google: Bucket, mebibytes: int, path: Path, notes: Path) -> None:
    """Upload in another process, and kill it when so much has arrived."""
    command = [sys.executable, "-c", UPLOAD, str(path), str(notes), NAME]
    with subprocess.Popen(command, env=dict(os.environ)) as child:

        def kill(_: int) -> None:
            if google.received >= mebibytes * MIB:
                child.send_signal(signal.SIGKILL)

        google.before = kill
        child.wait(120)
    google.before = lambda _: None
    assert child.returncode == -signal.SIGKILL


def test_an_upload_of_100_mib_that_was_killed_at_its_end_goes_on_in_a_new_process(
    google: Bucket, store: Store, tmp_path: Path, notes: Path
) -> None:
    path = large(tmp_path, 100)
    killed_at(google, 88, path, notes)
    assert NAME not in google.objects
    there = sum(len(begun.arrived) for begun in google.sessions.values())
    google.received = 0
    put(store, path)
    assert google.objects[NAME][1] == path.read_bytes()
    assert (google.begun, google.received) == (1, 100 * MIB - there)
    assert google.received <= 20 * MIB
    assert list(notes.rglob("*.json")) == []


def test_progress_of_an_upload_that_goes_on_adds_up_to_the_size(
    google: Bucket, store: Store, tmp_path: Path, notes: Path
) -> None:
    path = large(tmp_path, 30)
    killed_at(google, 8, path, notes)
    seen: list[int] = []
    store.put(path, NAME, mark="m1", facts={"rows": "7"}, progress=seen.append)
    assert sum(seen) == 30 * MIB


def cut_short(google: Bucket, store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin an upload of which 9 MiB arrive."""
    with monkeypatch.context() as patch:
        patch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 0.1)
        patch.setattr(f"{SESSION}.TRIES", 1)
        google.cut_after, google.cuts = 1, 99
        google.before = lambda chunk: setattr(google, "cuts", 99 if chunk else 0)
        with pytest.raises(TransientError):
            put(store, path)
    google.before, google.cuts, google.received = lambda _: None, 0, 0


def test_a_note_can_be_read_by_its_owner_only(
    google: Bucket, store: Store, tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short(google, store, large(tmp_path, 30), monkeypatch)
    (note,) = notes.rglob("*.json")
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert "upload_id" in note.read_text()


def test_a_session_that_google_lost_is_begun_anew(
    google: Bucket, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = large(tmp_path, 20)
    cut_short(google, store, path, monkeypatch)
    google.sessions.clear()
    put(store, path)
    assert (google.begun, google.received, google.objects[NAME][1]) == (2, 20 * MIB, path.read_bytes())


def test_a_session_that_ends_when_it_is_asked_is_begun_anew(
    google: Bucket, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = large(tmp_path, 20)
    cut_short(google, store, path, monkeypatch)
    google.ends_when_asked = True
    put(store, path)
    assert (google.begun, google.objects[NAME][1]) == (2, path.read_bytes())


@pytest.mark.parametrize("other", ["bytes", "mark"])
def test_an_upload_of_another_file_does_not_go_on_where_the_first_was_cut(
    google: Bucket, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    path = large(tmp_path, 20)
    cut_short(google, store, path, monkeypatch)
    path = large(tmp_path, 20) if other == "bytes" else path
    put(store, path, mark="m2" if other == "mark" else "m1")
    assert (google.begun, google.received, google.objects[NAME][1]) == (2, 20 * MIB, path.read_bytes())


@pytest.mark.parametrize("text", ["{", '{"x":' * 10_000], ids=["cut", "nested"])
def test_a_note_that_cannot_be_read_is_passed_over(
    google: Bucket, store: Store, tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = large(tmp_path, 20)
    cut_short(google, store, path, monkeypatch)
    (note,) = notes.rglob("*.json")
    note.write_text(text)
    put(store, path)
    assert google.objects[NAME][1] == path.read_bytes()


def test_notes_whose_session_expired_are_swept_and_others_stay(
    google: Bucket, store: Store, tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short(google, store, large(tmp_path, 20), monkeypatch)
    (note,) = notes.rglob("*.json")
    unfinished.forget_old(notes, note.stat().st_mtime + 6.9 * 86_400)
    assert note.exists()
    unfinished.forget_old(notes, note.stat().st_mtime + 7.1 * 86_400)
    assert not note.exists()


def test_a_chunk_that_never_arrives_is_given_up(
    google: Bucket, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{SESSION}.TRIES", 2)
    google.cut_after, google.cuts = 1, 99
    with pytest.raises(TransientError, match=r"large\.parquet does not arrive: Google takes no more of it"):
        put(store, large(tmp_path, 9))


def test_bytes_that_changed_on_the_way_are_refused_by_google_and_nothing_is_held(
    google: Bucket, store: Store, tmp_path: Path, notes: Path
) -> None:
    path = large(tmp_path, 17)

    def spoil(chunk: int) -> None:
        with path.open("r+b") as file:
            file.seek(16 * MIB)
            file.write(bytes(MIB))

    google.before = spoil
    with pytest.raises(StoreError, match="does not have the checksum of the file"):
        put(store, path)
    assert (google.objects, list(notes.rglob("*.json"))) == ({}, [])
