"""An answer that keeps coming is bounded in time and in size."""

from __future__ import annotations

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA, Answer, Command, Publisher, serve

from taxi_ingest.catalog import Part
from taxi_ingest.errors import SourceError, SpaceError, TransientError
from taxi_ingest.layout import Layout
from taxi_ingest.steps.download import Origin, download

CSV = (DATA / "yellow_tripdata_2020-01.csv").read_bytes()
STATUS = b"HTTP/1.1 200 OK\r\n"
HEADERS = STATUS + b'ETag: "v1"\r\n'


def fetch(publisher: Publisher, folder: Path, dataset: str = "yellow", **more: Any) -> None:
    part = Part(dataset, "2020-01" if dataset == "yellow" else "2024-01")
    given = {"timeout_seconds": 0.4, "slowest_bytes_per_second": 1000, **more}
    download(part, Origin("somewhere", publisher.url + "/a.csv"), Layout(folder), **given)


def kept(folder: Path) -> list[int]:
    """The sizes of what is kept of a file that is not whole."""
    return [path.stat().st_size for path in (folder / "raw" / "yellow").glob("*.part")]


def forever(start: bytes, again: bytes, seconds: float) -> Answer:
    """Send `start`, and then `again` at intervals until the client is gone."""

    def handle(to: BaseHTTPRequestHandler) -> None:
        to.close_connection = True
        with contextlib.suppress(OSError):
            to.wfile.write(start)
            while True:
                to.wfile.write(again)
                to.wfile.flush()
                time.sleep(seconds)

    return handle


def numbered_headers(to: BaseHTTPRequestHandler) -> None:
    to.close_connection = True
    with contextlib.suppress(OSError):
        to.wfile.write(STATUS)
        for number in range(90):  # more than 100 are refused by http.client itself
            to.wfile.write(f"X-{number}: 1\r\n".encode())
            time.sleep(0.1)


SLOW: dict[str, Answer] = {
    "body": forever(HEADERS + b"Content-Length: 99999\r\n\r\n" + CSV[:5000], b"x", 0.05),
    "body without a size": forever(HEADERS + b"\r\n" + CSV, b"x\n", 0.05),
    "chunks": forever(HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.05),
    "size of a chunk": forever(HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"0", 0.05),
    "headers": numbered_headers,
    "one header": forever(STATUS + b"X: ", b"x", 0.05),
    "status": forever(b"HTTP/1.1 200 ", b"x", 0.05),
    "100 Continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "page of a 403": forever(b"HTTP/1.1 403 Forbidden\r\n\r\n", b"x", 0.05),
}


@pytest.mark.parametrize("what", SLOW)
def test_a_drip_is_given_up(publisher: Publisher, tmp_path: Path, what: str) -> None:
    publisher.files["/a.csv"] = SLOW[what]
    begun = time.monotonic()
    with pytest.raises(TransientError):
        fetch(publisher, tmp_path)
    assert time.monotonic() - begun < 5
    assert not [thread for thread in threading.enumerate() if thread.name == "deadline"]


def test_the_reason_is_told(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = SLOW["body"]
    with pytest.raises(TransientError, match=r"for 0\.4 seconds it sent less than 1,000 bytes a second"):
        fetch(publisher, tmp_path)
    publisher.files["/a.csv"] = SLOW["headers"]
    with pytest.raises(TransientError, match=r"headers were not complete after 1\.2 seconds"):
        fetch(publisher, tmp_path)


def test_what_came_of_a_slow_file_is_used_by_the_next_try(publisher: Publisher, tmp_path: Path) -> None:
    head = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n' % len(CSV)
    publisher.files["/a.csv"] = forever(head + CSV[:5000], CSV[5000:5001], 9)
    with pytest.raises(TransientError):
        fetch(publisher, tmp_path)
    (size,) = kept(tmp_path)
    assert 4000 < size <= 5001
    publisher.files["/a.csv"] = CSV
    fetch(publisher, tmp_path)
    assert publisher.headers[1]["Range"] == f"bytes={size}-"
    assert (tmp_path / "raw" / "yellow" / "yellow_tripdata_2020-01.csv").read_bytes() == CSV


def test_a_line_that_is_slow_but_not_too_slow_is_waited_for(publisher: Publisher, tmp_path: Path) -> None:
    body = CSV[:9000].rpartition(b"\n")[0] + b"\n"

    def slowly(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(STATUS + b"Content-Length: %d\r\n\r\n" % len(body))
        for at in range(0, len(body), 300):
            to.wfile.write(body[at : at + 300])
            to.wfile.flush()
            time.sleep(0.05)  # some 6,000 bytes a second, for longer than three time-outs

    publisher.files["/a.csv"] = slowly
    fetch(publisher, tmp_path)
    assert (tmp_path / "raw" / "yellow" / "yellow_tripdata_2020-01.csv").read_bytes() == body


# ---- size


@pytest.mark.parametrize("chunked", [True, False], ids=["chunks", "no size"])
def test_an_endless_body_ends_at_what_no_month_has(publisher: Publisher, tmp_path: Path, *, chunked: bool) -> None:
    block = b"1,2,3,4,5,6,7,8,9\n" * 60_000
    piece = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
    start = HEADERS + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n")
    publisher.files["/a.csv"] = forever(start, piece, 0)
    with pytest.raises(SourceError, match="announces no size and goes on after 256,000,000 bytes"):
        fetch(publisher, tmp_path, "green", timeout_seconds=20)
    assert list((tmp_path / "raw" / "green").iterdir()) == []


def test_what_no_disk_can_hold_is_not_begun(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = forever(HEADERS + b"Content-Length: %d\r\n\r\n" % 10**16, CSV, 0)
    with pytest.raises(SpaceError, match=r"10,000,000,000,000,000 bytes.* bytes free"):
        fetch(publisher, tmp_path)
    assert kept(tmp_path) == []


def test_a_file_of_ones_own_that_no_disk_can_hold_is_not_begun(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("wb") as sparse:
        sparse.truncate(10**13)
    with pytest.raises(SpaceError, match="10,000,000,000,000 bytes"):
        download(Part("yellow", "2020-01"), Origin("somewhere", (tmp_path / "a.csv").as_uri()), Layout(tmp_path / "d"))


# ---- settings


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
@pytest.mark.parametrize("name", ["TIMEOUT_SECONDS", "SLOWEST_BYTES_PER_SECOND"])
def test_bounds_that_are_none_are_refused(taxi: Command, name: str, value: str) -> None:
    ran = taxi("plan", "--month", "2020-01", **{f"TAXI_INGEST_DOWNLOAD__{name}": value})
    assert (ran.code, f"download.{name.lower()} must be a number from" in ran.err) == (2, True), ran.err


def test_the_slowest_rate_is_a_setting(taxi: Command, publisher: Publisher) -> None:
    asked: list[int] = []

    def first_slow(to: BaseHTTPRequestHandler) -> None:
        asked.append(1)
        slow = forever(HEADERS + b"Content-Length: 999999\r\n\r\n", b"x" * 1000, 0.1)
        slow(to) if len(asked) == 1 else serve(to, CSV)

    publisher.files["/yellow_tripdata_2020-01.csv"] = first_slow
    ran = taxi(
        "download", "--month", "2020-01", "--source", publisher.template,
        TAXI_INGEST_DOWNLOAD__TIMEOUT_SECONDS="0.5", TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS="0",
        TAXI_INGEST_DOWNLOAD__SLOWEST_BYTES_PER_SECOND="100000",
    )  # fmt: skip
    assert (ran.code, len(asked)) == (0, 2), ran.err
