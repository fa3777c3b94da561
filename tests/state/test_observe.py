"""What is there: files, store and warehouse, each in the form of the receipt it deserves."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from conftest import DATA

from taxi_ingest import settings
from taxi_ingest.engine.part import run_part
from taxi_ingest.job import Job, make_job
from taxi_ingest.place import Place
from taxi_ingest.state.decide import Observed
from taxi_ingest.state.observe import Observer, Scope, known_parts


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose one part has gone all the way."""
    source = f"file://{DATA}/{{dataset}}_tripdata_{{month}}.csv"
    given = {"shared.month": "2020-01", "global.source": source, "global.data_dir": str(tmp_path / "data")}
    job, _ = make_job(settings.read(given), verb="run")
    run_part(job, job.parts[0])
    return job


def look(job: Job, scope: Scope = "everything") -> Observed:
    return Observer(job, scope).observe(job.parts[0])


def test_everything_is_as_the_receipts_say(job: Job) -> None:
    now = look(job)
    assert (now.parquet, now.stored, now.month) == (now.receipts.parquetize, now.receipts.upload, now.receipts.load)
    assert (now.raw_present, now.parquet_damaged, now.month_whole) == (True, False, True)


def test_what_is_deleted_is_not_there(job: Job) -> None:
    part, layout = job.parts[0], job.layout
    downloaded = look(job).receipts.download
    assert downloaded is not None
    (layout.data_dir / downloaded.file).unlink()
    layout.parquet(part).unlink()
    (layout.lake / "yellow" / layout.parquet(part).name).unlink()
    layout.duckdb.unlink()
    now = look(job)
    assert (now.raw_present, now.parquet, now.stored, now.month) == (False, None, None, None)


def test_a_parquet_file_with_other_bytes_is_damaged(job: Job) -> None:
    path = job.layout.parquet(job.parts[0])
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.unlink()
    path.write_bytes(data)
    now = look(job)
    assert (now.parquet, now.parquet_damaged) == (None, True)


def test_a_touched_parquet_file_with_the_same_bytes_is_itself(job: Job) -> None:
    path = job.layout.parquet(job.parts[0])
    os.utime(path, ns=(1, 1))
    now = look(job)
    assert now.receipts.parquetize is not None
    assert now.parquet == replace(now.receipts.parquetize, mtime_ns=1)


def test_a_parquet_file_without_a_receipt_is_known_by_its_footer(job: Job) -> None:
    before = look(job).parquet
    Path(job.layout.receipt(job.parts[0], "parquetize")).unlink()
    found = look(job).parquet
    assert before is not None
    assert found is not None
    assert (found.mark, found.rows, found.crc32c, found.writer) == (
        before.mark, before.rows, before.crc32c, before.writer,
    )  # fmt: skip


def test_a_month_with_a_row_too_many_is_not_whole(job: Job) -> None:
    with duckdb.connect(str(job.layout.duckdb)) as db:
        db.execute("INSERT INTO yellow_tripdata FROM yellow_tripdata LIMIT 1")
    assert not look(job).month_whole


def test_a_far_side_that_is_not_asked_is_believed_to_hold_what_the_receipts_say(job: Job) -> None:
    job.layout.duckdb.unlink()
    assert look(job).month is None
    believed = look(job, "receipts")
    assert believed.month == believed.receipts.load


def test_receipts_of_another_place_are_not_believed(job: Job, tmp_path: Path) -> None:
    elsewhere = replace(job, warehouse=Place.parse("duckdb:/elsewhere"))
    assert look(elsewhere, "receipts").month is None


def test_parts_are_known_by_their_receipts_and_attempts(job: Job) -> None:
    other = replace(job.parts[0], month="2019-12")
    assert known_parts(job, [other]) == [other, job.parts[0]]
