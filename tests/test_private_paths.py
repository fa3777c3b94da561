"""Where a file lay on this machine stands in no object and no table, and goes to nobody."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from conftest import DATA, Command, query
from resumable_gcs import resumable_gcs

NAME = "yellow_tripdata_2019-02"


def own_copy(folder: Path) -> Path:
    secret = folder / "home-of-jane-doe"
    secret.mkdir()
    (secret / f"{NAME}.csv").write_bytes((DATA / f"{NAME}.csv").read_bytes())
    return secret


def test_a_file_of_this_disk_is_told_by_its_name_alone(taxi: Command, tmp_path: Path) -> None:
    secret = own_copy(tmp_path)
    source = secret.as_uri() + "/{dataset}_tripdata_{month}.csv"
    ran = taxi("run", "--month", "2019-02", "--source", source)
    assert ran.code == 0, ran.err
    lake = [path.read_bytes() for place in ("lake", "lake.marks") for path in (tmp_path / "data" / place).rglob("*.*")]
    assert lake
    assert not [content for content in [*lake, (tmp_path / "data/taxi.duckdb").read_bytes()] if b"jane-doe" in content]
    footer = pq.read_metadata(tmp_path / f"data/lake/yellow/{NAME}.parquet").metadata
    assert f"file:{NAME}.csv".encode() in b" ".join(footer.values())
    loads = query(tmp_path / "data/taxi.duckdb", "SELECT source FROM _loads")
    assert loads == [(f"file:{NAME}.csv",)]
    assert set(taxi("run", "--month", "2019-02", "--source", source, "--json").steps[0].values()) == {"up_to_date"}


def test_nor_does_it_go_to_a_bucket(taxi: Command, tmp_path: Path) -> None:
    source = own_copy(tmp_path).as_uri() + "/{dataset}_tripdata_{month}.csv"
    upload = ("upload", "--month", "2019-02", "--source", source, "--store", "gs://demo-bucket")
    with resumable_gcs() as google:
        assert taxi(*upload, STORAGE_EMULATOR_HOST=google.url).code == 0
        ((described, content),) = google.objects.values()
    assert "jane-doe" not in str(described)
    assert b"jane-doe" not in content


def test_status_looks_at_the_store_and_warehouse_that_are_named(taxi: Command) -> None:
    source = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
    where = ("--store", "another-lake", "--warehouse", "duckdb:another.duckdb")
    assert taxi("run", "--month", "2019-02", "--source", source, *where).code == 0
    states = [
        {step: taxi("status", "--json", *named).document["parts"][0][step]["state"] for step in ("upload", "load")}
        for named in (where, ())
    ]
    assert states == [{"upload": "done", "load": "done"}, {"upload": "stale", "load": "stale"}]
