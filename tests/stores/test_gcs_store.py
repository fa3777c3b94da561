"""Google Cloud Storage as store, on a real server: conformance, faults on the wire, and every error sentence."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conformance_of_stores import *  # noqa: F403
from conformance_of_stores import NAME, Bench, checksum
from conftest import Publisher, answer
from emulators.forwarding import Forwarding, forwarding

from taxi_ingest import stores
from taxi_ingest.errors import StoreError, TransientError, UsageError

BUCKET = "demo-bucket"


@pytest.fixture
def prefix(gcs_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of its own in the server's bucket."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    return uuid.uuid4().hex


@pytest.fixture
def bench(gcs_server: str, prefix: str, tmp_path: Path) -> Bench:
    def overwrite(name: str, content: bytes) -> None:
        where = f"{gcs_server}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={prefix}/{name}"
        urllib.request.urlopen(urllib.request.Request(where, content)).close()

    def read(name: str) -> bytes:
        quoted = urllib.parse.quote(f"{prefix}/{name}", safe="")
        with urllib.request.urlopen(f"{gcs_server}/storage/v1/b/{BUCKET}/o/{quoted}?alt=media") as reply:
            return bytes(reply.read())

    return Bench(
        stores.connect(f"gs://{BUCKET}/{prefix}"), tmp_path, overwrite, lambda name: overwrite(name, read(name)), read
    )


def test_the_marks_are_metadata_that_anyone_can_read(bench: Bench, gcs_server: str, prefix: str) -> None:
    bench.put(b"content")
    quoted = urllib.parse.quote(f"{prefix}/{NAME}", safe="")
    with urllib.request.urlopen(f"{gcs_server}/storage/v1/b/{BUCKET}/o/{quoted}") as reply:
        told = json.load(reply)
    assert told["metadata"] == {"taxi-ingest-mark": "m1", "rows": "7"}


def test_progress_adds_up_to_the_size(bench: Bench) -> None:
    seen: list[int] = []
    path = bench.file(b"x" * 20_000_000)
    bench.store.put(path, NAME, mark="m1", facts={}, progress=seen.append)
    assert (sum(seen), len(seen) > 1) == (20_000_000, True)


class CutWire:
    """A TCP proxy to the server that cuts a connection once `limit` bytes of it went up; then lets all pass."""

    def __init__(self, server: str, limit: int) -> None:
        self._to = server.removeprefix("http://").split(":")
        self._limit: int | None = limit
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def mend(self) -> None:
        self._limit = None

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        with client, socket.create_connection((self._to[0], int(self._to[1]))) as server:
            back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
            back.start()
            self._pass(client, server, self._limit)
            back.join()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, limit: int | None = None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                passed += len(data)
                if limit is not None and passed > limit:
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cut_wire(gcs_server: str) -> Iterator[CutWire]:
    wire = CutWire(gcs_server, 3_000_000)
    yield wire
    wire.close()


def test_an_upload_cut_in_the_middle_leaves_nothing_held(
    bench: Bench, cut_wire: CutWire, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cut_wire.url)
    monkeypatch.setattr("taxi_ingest.stores.gcs.RETRY_SECONDS", 1)
    with pytest.raises(TransientError, match="cannot be reached"):
        stores.connect(f"gs://{BUCKET}/{prefix}").put(bench.file(b"x" * 20_000_000), NAME, mark="m1", facts={})
    assert bench.store.held("trips/") == {}


def test_an_upload_that_was_cut_succeeds_when_it_is_tried_again(
    bench: Bench, cut_wire: CutWire, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cut_wire.url)
    monkeypatch.setattr("taxi_ingest.stores.gcs.RETRY_SECONDS", 1)
    store, path = stores.connect(f"gs://{BUCKET}/{prefix}"), bench.file(b"x" * 20_000_000)
    with pytest.raises(TransientError):
        store.put(path, NAME, mark="m1", facts={})
    cut_wire.mend()
    store.put(path, NAME, mark="m1", facts={})
    assert bench.store.held("trips/")[NAME].crc32c == checksum(b"x" * 20_000_000)


UPLOAD = """
import re, sys
from pathlib import Path
from taxi_ingest import stores
print("begins", flush=True)
stores.connect(sys.argv[1]).put(Path(sys.argv[2]), sys.argv[3], mark="m1", facts={})
# not ru_maxrss, which a child inherits from a large parent
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def uploading(path: Path, prefix: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", UPLOAD, f"gs://{BUCKET}/{prefix}", str(path), NAME]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))


@pytest.fixture
def hundred_megabytes(tmp_path: Path) -> Path:
    path = tmp_path / "large.parquet"
    with path.open("wb") as file:
        for _ in range(110):
            file.write(os.urandom(1_000_000))
    return path


def test_an_upload_of_110_mb_needs_less_than_150_mb_of_memory(
    bench: Bench, hundred_megabytes: Path, prefix: str
) -> None:
    with uploading(hundred_megabytes, prefix) as child:
        out, _ = child.communicate(timeout=120)
    kilobytes = int(out.split()[-1])
    assert (NAME in bench.store.held("trips/"), kilobytes < 150_000) == (True, True), kilobytes


def test_after_kill_9_nothing_half_is_held_and_the_next_upload_succeeds(
    bench: Bench, hundred_megabytes: Path, prefix: str
) -> None:
    with uploading(hundred_megabytes, prefix) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(1.0)
        child.send_signal(signal.SIGKILL)
    after_kill = bench.store.held("trips/")
    whole = bench.store.put(hundred_megabytes, NAME, mark="m1", facts={})
    assert after_kill in ({}, {NAME: whole})
    assert bench.store.held("trips/") == {NAME: whole}


# ---- scripted answers: what Google says, word by word where its documentation gives the words


@pytest.fixture
def google(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """A stand-in that answers the first look at the object as told."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", publisher.url)
    monkeypatch.setattr("taxi_ingest.stores.gcs.RETRY_SECONDS", 1)
    return publisher


@pytest.mark.parametrize(
    ("status", "message", "kind", "sentence"),
    [
        (404, "The specified bucket does not exist.", StoreError, "There is no bucket gs://demo-bucket. Make it:"),
        (403, "a@b.c does not have storage.objects.list access", StoreError, "Grant them roles/storage.objectUser"),
        (401, "Anonymous caller does not have access", StoreError, "gcloud auth application-default login"),
        (403, "The project to be billed is associated with an absent billing account.", StoreError, "Billing is off"),
        (400, "Invalid argument", StoreError, "Google refused: .*Invalid argument"),
        (503, "Backend error", TransientError, "503|cannot be reached"),
        (429, "The rate limit was exceeded", TransientError, "429|cannot be reached"),
    ],
)
def test_a_refusal_is_told_in_a_sentence_with_the_remedy(
    google: Publisher, status: int, message: str, kind: type[Exception], sentence: str
) -> None:
    body = json.dumps({"error": {"code": status, "message": message, "errors": [{"message": message}]}}).encode()

    def refuse(to: BaseHTTPRequestHandler) -> None:
        answer(to, status, body, Content_Type="application/json")

    google.everything = refuse
    with pytest.raises(kind, match=sentence):
        stores.connect("gs://demo-bucket").held("trips/")


def test_missing_credentials_are_told_with_the_command_that_makes_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StoreError, match="gcloud auth application-default login"):
        stores.connect("gs://demo-bucket").held("trips/")


@pytest.mark.parametrize(
    "name",
    ["ab", "Capital", "a_b-", "-ab", "192.168.5.4", "goog-mine", "my-google", "a" * 64, "a..b", "under score", ""],
)
def test_names_that_no_bucket_can_have_are_refused_before_any_call(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a bucket"):
        stores.connect(f"gs://{name}/trips")


# ---- somebody writes between our look and our upload


@pytest.fixture
def forward(gcs_server: str) -> Iterator[Forwarding]:
    with forwarding(gcs_server) as forward:
        yield forward


def just_before_the_upload(forward: Forwarding, act: Callable[[], object]) -> None:
    """Have `act` done once, when the first upload request passes by."""
    pending = [act]

    def before(method: str, path: str) -> None:
        if method == "POST" and "/upload/" in path and pending:
            pending.pop()()

    forward.before = before


def test_a_412_for_our_own_object_counts_as_success(
    bench: Bench, forward: Forwarding, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    just_before_the_upload(forward, lambda: bench.put(b"content"))  # as if the reply to it had been lost
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", forward.url)
    put = stores.connect(f"gs://{BUCKET}/{prefix}").put(bench.file(b"content", "b"), NAME, mark="m1", facts={})
    assert (put, bench.read(NAME)) == (bench.store.held("trips/")[NAME], b"content")


def test_a_412_for_somebody_elses_object_is_told_and_theirs_stays(
    bench: Bench, forward: Forwarding, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    just_before_the_upload(forward, lambda: bench.put(b"theirs", mark="m2"))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", forward.url)
    with pytest.raises(StoreError, match="somebody else wrote"):
        stores.connect(f"gs://{BUCKET}/{prefix}").put(bench.file(b"ours", "b"), NAME, mark="m1", facts={})
    assert bench.read(NAME) == b"theirs"
