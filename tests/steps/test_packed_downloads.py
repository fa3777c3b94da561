"""A body that the publisher packs for the way, although it is asked not to, arrives whole or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import MONTH, Command, Publisher
from cutting import CSV, GZ, PARQUET, STRONG, WHOLE, cut_once, fetch, raw
from publishing import in_chunks, sends

from taxi_ingest.errors import ContentError, SourceError, TransientError
from taxi_ingest.readers.blocks import decompressed


def content(folder: Path) -> bytes:
    with raw(folder).open("rb") as file, decompressed(file, "raw") as stream:
        return stream.read()


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-Gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
}
FRAMES: dict[str, Callable[[bytes], tuple[dict[str, str], bytes]]] = {
    "length": lambda body: ({"Content-Length": str(len(body))}, body),
    "chunks": lambda body: ({"Transfer-Encoding": "chunked"}, in_chunks(body)),
    "neither": lambda body: ({}, body),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("packer", PACKERS)
def test_a_packed_body_arrives_whole(publisher: Publisher, tmp_path: Path, packer: str, frame: str) -> None:
    coding, pack = PACKERS[packer]
    headers, body = FRAMES[frame](pack(CSV))
    publisher.files["/a.csv"] = sends(200, {"Content-Encoding": coding, **headers}, body)
    fetch(publisher, tmp_path)
    assert content(tmp_path) == CSV


@pytest.mark.parametrize("share", [0.3, 0.66, 0.999])
@pytest.mark.parametrize("packer", PACKERS)
def test_a_packed_body_of_unknown_size_that_is_cut_is_refused(
    publisher: Publisher, tmp_path: Path, packer: str, share: float
) -> None:
    coding, pack = PACKERS[packer]
    body = pack(CSV)
    publisher.files["/a.csv"] = sends(200, {"Content-Encoding": coding}, body[: int(len(body) * share)])
    with pytest.raises(TransientError, match="end"):
        fetch(publisher, tmp_path)
    assert list((tmp_path / "raw" / "yellow").iterdir()) == []


@pytest.mark.parametrize("inside", [PARQUET, GZ], ids=["parquet", "gzip"])
@pytest.mark.parametrize("packer", PACKERS)
def test_parquet_and_gzip_are_unpacked_from_their_coding(
    publisher: Publisher, tmp_path: Path, packer: str, inside: bytes
) -> None:
    coding, pack = PACKERS[packer]
    packed = pack(inside)
    publisher.files["/a.csv"] = sends(200, {"Content-Encoding": coding, "Content-Length": str(len(packed))}, packed)
    fetch(publisher, tmp_path)
    assert raw(tmp_path).read_bytes() == inside


@pytest.mark.parametrize("packer", PACKERS)
def test_a_packed_body_is_resumed_by_its_bytes_on_the_wire(publisher: Publisher, tmp_path: Path, packer: str) -> None:
    coding, pack = PACKERS[packer]
    packed = pack(CSV)
    half, headers = len(packed) // 2, {**STRONG, "Content-Encoding": coding}
    rest = {"Content-Range": f"bytes {half}-{len(packed) - 1}/{len(packed)}"}
    first = sends(200, {**headers, "Content-Length": str(len(packed))}, packed[:half])
    cut_once(publisher, tmp_path, first, sends(206, headers | rest, packed[half:]))
    fetch(publisher, tmp_path)
    assert (publisher.headers[1]["Range"], content(tmp_path)) == (f"bytes={half}-", CSV)


def test_a_rest_that_is_not_packed_is_not_joined_to_a_packed_beginning(publisher: Publisher, tmp_path: Path) -> None:
    first = sends(200, {**STRONG, "Content-Encoding": "gzip", "Content-Length": str(len(CSV))}, GZ[:2000])
    rest = {"Content-Range": f"bytes 2000-{len(CSV) - 1}/{len(CSV)}"}
    cut_once(publisher, tmp_path, first, sends(206, STRONG | rest, CSV[2000:]), WHOLE)
    with pytest.raises(TransientError, match="does not belong"):
        fetch(publisher, tmp_path)
    fetch(publisher, tmp_path)
    assert raw(tmp_path).read_bytes() == CSV


@pytest.mark.parametrize(("coding", "shown"), [("br", "br"), ("zstd", "zstd"), ("gzip, gzip", "several")])
def test_any_other_coding_is_refused_in_a_sentence(
    publisher: Publisher, tmp_path: Path, coding: str, shown: str
) -> None:
    publisher.files["/a.csv"] = sends(200, {"Content-Encoding": coding, "Content-Length": "9"}, b"whatever\n")
    with pytest.raises(SourceError, match=f"{shown}.*file:///"):
        fetch(publisher, tmp_path)


def test_what_is_labelled_deflate_and_is_not_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = sends(200, {"Content-Encoding": "deflate", "Content-Length": str(len(CSV))}, CSV)
    with pytest.raises(ContentError, match="cannot be decompressed"):
        fetch(publisher, tmp_path)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_month_that_comes_packed_is_loaded(taxi: Command, publisher: Publisher, packer: str) -> None:
    coding, pack = PACKERS[packer]
    body = pack(MONTH.read_bytes())
    publisher.everything = sends(200, {"Content-Encoding": coding, "Content-Length": str(len(body))}, body)
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, "--json")
    assert (ran.code, ran.document["parts"][0]["rows"]) == (0, 999), ran.err
