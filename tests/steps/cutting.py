"""A file on a publisher's server, whole and cut, and how a test fetches it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from commands import DATA
from publishing import Answer, Publisher, one_after_another, sends

from taxi_ingest.catalog import Part
from taxi_ingest.errors import TransientError
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import Downloaded
from taxi_ingest.steps.download import Origin, download

CSV = (DATA / "yellow_tripdata_2020-01.csv").read_bytes()
OTHER = CSV.replace(b"N", b"Y")  # another version of the same length
HALF = len(CSV) // 2
GZ = gzip.compress(CSV, mtime=0)
PARQUET = min(DATA.glob("*.parquet")).read_bytes()
PART = Part("yellow", "2020-01")
STRONG = {"ETag": '"v1"'}


def fetch(publisher: Publisher, folder: Path, name: str = "a.csv", **more: Any) -> Downloaded:
    return download(PART, Origin("somewhere", f"{publisher.url}/{name}"), Layout(folder), timeout_seconds=5, **more)


def raw(folder: Path) -> Path:
    (found,) = (folder / "raw" / "yellow").glob("*")  # and nothing is left beside it
    return found


WHOLE = sends(200, {**STRONG, "Content-Length": str(len(CSV))}, CSV)
FIRST_HALF = sends(200, {**STRONG, "Content-Length": str(len(CSV))}, CSV[:HALF])
REST = {"Content-Length": str(len(CSV) - HALF), "Content-Range": f"bytes {HALF}-{len(CSV) - 1}/{len(CSV)}"}


def cut_once(publisher: Publisher, folder: Path, first: Answer, *then: Answer) -> None:
    """A first try that is cut."""
    publisher.files["/a.csv"] = one_after_another(first, *then)
    with pytest.raises(TransientError):
        fetch(publisher, folder)
