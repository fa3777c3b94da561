"""The download step against a real HTTP server that misbehaves on the wire."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA, Publisher, answer, serve

from taxi_ingest.catalog import Part
from taxi_ingest.errors import ContentError, NotPublishedError, SourceError, TaxiError, TransientError
from taxi_ingest.files import sha256
from taxi_ingest.layout import Layout
from taxi_ingest.redaction import public_url
from taxi_ingest.state.receipts import Downloaded
from taxi_ingest.steps.download import Origin, download

CSV = (DATA / "yellow_tripdata_2020-01.csv").read_bytes()
GZ = gzip.compress(CSV * 40, mtime=0)


PART = Part("yellow", "2020-01")


def fetch(url: str, folder: Path, month: str = "2020-01", *, known_to_exist: bool = False, **more: Any) -> Downloaded:
    """Fetch `url` as the file of a month into the data directory `folder`."""
    origin = Origin("somewhere", url, known_to_exist=known_to_exist)
    given = {"timeout_seconds": 5, **more}
    return download(Part("yellow", month), origin, Layout(folder), **given)


def raw(folder: Path, suffix: str) -> Path:
    return Layout(folder).raw(PART, suffix)


def test_a_file_arrives_byte_for_byte(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = CSV
    receipt = fetch(publisher.url + "/a.csv", tmp_path)
    assert raw(tmp_path, ".csv").read_bytes() == CSV
    assert (receipt.bytes, receipt.sha256) == (len(CSV), sha256(raw(tmp_path, ".csv")))


def test_a_gzip_file_is_kept_as_it_was_published(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv.gz"] = GZ
    fetch(publisher.url + "/a.csv.gz", tmp_path)
    assert raw(tmp_path, ".csv.gz").read_bytes() == GZ


@pytest.mark.parametrize("spoilt", [GZ[:-100], GZ[:-8] + b"\0" * 8], ids=["cut", "of another checksum"])
def test_a_damaged_gzip_file_never_replaces_a_good_one(publisher: Publisher, tmp_path: Path, spoilt: bytes) -> None:
    url = publisher.url + "/a.csv.gz"
    for content, error in ((GZ, contextlib.nullcontext()), (spoilt, pytest.raises(ContentError))):
        publisher.files["/a.csv.gz"] = content
        with error:
            download(PART, Origin("somewhere", url, is_converted_next=True), Layout(tmp_path))
    assert raw(tmp_path, ".csv.gz").read_bytes() == GZ


def test_a_file_url_is_copied_without_a_network(tmp_path: Path) -> None:
    source = DATA / "yellow_tripdata_2020-01.csv"
    fetch(source.as_uri(), tmp_path)
    assert raw(tmp_path, ".csv").read_bytes() == CSV


def cut_after(size: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Announce the whole body, send a piece, hang up; later requests get it as an object store serves it."""
    asked: list[int] = []

    def handle(to: BaseHTTPRequestHandler) -> None:
        if asked:
            serve(to, body)
            return
        asked.append(1)
        to.send_response(200)
        to.send_header("Content-Length", str(len(body)))
        to.send_header("ETag", '"1"')
        to.end_headers()
        to.wfile.write(body[:size])
        to.wfile.flush()
        to.close_connection = True
        to.connection.shutdown(2)

    return handle


def test_a_cut_download_goes_on_where_it_stopped(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv.gz"] = cut_after(300_000, GZ)
    with pytest.raises(TransientError, match=r"bytes came|connection failed"):
        fetch(publisher.url + "/a.csv.gz", tmp_path)
    fetch(publisher.url + "/a.csv.gz", tmp_path)
    assert raw(tmp_path, ".csv.gz").read_bytes() == GZ
    assert publisher.headers[1].get("Range", "").startswith("bytes=")


def test_a_cut_download_starts_again_when_the_file_changed(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv.gz"] = cut_after(300_000, GZ)
    with pytest.raises(TransientError):
        fetch(publisher.url + "/a.csv.gz", tmp_path)
    other = gzip.compress(CSV * 39, mtime=0)
    publisher.files["/a.csv.gz"] = lambda to: serve(to, other, etag='"2"')
    fetch(publisher.url + "/a.csv.gz", tmp_path)
    assert raw(tmp_path, ".csv.gz").read_bytes() == other


def test_a_cut_download_leaves_no_file_under_the_final_name(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv.gz"] = cut_after(300_000, GZ)
    with pytest.raises(TransientError):
        fetch(publisher.url + "/a.csv.gz", tmp_path)
    assert not raw(tmp_path, ".csv.gz").exists()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"<!DOCTYPE html><html><body>Too many requests</body></html>", "HTML"),
        (b'{\n  "code" : "not_found",\n  "error" : true\n}\n', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:f4\nsize 11\n", "LFS"),
        (GZ[:-200], "gzip"),
        (b"PAR1" + bytes(5000), "Parquet"),
        (b"", "empty"),
    ],
    ids=["html", "json", "lfs pointer", "cut gzip", "cut parquet", "empty"],
)
def test_what_is_no_data_is_refused_and_the_good_file_stays(
    publisher: Publisher, tmp_path: Path, body: bytes, sentence: str
) -> None:
    target = raw(tmp_path, ".csv")
    target.parent.mkdir(parents=True)
    target.write_bytes(CSV)
    publisher.files["/a.csv"] = body
    with pytest.raises(ContentError, match=sentence):
        fetch(publisher.url + "/a.csv", tmp_path)
    assert target.read_bytes() == CSV


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_may_be_tried_again(publisher: Publisher, tmp_path: Path, status: int) -> None:
    publisher.files["/a.csv"] = lambda to: answer(to, status, b"busy", Retry_After="7")
    with pytest.raises(TransientError, match=str(status)) as raised:
        fetch(publisher.url + "/a.csv", tmp_path)
    assert raised.value.retry_after == 7


DENIED = b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'


def test_a_403_of_the_storage_means_that_the_file_is_not_there(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = lambda to: answer(to, 403, DENIED)
    with pytest.raises(SourceError, match="no such file"):
        fetch(publisher.url + "/a.csv", tmp_path)


def test_a_403_of_the_storage_is_understood_however_its_page_arrives(publisher: Publisher, tmp_path: Path) -> None:
    def in_two(to: BaseHTTPRequestHandler) -> None:
        to.send_response(403)
        to.send_header("Content-Length", str(len(DENIED)))
        to.end_headers()
        to.wfile.write(DENIED[:40])
        time.sleep(0.1)
        to.wfile.write(DENIED[40:])

    publisher.files["/a.csv"] = in_two
    with pytest.raises(SourceError, match="no such file"):
        fetch(publisher.url + "/a.csv", tmp_path)


def test_a_403_for_a_file_that_is_known_to_exist_is_a_throttle_that_passes(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/a.csv"] = lambda to: answer(to, 403, DENIED)
    with pytest.raises(TransientError, match="holding us back"):
        fetch(publisher.url + "/a.csv", tmp_path, known_to_exist=True)


def test_any_other_403_is_a_throttle_that_passes(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = lambda to: answer(to, 403, b"<html>Request blocked.</html>")
    with pytest.raises(TransientError, match="holding us back"):
        fetch(publisher.url + "/a.csv", tmp_path)


def ended_days_ago(days: int) -> str:
    """The last month that ended at least so many days ago."""
    end = (date.today() - timedelta(days=days - 1)).replace(day=1) - timedelta(days=1)
    return f"{end:%Y-%m}"


@pytest.mark.parametrize(("days", "kind"), [(1, NotPublishedError), (60, NotPublishedError), (120, SourceError)])
def test_a_missing_month_is_not_published_for_a_while_and_then_an_error(
    publisher: Publisher, tmp_path: Path, days: int, kind: type[TaxiError]
) -> None:
    with pytest.raises(kind):
        fetch(publisher.url + "/a.csv", tmp_path, ended_days_ago(days))


def test_a_redirect_to_plain_http_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = lambda to: answer(to, 302, b"", Location=publisher.url + "/b.csv?secret=1")
    publisher.files["/b.csv?secret=1"] = CSV
    with pytest.raises(SourceError, match="not https") as raised:
        fetch(publisher.url + "/a.csv", tmp_path)
    assert "secret" not in str(raised.value)


def test_nothing_secret_of_a_url_is_told(publisher: Publisher, tmp_path: Path) -> None:
    url = publisher.url.replace("http://", "http://user:hunter2@") + "/a.csv?token=hunter3"
    with pytest.raises(SourceError) as raised:
        fetch(url, tmp_path)
    assert "hunter" not in str(raised.value)
    assert "hunter" not in public_url(url)


def test_a_publisher_that_hangs_is_given_up(publisher: Publisher, tmp_path: Path) -> None:
    held = threading.Event()
    publisher.files["/a.csv"] = lambda _: held.wait(10)
    with pytest.raises(TransientError, match="connection failed"):
        fetch(publisher.url + "/a.csv", tmp_path, timeout_seconds=0.3)
    held.set()


def test_progress_adds_up_to_the_size(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv.gz"] = GZ
    seen: list[int] = []
    fetch(publisher.url + "/a.csv.gz", tmp_path, progress=seen.append)
    assert sum(seen) == len(GZ)
