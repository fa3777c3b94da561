"""A bucket whose objects a key of the customer encrypts: its listing tells no checksum."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import DATA, Command
from resumable_gcs import Bucket, resumable_gcs

from taxi_ingest.place import Place
from taxi_ingest.stores import Held, open_store

NAME = "trips/trips_2021-01.parquet"


def without_checksums(described: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in described.items() if name not in {"crc32c", "md5Hash"}}


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with resumable_gcs() as bucket:
        bucket.listed = without_checksums
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        yield bucket


@pytest.mark.parametrize("mebibytes", [1, 9], ids=["one request", "a session"])
def test_what_was_put_is_held_with_its_checksum(google: Bucket, tmp_path: Path, mebibytes: int) -> None:
    store, path = open_store(Place.parse("gs://demo-bucket")), tmp_path / "a.parquet"
    path.write_bytes(b"x" * (mebibytes << 20))
    put = store.put(path, NAME, mark="m1", facts={})
    assert store.held("trips/") == {NAME: put}


def test_an_object_that_somebody_wrote_over_is_not_taken_for_ours(google: Bucket, tmp_path: Path) -> None:
    store, path = open_store(Place.parse("gs://demo-bucket")), tmp_path / "a.parquet"
    path.write_bytes(b"ours")
    store.put(path, NAME, mark="m1", facts={})
    google.store({"name": NAME}, b"their")
    assert store.held("trips/") == {NAME: Held("", "", 5)}


def test_a_second_run_uploads_nothing(google: Bucket, taxi: Command) -> None:
    source = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
    run = ("upload", "--month", "2019-02", "--source", source, "--store", "gs://demo-bucket/lake", "--json")
    assert taxi(*run).steps[0]["upload"] == "done"
    google.requests.clear()
    assert taxi(*run).steps[0]["upload"] == "up_to_date"
    assert google.requests == [("GET", "/storage/v1/b/demo-bucket/o")]
