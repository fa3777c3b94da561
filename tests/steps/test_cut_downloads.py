"""A cut body never passes as a whole file, and two versions of a file are never joined."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Publisher
from cutting import CSV, FIRST_HALF, GZ, HALF, OTHER, PARQUET, PART, REST, STRONG, WHOLE, cut_once, fetch, raw
from publishing import in_chunks, one_after_another, sends

from taxi_ingest.errors import SourceError, TransientError
from taxi_ingest.layout import Layout
from taxi_ingest.steps.download import Origin, download

# ---- the rest must belong to the beginning


def test_the_rest_is_joined_to_its_beginning(publisher: Publisher, tmp_path: Path) -> None:
    cut_once(publisher, tmp_path, FIRST_HALF, sends(206, STRONG | REST, CSV[HALF:]))
    fetch(publisher, tmp_path)
    assert (raw(tmp_path).read_bytes(), publisher.headers[1]["If-Range"]) == (CSV, '"v1"')


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"v2"'} | REST,
        REST,
        STRONG | REST | {"Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT"},
        STRONG | REST | {"Content-Range": f"bytes {HALF}-{len(CSV) - 1}/{len(CSV) + 1}"},
        STRONG | REST | {"Content-Range": f"bytes 0-{len(CSV) - HALF - 1}/{len(CSV)}"},
        STRONG | REST | {"Content-Range": f"bytes {HALF}-{len(CSV) - 2}/{len(CSV)}"},
        STRONG | REST | {"Content-Range": f"bytes {HALF}-{'9' * 5000}/{len(CSV)}"},
        STRONG | REST | {"Content-Range": "bytes ²-³/*"},
        STRONG | REST | {"Content-Encoding": "gzip"},
        STRONG | {"Content-Length": REST["Content-Length"]},
    ],
    ids=[
        "another etag", "no etag", "another date", "another total", "another start", "another length",
        "5,000 digits", "no digits", "packed", "no range",
    ],
)  # fmt: skip
def test_a_rest_that_disagrees_is_refused_and_the_file_fetched_anew(
    publisher: Publisher, tmp_path: Path, headers: dict[str, str]
) -> None:
    first = sends(
        200,
        {**STRONG, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT", "Content-Length": str(len(CSV))},
        CSV[:HALF],
    )
    whole_other = sends(200, {"ETag": '"v2"', "Content-Length": str(len(OTHER))}, OTHER)
    cut_once(publisher, tmp_path, first, sends(206, headers, OTHER[HALF:]), whole_other)
    with pytest.raises(TransientError, match="does not belong"):
        fetch(publisher, tmp_path)
    fetch(publisher, tmp_path)
    assert (raw(tmp_path).read_bytes(), "Range" in publisher.headers[2]) == (OTHER, False)


def test_a_piece_that_nobody_asked_for_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = sends(206, STRONG | REST, CSV[HALF:])
    with pytest.raises(TransientError, match="does not belong"):
        fetch(publisher, tmp_path)


def test_a_rest_in_chunks_that_is_too_long_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    headers = {**STRONG, "Transfer-Encoding": "chunked", "Content-Range": REST["Content-Range"]}
    cut_once(publisher, tmp_path, FIRST_HALF, sends(206, headers, in_chunks(CSV[HALF:] + b"1,2,3\r\n")), WHOLE)
    with pytest.raises(TransientError, match="more came than"):
        fetch(publisher, tmp_path)
    fetch(publisher, tmp_path)
    assert raw(tmp_path).read_bytes() == CSV


@pytest.mark.parametrize("told", ["*", str(HALF + 100)], ids=["untold", "smaller"])
def test_a_total_once_announced_stays_due(publisher: Publisher, tmp_path: Path, told: str) -> None:
    piece = CSV[HALF : HALF + 100]
    headers = {**STRONG, "Content-Length": "100", "Content-Range": f"bytes {HALF}-{HALF + 99}/{told}"}
    cut_once(publisher, tmp_path, FIRST_HALF, sends(206, headers, piece), WHOLE)
    with pytest.raises(TransientError):
        fetch(publisher, tmp_path)
    fetch(publisher, tmp_path)
    assert raw(tmp_path).read_bytes() == CSV


def test_a_total_that_only_the_rest_announces_is_due_from_then_on(publisher: Publisher, tmp_path: Path) -> None:
    first = sends(200, {**STRONG, "Transfer-Encoding": "chunked"}, in_chunks(CSV[:HALF], end=False))
    cut_rest = sends(206, STRONG | REST, CSV[HALF : HALF + 100])
    smaller = {"Content-Length": "100", "Content-Range": f"bytes {HALF + 100}-{HALF + 199}/{HALF + 200}"}
    cut_once(publisher, tmp_path, first, cut_rest, sends(206, STRONG | smaller, CSV[HALF + 100 : HALF + 200]), WHOLE)
    for _ in range(2):
        with pytest.raises(TransientError):
            fetch(publisher, tmp_path)
    fetch(publisher, tmp_path)
    assert raw(tmp_path).read_bytes() == CSV
    assert [one.get("Range") for one in publisher.headers] == [None, f"bytes={HALF}-", f"bytes={HALF + 100}-", None]


def test_without_anything_to_compare_nothing_is_kept(publisher: Publisher, tmp_path: Path) -> None:
    cut_once(publisher, tmp_path, sends(200, {"Content-Length": str(len(CSV))}, CSV[:HALF]), WHOLE)
    assert list((tmp_path / "raw" / "yellow").iterdir()) == []


def test_a_file_that_is_gone_shorter_starts_again(publisher: Publisher, tmp_path: Path) -> None:
    cut_once(publisher, tmp_path, FIRST_HALF, sends(416, {"Content-Length": "0"}, b""), WHOLE)
    with pytest.raises(TransientError, match="changed"):
        fetch(publisher, tmp_path)
    fetch(publisher, tmp_path)
    assert raw(tmp_path).read_bytes() == CSV


FETCH = """
import sys
from pathlib import Path
from taxi_ingest.catalog import Part
from taxi_ingest.layout import Layout
from taxi_ingest.steps.download import Origin, download
download(Part("yellow", "2020-01"), Origin("somewhere", sys.argv[1]), Layout(Path(sys.argv[2])), timeout_seconds=9)
"""


def test_notes_of_one_version_never_stand_beside_bytes_of_another(publisher: Publisher, tmp_path: Path) -> None:
    cut_once(publisher, tmp_path, FIRST_HALF, sends(200, {"ETag": '"v2"', "Content-Length": str(len(OTHER))}, b""))
    folder = tmp_path / "raw" / "yellow"
    partial, notes = folder / "yellow_tripdata_2020-01.csv.part", folder / "yellow_tripdata_2020-01.csv.part.json"
    assert partial.stat().st_size == HALF
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_OPEN + FETCH, f"{publisher.url}/a.csv", str(tmp_path)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert json.loads(notes.read_text())["etag"] == '"v2"'
    assert not partial.exists()


# the process kills itself when it is about to open the partial file, the new notes being written
KILLED_AT_OPEN = """
import os, signal, sys
def listen(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".csv.part"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(listen)
"""


# ---- an answer without a size


@pytest.mark.parametrize(
    ("body", "reason"),
    [(CSV[: HALF - 3], "no line end"), (GZ[:-20], "gzip without its end"), (PARQUET[:-50], "Parquet without its end")],
    ids=["text", "gzip", "parquet"],
)
def test_a_body_of_unknown_size_that_seems_cut_is_refused(
    publisher: Publisher, tmp_path: Path, body: bytes, reason: str
) -> None:
    publisher.files["/a.csv"] = sends(200, STRONG, body)
    with pytest.raises(TransientError, match=f"{reason}.*file:///"):
        fetch(publisher, tmp_path)
    assert list((tmp_path / "raw" / "yellow").iterdir()) == []


@pytest.mark.parametrize("body", [CSV, GZ, PARQUET], ids=["text", "gzip", "parquet"])
def test_a_body_of_unknown_size_that_ends_well_is_taken(publisher: Publisher, tmp_path: Path, body: bytes) -> None:
    publisher.files["/a.csv"] = sends(200, {}, body)
    fetch(publisher, tmp_path)
    assert raw(tmp_path).read_bytes() == body


def test_headers_that_may_have_announced_a_size_must_be_readable(publisher: Publisher, tmp_path: Path) -> None:
    cut = CSV[: CSV.index(b"\n", HALF) + 1]
    publisher.files["/a.csv"] = sends(200, {"X\r\nContent-Length": str(len(CSV))}, cut)
    with pytest.raises(TransientError, match="HeaderParsingError"):
        fetch(publisher, tmp_path)


def test_chunks_have_an_end_of_their_own(publisher: Publisher, tmp_path: Path) -> None:
    body = CSV.removesuffix(b"\n").removesuffix(b"\r")
    headers = {"Transfer-Encoding": "chunked"}
    publisher.files["/a.csv"] = one_after_another(
        sends(200, headers, in_chunks(body, end=False)), sends(200, headers, in_chunks(body))
    )
    with pytest.raises(TransientError):
        fetch(publisher, tmp_path)
    fetch(publisher, tmp_path)
    assert raw(tmp_path).read_bytes() == body


# ---- this machine's own files


def test_a_folder_as_a_file_is_called_a_folder(tmp_path: Path) -> None:
    (tmp_path / "month.parquet").mkdir()
    with pytest.raises(SourceError, match="is a folder"):
        download(PART, Origin("somewhere", (tmp_path / "month.parquet").as_uri()), Layout(tmp_path / "data"))
