"""The parquetize step as a function of plain values."""

from __future__ import annotations

import dataclasses
import gzip
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commands import Command
from conftest import ALL_UP_TO_DATE, DATA, Loaded

from taxi_ingest.catalog import Part
from taxi_ingest.errors import ContentError, RejectsError, SchemaError, TaxiError
from taxi_ingest.files import sha256
from taxi_ingest.layout import Layout
from taxi_ingest.readers.inspecting import inspect
from taxi_ingest.state.receipts import Downloaded, Parquetized
from taxi_ingest.steps.limits import Limits
from taxi_ingest.steps.parquetize import parquetize
from taxi_ingest.writers.findings import read_findings
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
    said = vars(footer) | vars(read_findings(desk.parquet))
    assert said == {name: value for name, value in vars(receipt).items() if name in said}


def test_a_parquet_file_takes_its_place_only_once_its_rejects_are_kept(desk: Desk, tmp_path: Path) -> None:
    published = tmp_path / "published.csv"
    published.write_text(f"{MONTH.read_text()}no trip\n")
    desk.rejects.mkdir(parents=True)  # so that they cannot be kept
    with pytest.raises(OSError, match="directory"):
        desk.convert(published)
    assert not desk.parquet.exists()


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


def test_every_page_has_a_checksum(desk: Desk) -> None:
    desk.convert(writer=Writer(compression="none"))
    whole = bytearray(desk.parquet.read_bytes())
    whole[len(whole) // 3] ^= 1
    desk.parquet.write_bytes(whole)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(desk.parquet, page_checksum_verification=True).read()


def test_a_raw_file_that_rotted_is_refused_and_leaves_the_old_parquet(desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "m.csv"
    copy.write_bytes(MONTH.read_bytes())
    receipt = downloaded(copy)
    parquetize(PART, receipt, desk.layout, writer=Writer(), limits=Limits())
    before = desk.parquet.read_bytes()
    rotten = bytearray(MONTH.read_bytes())
    digit = rotten.index(b"5", 5000)
    rotten[digit : digit + 1] = b"6"
    copy.write_bytes(rotten)
    with pytest.raises(ContentError, match="is not as it was downloaded"):
        parquetize(PART, receipt, desk.layout, writer=Writer(), limits=Limits())
    assert desk.parquet.read_bytes() == before


def test_a_receipt_that_tells_other_columns_than_the_file_is_refused(desk: Desk, tmp_path: Path) -> None:
    receipt = downloaded(MONTH)
    wrong = dataclasses.replace(receipt, columns=tuple(f"{name}x" for name in receipt.columns))
    copy = tmp_path / "m.csv"
    copy.write_bytes(MONTH.read_bytes())
    with pytest.raises(ContentError, match="checksum or columns differ"):
        parquetize(PART, dataclasses.replace(wrong, file=str(copy)), desk.layout, writer=Writer(), limits=Limits())


def lines_of_junk(path: Path, members: int) -> Path:
    """A gzip of the header and `members` times 2,000 lines that nobody can read: small packed, large unpacked."""
    header = MONTH.read_bytes().split(b"\n", 1)[0]
    junk = gzip.compress((b"x" * 4000 + b"\n") * 2000, mtime=0)
    path.write_bytes(gzip.compress(header + b"\n", mtime=0) + junk * members)
    return path


def test_a_file_of_junk_is_given_up_early(desk: Desk, tmp_path: Path) -> None:
    path = lines_of_junk(tmp_path / "junk.csv.gz", 40)  # 320 MB unpacked
    said = r"of the first [\d,]+ lines \(100.00%\) could not be read; max_rejects allows 0.10%. The first is line 2: "
    with pytest.raises(RejectsError, match=said):
        desk.convert(path)
    assert 0 < desk.rejects.stat().st_size < 40_000_000


def test_rejects_within_the_limit_are_not_given_up(desk: Desk, tmp_path: Path) -> None:
    lines = MONTH.read_bytes().splitlines(keepends=True)
    path = tmp_path / "m.csv"
    path.write_bytes(lines[0] + b"x\n" * 1500 + b"".join(lines[1:]) * 30)
    receipt = desk.convert(path, limits=Limits(max_rejects=0.06))
    assert (receipt.rejects, receipt.rows) == (1500, 999 * 30)


def test_rejects_that_a_denser_rest_makes_up_for_are_not_given_up(desk: Desk, tmp_path: Path) -> None:
    lines = MONTH.read_bytes().splitlines(keepends=True)
    path = tmp_path / "m.csv.gz"
    noise = b"".join(os.urandom(900).hex().encode() + b"\n" for _ in range(1500))  # takes most of the packed bytes
    path.write_bytes(gzip.compress(lines[0] + noise + lines[1] * 1_600_000, 9))
    receipt = desk.convert(path)
    assert (receipt.rejects, receipt.rows) == (1500, 1_600_000)


@pytest.mark.parametrize(("seen", "usual"), [(0.4, False), (0.9, False), (0.96, True)])
def test_pickups_outside_the_month_are_counted(desk: Desk, tmp_path: Path, seen: float, usual: bool) -> None:
    lines = MONTH.read_text().splitlines(keepends=True)[:201]
    moved = [line.replace("2020-01-", "2020-02-") for line in lines[1 + round(200 * seen) :]]
    path = tmp_path / "m.csv"
    path.write_text("".join(lines[: 1 + round(200 * seen)] + moved))
    shares = desk.convert(path).shares
    assert shares is not None
    assert (abs(shares.in_month - seen) < 0.02, shares.are_usual) == (True, usual)


@pytest.mark.parametrize("path", sorted(DATA.glob("*_tripdata_20*.*")), ids=lambda path: path.name)
def test_no_published_file_is_taken_for_another_months(tmp_path: Path, path: Path) -> None:
    name, _, month = path.stem.partition("_tripdata_")
    part, found = Part(name, month), inspect(path)
    receipt = dataclasses.replace(downloaded(path), format=found.format)
    shares = parquetize(part, receipt, Layout(tmp_path), writer=Writer(), limits=Limits()).shares
    assert shares is None or shares.are_usual


def rotten(path: Path) -> None:
    """Flip a bit of a file, keeping its size and times."""
    stat, whole = path.stat(), bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 4
    path.write_bytes(whole)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("lost", ["lake", "taxi.duckdb"])
def test_a_parquet_that_rotted_is_not_used_and_is_made_again(loaded: Loaded, lost: str) -> None:
    before = loaded.table
    parquet = Layout(loaded.data).parquet(PART)
    parquet.write_bytes(parquet.read_bytes())
    path = loaded.data / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    loaded.run()
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    rotten(parquet)
    first, second = loaded.run(), loaded.run()
    assert (first.code, second.code) == (1, 0), first.err
    assert "is not as it was written" in first.err
    assert loaded.table == before


def test_a_raw_file_that_rotted_is_downloaded_again_by_the_next_run(loaded: Loaded) -> None:
    before = loaded.table
    rotten(next((loaded.data / "raw").rglob("*.csv*")))
    for gone in ("parquet", "lake"):
        shutil.rmtree(loaded.data / gone)
    (loaded.data / "taxi.duckdb").unlink()
    first, second = loaded.run(), loaded.run()
    assert (first.code, second.code) == (1, 0), first.err
    assert loaded.table == before


def test_a_file_of_ones_own_that_was_refused_is_fetched_again_by_the_next_run(taxi: Command, tmp_path: Path) -> None:
    published = tmp_path / "mine.csv"
    request = ("run", "--month", "2020-01", "--source", published.as_uri(), "--data-dir", str(tmp_path / "d"))
    lines = MONTH.read_bytes().splitlines(keepends=True)
    for refused in (b"".join(lines[:50])[:-30], lines[0], lines[0].replace(b"VendorID", b"extra") + lines[1]):
        published.write_bytes(refused)
        assert taxi(*request).code == 1
    published.write_bytes(MONTH.read_bytes())
    ran = taxi(*request, "--json")
    assert (ran.code, ran.document["parts"][0]["rows"]) == (0, 999), ran.err


def test_what_is_odd_is_told_to_those_who_asked_for_quiet_or_json(taxi: Command, tmp_path: Path) -> None:
    places = ("--month", "2021-09", "--source", MONTH.as_uri())
    quiet = taxi("run", *places, "--data-dir", str(tmp_path / "a"), "--quiet")
    told = "of the pickups lie in 2021-09"
    assert (quiet.code, told in quiet.out) == (0, True)
    again = taxi("run", *places, "--data-dir", str(tmp_path / "a"), "--quiet")
    assert (again.code, again.out) == (0, "")
    (part,) = taxi("run", *places, "--data-dir", str(tmp_path / "b"), "--json").document["parts"]
    assert any(told in note for note in part["notes"])


def test_a_file_of_another_dataset_is_named(desk: Desk) -> None:
    green = DATA / "green_tripdata_2019-10.csv"
    with pytest.raises(SchemaError, match="These are columns of green, not of yellow: check --dataset"):
        desk.convert(green)


def test_a_file_without_a_header_is_told(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(b"".join(MONTH.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(SchemaError, match="The first line holds data and no column names"):
        desk.convert(path)


def test_a_refused_file_keeps_its_source_and_is_not_fetched_while_it_is_the_same(taxi: Command, tmp_path: Path) -> None:
    published = tmp_path / "mine.csv"
    places = ("--month", "2020-01", "--data-dir", str(tmp_path / "d"))
    published.write_bytes(MONTH.read_bytes().splitlines(keepends=True)[0])
    assert taxi("run", *places, "--source", published.as_uri()).code == 1
    again = taxi("run", *places, "--json")
    (part,) = again.document["parts"]
    assert (again.code, part["source"], part["steps"]["download"]) == (1, published.as_uri(), "up_to_date")
    published.write_bytes(MONTH.read_bytes())
    assert taxi("run", *places).code == 0
    assert taxi("run", *places, "--json").steps == [ALL_UP_TO_DATE]


def test_what_strict_refused_is_loaded_from_the_raw_file_without_it(taxi: Command, tmp_path: Path) -> None:
    published = tmp_path / "mine.csv"
    places = ("--month", "2021-09", "--source", published.as_uri(), "--data-dir", str(tmp_path / "d"))
    published.write_bytes(MONTH.read_bytes())
    assert taxi("run", *places, "--strict").code == 1
    published.unlink()
    assert taxi("run", *places).code == 0
