"""Parquet files appended to each other: every reader of Parquet sees the last one only, or what it takes for it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import DATA

from taxi_ingest.errors import ContentError
from taxi_ingest.readers.inspecting import inspect

SAMPLES = ("green_tripdata_2021-01.parquet", "green_tripdata_2023-02.parquet", "green_tripdata_2026-01.parquet")
WRITERS: list[dict[str, Any]] = [
    {"compression": "none"},
    {"compression": "none", "use_dictionary": False},
    {"compression": "zstd", "write_page_index": True},
    {"row_group_size": 10},
]


def made(folder: Path, options: dict[str, Any], number: int) -> bytes:
    path = folder / f"{number}.parquet"
    pq.write_table(pa.table({"fare": [number * 1.5] * 50, "zone": [str(number)] * 50}), path, **options)
    return path.read_bytes()


def joined(folder: Path, *files: bytes) -> Path:
    path = folder / "joined.parquet"
    path.write_bytes(b"".join(files))
    return path


@pytest.mark.parametrize("options", WRITERS, ids=str)
@pytest.mark.parametrize("count", [2, 3])
def test_files_appended_to_each_other_are_refused(tmp_path: Path, options: dict[str, Any], count: int) -> None:
    files = [made(tmp_path, options, number) for number in range(count)]
    with pytest.raises(ContentError, match="several Parquet files in one"):
        inspect(joined(tmp_path, *files))
    assert inspect(joined(tmp_path, files[0])).columns == ("fare", "zone")


@pytest.mark.parametrize(("first", "last"), list(itertools.product(SAMPLES, repeat=2)))
def test_published_files_appended_to_each_other_are_refused(tmp_path: Path, first: str, last: str) -> None:
    with pytest.raises(ContentError, match="several Parquet files in one"):
        inspect(joined(tmp_path, (DATA / first).read_bytes(), (DATA / last).read_bytes()))


@pytest.mark.parametrize("sample", sorted(path.name for path in DATA.glob("*.parquet")))
def test_no_published_file_is_taken_for_several(sample: str) -> None:
    assert inspect(DATA / sample).format == "parquet"
