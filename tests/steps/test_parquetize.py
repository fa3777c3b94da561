"""The parquetize step as a function of plain values."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import DATA

from taxi_ingest.catalog import Part
from taxi_ingest.errors import RejectsError, TaxiError
from taxi_ingest.files import sha256
from taxi_ingest.layout import Layout
from taxi_ingest.readers.inspecting import inspect
from taxi_ingest.state.receipts import Downloaded, Parquetized
from taxi_ingest.steps.parquetize import Limits, parquetize
from taxi_ingest.writers.provenance import Writer, read_provenance

MONTH = DATA / "yellow_tripdata_2020-01.csv"  # 999 rows
PART = Part("yellow", "2020-01")


def downloaded(path: Path, **changed: Any) -> Downloaded:
    """The receipt of a file that lies at `path`."""
    found = {} if changed else {"columns": inspect(path).columns}
    facts: dict[str, Any] = {"sha256": sha256(path), "bytes": path.stat().st_size, **found, **changed}
    return Downloaded(source="csv", url="csv", file=str(path), mtime_ns=path.stat().st_mtime_ns, format="csv", **facts)


@dataclasses.dataclass
class Desk:
    """A data directory to convert in."""

    layout: Layout

    @property
    def parquet(self) -> Path:
        return self.layout.parquet(PART)

    @property
    def rejects(self) -> Path:
        return self.layout.rejects(PART)

    def convert(self, path: Path = MONTH, **more: Any) -> Parquetized:
        given: dict[str, Any] = {"writer": Writer(), "limits": Limits(), **more}
        return parquetize(PART, downloaded(path), self.layout, **given)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(Layout(tmp_path))


def test_row_groups_have_exactly_the_wanted_rows(desk: Desk) -> None:
    desk.convert(writer=Writer(row_group_rows=100))
    metadata = pq.read_metadata(desk.parquet)
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [100] * 9 + [99]


def test_each_row_group_tells_the_range_of_its_times(desk: Desk) -> None:
    desk.convert(writer=Writer(row_group_rows=100))
    file = pq.ParquetFile(desk.parquet)
    column = file.schema_arrow.get_field_index("tpep_pickup_datetime")
    told = [file.metadata.row_group(n).column(column).statistics for n in range(file.num_row_groups)]
    held = [file.read_row_group(n).column(column).to_pylist() for n in range(file.num_row_groups)]
    assert [(t.min, t.max) for t in told] == [(min(times), max(times)) for times in held]


@pytest.mark.parametrize(
    ("compression", "written"), [("zstd", "ZSTD"), ("snappy", "SNAPPY"), ("gzip", "GZIP"), ("none", "UNCOMPRESSED")]
)
def test_the_codec_is_the_one_asked_for(desk: Desk, compression: str, written: str) -> None:
    desk.convert(writer=Writer(compression=compression))
    assert pq.read_metadata(desk.parquet).row_group(0).column(0).compression == written


def test_no_rejects_leave_no_file_of_rejects(desk: Desk) -> None:
    desk.convert()
    assert not desk.rejects.exists()


def test_the_footer_says_what_the_step_returned(desk: Desk) -> None:
    receipt = desk.convert()
    footer = read_provenance(desk.parquet)
    assert footer is not None
    assert vars(footer) == {name: value for name, value in vars(receipt).items() if name in vars(footer)}


def test_twice_the_same_input_is_the_same_bytes(desk: Desk) -> None:
    desk.convert()
    first = desk.parquet.read_bytes()
    desk.convert()
    assert desk.parquet.read_bytes() == first


@pytest.mark.parametrize("known", [999, 1998, None])
def test_enough_of_the_known_rows_stand(desk: Desk, known: int | None) -> None:
    assert desk.convert(limits=Limits(expected_rows=known)).rows == 999


def test_less_than_half_of_the_known_rows_fail_and_leave_the_old_parquet(desk: Desk) -> None:
    desk.convert()
    before = desk.parquet.read_bytes()
    with pytest.raises(RejectsError, match="999 rows, less than half of the 1,999 that are known"):
        desk.convert(limits=Limits(expected_rows=1999))
    assert desk.parquet.read_bytes() == before


def test_a_failure_leaves_no_scratch_file(desk: Desk) -> None:
    with pytest.raises(TaxiError):
        desk.convert(limits=Limits(expected_rows=10_000))
    left = [path for path in desk.layout.data_dir.rglob("*") if path.is_file()]
    assert left in ([], [desk.rejects])


def test_a_gzip_that_breaks_off_while_it_is_read_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes((DATA / "malformed" / "green_tripdata_2019-10.truncated.csv.gz").read_bytes())
    part = Part("green", "2019-10")
    header = (DATA / "green_tripdata_2019-10.csv").read_text().splitlines()[0].split(",")
    with pytest.raises(TaxiError, match="cut or damaged"):
        parquetize(part, downloaded(path, columns=tuple(header)), desk.layout, writer=Writer(), limits=Limits())
    assert not desk.layout.parquet(part).exists()


def test_progress_adds_up_to_the_rows(desk: Desk) -> None:
    seen: list[int] = []
    desk.convert(progress=seen.append)
    assert sum(seen) == 999
