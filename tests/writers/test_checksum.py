"""The checksum of itself that a Parquet file of ours has."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from taxi_ingest.writers import row_groups
from taxi_ingest.writers.checksum import METADATA, is_as_written

FLIPS = 300


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path, rows = tmp_path / "a.parquet", pa.table({"n": list(range(500))})
    row_groups.write(path, rows.schema, [rows, rows], {}, lambda: {b"made": b"here"} | METADATA, constant=[], threads=1)
    return path


def test_a_file_as_written_is_known_as_such(written: Path) -> None:
    assert is_as_written(written)
    assert pq.read_table(written)["n"].to_pylist() == [*range(500), *range(500)]


def test_any_flipped_bit_is_noticed(written: Path) -> None:
    content, chance = written.read_bytes(), random.Random(4)
    for _ in range(FLIPS):
        at = chance.randrange(len(content))
        written.write_bytes(content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :])
        assert not is_as_written(written), at


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, -1])
def test_a_cut_file_is_noticed(written: Path, size: int) -> None:
    written.write_bytes(written.read_bytes()[:size])
    assert not is_as_written(written)


def test_a_file_of_another_writer_is_not_known(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1]}), tmp_path / "theirs.parquet")
    assert not is_as_written(tmp_path / "theirs.parquet")
