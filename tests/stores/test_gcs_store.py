"""Google Cloud Storage as store, on a real server: conformance, and faults on the wire."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance_of_stores import *  # noqa: F403
from conformance_of_stores import NAME, Bench, checksum
from emulators.forwarding import Forwarding, forwarding

from taxi_ingest.errors import StoreError, TransientError
from taxi_ingest.place import Place
from taxi_ingest.stores import open_store

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

    def read_url(url: str) -> bytes:
        bucket, _, name = url.removeprefix("gs://").partition("/")
        quoted = urllib.parse.quote(name, safe="")
        with urllib.request.urlopen(f"{gcs_server}/storage/v1/b/{bucket}/o/{quoted}?alt=media") as reply:
            return bytes(reply.read())

    def read(name: str) -> bytes:
        return read_url(f"gs://{BUCKET}/{prefix}/{name}")

    def metadata(name: str) -> dict[str, str]:
        quoted = urllib.parse.quote(f"{prefix}/{name}", safe="")
        with urllib.request.urlopen(f"{gcs_server}/storage/v1/b/{BUCKET}/o/{quoted}") as reply:
            return dict(json.load(reply)["metadata"])

    store = open_store(Place.parse(f"gs://{BUCKET}/{prefix}"))
    store.held("")  # creates its client now, without a proxy: a test may put one in front of later clients
    return Bench(
        store,
        tmp_path,
        overwrite,
        forget=lambda name: overwrite(name, read(name)),
        read=read,
        facts=metadata,
        read_url=read_url,
        unusable=Place.parse("gs://missing-bucket/trips"),
    )


def test_mark_and_facts_are_metadata_that_anyone_can_read(bench: Bench) -> None:
    bench.put(b"content")
    kept = {"taxi-ingest-mark": "m1", "taxi-ingest-crc32c": checksum(b"content"), "rows": "7"}
    assert bench.facts(NAME) == kept


def test_a_file_that_changes_while_it_goes_up_is_refused(bench: Bench) -> None:
    path = bench.file(b"x" * 20_000_000)

    def spoil(_: int) -> None:
        path.write_bytes(b"y" * 20_000_000)

    with pytest.raises(StoreError, match="does not have the checksum of the file"):
        bench.store.put(path, NAME, mark="m1", facts={}, progress=spoil)


def test_progress_adds_up_to_the_size(bench: Bench) -> None:
    seen: list[int] = []
    path = bench.file(b"x" * 20_000_000)
    bench.store.put(path, NAME, mark="m1", facts={}, progress=seen.append)
    assert (sum(seen), len(seen) > 1) == (20_000_000, True)


@pytest.mark.parametrize("left", [0, 8 << 20, 10_000_000])
def test_a_file_that_becomes_shorter_while_it_is_put_is_refused_and_nothing_is_held(bench: Bench, left: int) -> None:
    path, pending = bench.file(b"x" * 20_000_000), [left]

    def shorten(_: int) -> None:
        if pending:
            os.truncate(path, pending.pop())

    with pytest.raises(StoreError, match="Run again"):
        bench.store.put(path, NAME, mark="m1", facts={}, progress=shorten)
    assert bench.store.held("trips/") == {}


class CutWire:
    """A TCP proxy to the server that cuts every connection once `limit` bytes went up in all, until it is repaired."""

    def __init__(self, server: str, limit: int) -> None:
        self._to = server.removeprefix("http://").split(":")
        self._limit: int | None = limit
        self._sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def repair(self) -> None:
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
            back = threading.Thread(target=self._pass, args=(server, client, False), daemon=True)
            back.start()
            self._pass(client, server, True)
            back.join()

    def _pass(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._sent += len(data) if up else 0
                if self._limit is not None and self._sent > self._limit:
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cut_wire(gcs_server: str) -> Iterator[CutWire]:
    wire = CutWire(gcs_server, 60_000_000)
    yield wire
    wire.close()


def test_an_upload_cut_in_the_middle_leaves_nothing_held(
    bench: Bench, hundred_megabytes: Path, cut_wire: CutWire, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cut_wire.url)
    monkeypatch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 1)
    with pytest.raises(TransientError, match="cannot be reached"):
        open_store(Place.parse(f"gs://{BUCKET}/{prefix}")).put(hundred_megabytes, NAME, mark="m1", facts={})
    assert bench.store.held("trips/") == {}


def test_an_upload_that_was_cut_succeeds_when_it_is_tried_again(
    bench: Bench, hundred_megabytes: Path, cut_wire: CutWire, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", cut_wire.url)
    monkeypatch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 1)
    store = open_store(Place.parse(f"gs://{BUCKET}/{prefix}"))
    with pytest.raises(TransientError):
        store.put(hundred_megabytes, NAME, mark="m1", facts={})
    cut_wire.repair()
    monkeypatch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 60)
    whole = store.put(hundred_megabytes, NAME, mark="m1", facts={})
    assert bench.store.held("trips/") == {NAME: whole}


UPLOAD = """
import re, sys
from pathlib import Path
from taxi_ingest.place import Place
from taxi_ingest.stores import open_store
put = open_store(Place.parse(sys.argv[1])).put
put(Path(sys.argv[2]), sys.argv[3], mark="m1", facts={}, progress=lambda sent: print(sent, flush=True))
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
        sent = 0
        while sent < 40_000_000:
            sent += int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
    assert bench.store.held("trips/") == {}
    whole = bench.store.put(hundred_megabytes, NAME, mark="m1", facts={})
    assert bench.store.held("trips/") == {NAME: whole}


# ---- another writer comes between our listing and our upload


@pytest.fixture
def forward(gcs_server: str) -> Iterator[Forwarding]:
    with forwarding(gcs_server) as forward:
        yield forward


def just_before_the_upload(forward: Forwarding, act: Callable[[], object]) -> None:
    """Call `act` once, before the first upload request is forwarded."""
    pending = [act]

    def before(method: str, path: str) -> None:
        if method == "POST" and "/upload/" in path and pending:
            pending.pop()()

    forward.before = before


def test_an_upload_whose_reply_was_lost_counts_as_success(
    bench: Bench, forward: Forwarding, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def arrive_and_lose_the_reply() -> None:
        bench.put(b"content")
        raise ConnectionAbortedError  # what ends the connection without a word; the client asks again and gets 412

    just_before_the_upload(forward, arrive_and_lose_the_reply)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", forward.url)
    put = open_store(Place.parse(f"gs://{BUCKET}/{prefix}")).put(bench.file(b"content", "b"), NAME, mark="m1", facts={})
    assert (put, bench.read(NAME)) == (bench.store.held("trips/")[NAME], b"content")


def test_a_412_for_the_object_of_another_writer_is_an_error_and_theirs_stays(
    bench: Bench, forward: Forwarding, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    just_before_the_upload(forward, lambda: bench.put(b"theirs", mark="m2"))
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", forward.url)
    with pytest.raises(StoreError, match="Another writer replaced"):
        open_store(Place.parse(f"gs://{BUCKET}/{prefix}")).put(bench.file(b"ours", "b"), NAME, mark="m1", facts={})
    assert bench.read(NAME) == b"theirs"
