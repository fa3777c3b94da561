"""A bucket whose readers pay: the project that does is named with the store."""

from __future__ import annotations

from pathlib import Path

import pytest
from resumable_gcs import resumable_gcs
from scripted_gcs import refusal, scripted

from taxi_ingest.errors import StoreError, UsageError
from taxi_ingest.place import Place
from taxi_ingest.redaction import redacted
from taxi_ingest.stores import open_store

NAME = "trips/a.parquet"
STORE = "gs://demo-bucket/lake?user_project=payer-project"


@pytest.mark.parametrize("mebibytes", [1, 9], ids=["one request", "a session"])
def test_every_request_names_the_project_that_pays(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mebibytes: int
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * (mebibytes << 20))
    with resumable_gcs() as google:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)
        store = open_store(Place.parse(STORE))
        store.put(path, NAME, mark="m1", facts={})
        assert list(store.held("trips/")) == [NAME]
        targets = [target for method, target in google.targets if not (method == "PUT" and "upload_id" in target)]
    assert targets
    assert all("userProject=payer-project" in target for target in targets)


def test_the_place_is_that_of_the_bucket_and_the_project_is_no_secret() -> None:
    place = Place.parse(STORE)
    assert (str(place), place) == ("gs://demo-bucket/lake", Place.parse("gs://demo-bucket/lake"))
    assert open_store(place).url("a") == "gs://demo-bucket/lake/a"
    assert redacted("the project payer-project") == "the project payer-project"


def test_a_bucket_whose_readers_pay_is_told_with_the_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted() as google:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)
        google.script = {"GET": [refusal(400, "Bucket is a requester pays bucket but no user project provided.")]}
        with pytest.raises(StoreError, match=r"The readers of gs://demo-bucket pay.*\?user_project=PROJECT"):
            open_store(Place.parse("gs://demo-bucket")).held("")


@pytest.mark.parametrize("query", ["user_project=a&b=c", "user_project=a%26b", "token=abc", "user_project=A B"])
def test_other_parameters_are_refused(query: str) -> None:
    with pytest.raises(UsageError, match="with no parameter but"):
        open_store(Place.parse(f"gs://demo-bucket/lake?{query}"))
