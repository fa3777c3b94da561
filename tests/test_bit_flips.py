"""Single flipped bits in published files: never an abort, never a bug, never silent where a format has checksums.

`python tests/test_bit_flips.py N FILE…` flips N bits in each of other files and prints what came of it.
"""

from __future__ import annotations

import gzip
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from taxi_ingest.catalog import Part
from taxi_ingest.engine.conversion import Conversion, Converters
from taxi_ingest.errors import TaxiError
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import Parquetized
from taxi_ingest.steps.download import Origin, download
from taxi_ingest.steps.limits import Limits
from taxi_ingest.steps.parquetize import parquetize
from taxi_ingest.writers.provenance import Writer

DATA = Path(__file__).parent / "data" / "tlc"
FLIPS = 40

Ingested = tuple[Any, Parquetized]


class Flipping:
    """Takes one published file through download and parquetize, with and without a flipped bit."""

    def __init__(self, file: Path, part: Part, converters: Converters, folder: Path) -> None:
        self._bytes = file.read_bytes()
        self._published = folder / ("published" + "".join(file.suffixes[-2:]))
        self._part, self._converters, self._layout = part, converters, Layout(folder / "data")
        self._good = self._ingest(self._bytes)

    def outcome(self, bit: int) -> str:
        """What comes of the file with this bit flipped."""
        flipped = bytearray(self._bytes)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            table, receipt = self._ingest(flipped)
        except TaxiError:
            return "refused"
        if table.equals(self._good[0]):
            return "same rows"
        return "other rows, told" if told(receipt) != told(self._good[1]) else "other rows, not told"

    def outcomes(self, count: int, seed: int = 1) -> Counter[str]:
        """The outcomes of `count` flips at random."""
        bits = random.Random(seed).sample(range(len(self._bytes) * 8), count)
        return Counter(map(self.outcome, bits))

    def _ingest(self, content: bytes | bytearray) -> Ingested:
        self._published.write_bytes(content)
        part, layout = self._part, self._layout
        downloaded = download(part, Origin("test", self._published.as_uri()), layout)
        if downloaded.format == "parquet":
            conversion = Conversion(part, downloaded, layout, Writer(), Limits())
            receipt = self._converters.parquetize(conversion, lambda rows: None)
        else:
            receipt = parquetize(part, downloaded, layout, writer=Writer(), limits=Limits())
        return pq.read_table(layout.parquet(part)), receipt


def told(receipt: Parquetized) -> tuple[object, ...]:
    """What a person hears of a conversion."""
    usual = receipt.shares is None or receipt.shares.are_usual
    counted = receipt.rejects, receipt.empty_lines, receipt.unterminated, usual
    return *counted, receipt.unknown_columns, receipt.unknown_codes, receipt.changed_values


@pytest.fixture(scope="module")
def converters() -> Iterator[Converters]:
    """Processes that convert Parquet."""
    converters = Converters()
    yield converters
    converters.close()


@pytest.mark.parametrize("name", ["green_tripdata_2024-01", "yellow_tripdata_2025-01"])
def test_a_flipped_bit_in_a_published_parquet_is_no_bug(converters: Converters, tmp_path: Path, name: str) -> None:
    part = Part(*name.split("_tripdata_"))
    outcomes = Flipping(DATA / f"{name}.parquet", part, converters, tmp_path).outcomes(FLIPS)
    assert outcomes.total() == FLIPS


def test_a_flipped_bit_in_parquet_with_page_checksums_is_never_silent(converters: Converters, tmp_path: Path) -> None:
    published = tmp_path / "green.parquet"
    pq.write_table(pq.read_table(DATA / "green_tripdata_2024-01.parquet"), published, write_page_checksum=True)
    outcomes = Flipping(published, Part("green", "2024-01"), converters, tmp_path).outcomes(FLIPS)
    assert outcomes.keys() <= {"refused", "same rows", "other rows, told"}


def test_a_flipped_bit_in_gzip_is_refused(converters: Converters, tmp_path: Path) -> None:
    packed = tmp_path / "yellow.csv.gz"
    packed.write_bytes(gzip.compress((DATA / "yellow_tripdata_2020-01.csv").read_bytes(), mtime=0))
    outcomes = Flipping(packed, Part("yellow", "2020-01"), converters, tmp_path).outcomes(FLIPS)
    assert outcomes.keys() <= {"refused", "same rows"}


def test_a_flipped_bit_in_plain_csv_is_no_bug(converters: Converters, tmp_path: Path) -> None:
    file = DATA / "yellow_tripdata_2020-01.csv"
    outcomes = Flipping(file, Part("yellow", "2020-01"), converters, tmp_path).outcomes(FLIPS)
    assert outcomes.total() == FLIPS


def _campaign(count: int, files: list[Path]) -> None:
    converters = Converters()
    for file in files:
        dataset, _, month = file.name.split(".")[0].partition("_tripdata_")
        with tempfile.TemporaryDirectory() as folder:
            outcomes = Flipping(file, Part(dataset, month), converters, Path(folder)).outcomes(count)
        sys.stdout.write(f"{file.name}: {dict(sorted(outcomes.items()))}\n")
    converters.close()


if __name__ == "__main__":
    _campaign(int(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
