"""The pipeline against a real GCS server, through the command line."""

from __future__ import annotations

import json
import sys
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from conftest import DATA, REPOSITORY, Command, Ran, process
from emulators.forwarding import Forwarding, forwarding

BUCKET = "demo-bucket"
SAMPLES = {"yellow": "2019-02", "green": "2019-02", "fhv": "2019-01", "fhvhv": "2019-02"}
SOURCE = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"


@pytest.fixture
def wire(gcs_server: str) -> Iterator[Forwarding]:
    with forwarding(gcs_server) as wire:
        yield wire


@dataclass
class Cloud:
    """A bucket prefix of its own, and an independent client: plain HTTP."""

    server: str
    wire: Forwarding
    taxi: Command
    prefix: str
    folder: Path

    def run(self, dataset: str, *more: str, store: bool = True, code: int = 0, **environment: str) -> Ran:
        where = ("--store", f"gs://{BUCKET}/{self.prefix}") if store else ()
        part = ("--dataset", dataset, "--month", SAMPLES[dataset], "--source", SOURCE, "--json")
        ran = self.taxi("run", *part, *where, *more, STORAGE_EMULATOR_HOST=self.wire.url, **environment)
        assert ran.code == code, ran.err
        return ran

    def name(self, dataset: str) -> str:
        return f"{self.prefix}/{dataset}/{dataset}_tripdata_{SAMPLES[dataset]}.parquet"

    def fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.server}/storage/v1/b/{BUCKET}/o/{path}") as reply:
            return bytes(reply.read())

    def metadata(self, dataset: str) -> Any:
        return json.loads(self.fetch(urllib.parse.quote(self.name(dataset), safe="")))

    def content(self, dataset: str) -> bytes:
        return self.fetch(urllib.parse.quote(self.name(dataset), safe="") + "?alt=media")

    def stranger(self, dataset: str, content: bytes) -> None:
        where = f"{self.server}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={self.name(dataset)}"
        urllib.request.urlopen(urllib.request.Request(where, content)).close()

    def delete(self, dataset: str) -> None:
        where = f"{self.server}/storage/v1/b/{BUCKET}/o/{urllib.parse.quote(self.name(dataset), safe='')}"
        urllib.request.urlopen(urllib.request.Request(where, method="DELETE")).close()

    def parquet(self, dataset: str) -> bytes:
        return (
            self.folder / "data" / "parquet" / dataset / f"{dataset}_tripdata_{SAMPLES[dataset]}.parquet"
        ).read_bytes()


@pytest.fixture
def cloud(gcs_server: str, wire: Forwarding, taxi: Command, tmp_path: Path) -> Cloud:
    return Cloud(gcs_server, wire, taxi, uuid.uuid4().hex, tmp_path)


@pytest.mark.parametrize("dataset", SAMPLES)
def test_the_object_is_the_parquet_file_with_mark_and_provenance(cloud: Cloud, dataset: str) -> None:
    rows = cloud.run(dataset).document["parts"][0]["rows"]
    assert cloud.content(dataset) == cloud.parquet(dataset)
    told = cloud.metadata(dataset)["metadata"]
    receipt = json.loads(
        (cloud.folder / "data/state/receipts" / dataset / SAMPLES[dataset] / "parquetize.json").read_text()
    )
    assert (told["taxi-ingest-mark"], told["rows"]) == (receipt["mark"], str(rows))
    assert google_crc32c.Checksum(cloud.content(dataset)).digest().hex() == receipt["crc32c"]


def test_a_second_run_is_one_listing_a_dataset_and_no_upload(cloud: Cloud) -> None:
    for dataset in SAMPLES:
        cloud.run(dataset)
        cloud.wire.requests.clear()
        again = cloud.run(dataset)
        assert set(again.steps[0].values()) == {"up_to_date"}
        assert [(method, path.split("?")[0]) for method, path in cloud.wire.requests] == [
            ("GET", f"/storage/v1/b/{BUCKET}/o")
        ]


@pytest.mark.parametrize("harm", ["deleted", "overwritten by a stranger", "metadata removed"])
def test_a_harmed_object_is_repaired_and_nothing_else_touched(cloud: Cloud, harm: str) -> None:
    cloud.run("yellow")
    cloud.run("green")
    neighbour = cloud.metadata("green")
    if harm == "deleted":
        cloud.delete("yellow")
    else:
        cloud.stranger("yellow", b"a stranger's" if harm.startswith("over") else cloud.content("yellow"))
    again = cloud.run("yellow")
    done = {step for step, outcome in again.steps[0].items() if outcome == "done"}
    assert (done, cloud.content("yellow")) == ({"upload"}, cloud.parquet("yellow"))
    assert "taxi-ingest-mark" in cloud.metadata("yellow")["metadata"]
    assert cloud.metadata("green")["generation"] == neighbour["generation"]


def test_a_strangers_object_under_the_name_of_ours_is_refused(cloud: Cloud) -> None:
    cloud.stranger("yellow", b"a stranger's")
    ran = cloud.run("yellow", code=1)
    assert (ran.steps[0]["upload"], cloud.content("yellow")) == ("failed", b"a stranger's")
    assert "was not made by taxi-ingest" in ran.err


def test_the_store_may_be_named_by_environment(cloud: Cloud) -> None:
    cloud.run("yellow", store=False, TAXI_INGEST_GLOBAL__STORE=f"gs://{BUCKET}/{cloud.prefix}")
    assert cloud.content("yellow") == cloud.parquet("yellow")


def test_the_store_may_be_named_by_the_config_file(cloud: Cloud) -> None:
    (cloud.folder / "config.toml").write_text(f'[global]\nstore = "gs://{BUCKET}/{cloud.prefix}"\n')
    cloud.run("yellow", store=False)
    assert cloud.content("yellow") == cloud.parquet("yellow")


def test_plain_doit_uploads_to_the_same_store(cloud: Cloud) -> None:
    environment = {
        "TAXI_INGEST_GLOBAL__STORE": f"gs://{BUCKET}/{cloud.prefix}",
        "TAXI_INGEST_GLOBAL__DATA_DIR": str(cloud.folder / "data"),
        "TAXI_INGEST_GLOBAL__SOURCE": SOURCE,
        "STORAGE_EMULATOR_HOST": cloud.wire.url,
    }
    command = [sys.executable, "-m", "doit", "-f", str(REPOSITORY / "dodo.py"), "month=2019-02", "upload"]
    ran = process(command, REPOSITORY, environment)
    assert (ran.code, cloud.content("yellow")) == (0, cloud.parquet("yellow")), ran.err


def test_listing_the_tasks_asks_no_far_side(cloud: Cloud) -> None:
    cloud.run("yellow")
    cloud.wire.requests.clear()
    environment = {
        "TAXI_INGEST_GLOBAL__STORE": f"gs://{BUCKET}/{cloud.prefix}",
        "TAXI_INGEST_GLOBAL__DATA_DIR": str(cloud.folder / "data"),
        "STORAGE_EMULATOR_HOST": cloud.wire.url,
    }
    command = [sys.executable, "-m", "doit", "-f", str(REPOSITORY / "dodo.py"), "month=2019-02", "list", "--all", "-s"]
    listed = process(command, REPOSITORY, environment)
    tasks = [line.split()[0] for line in listed.out.splitlines() if ":yellow" in line]
    assert (tasks, cloud.wire.requests) == (["U"] * 4, []), listed.err


def test_doctor_finds_a_bucket_that_can_be_used_and_changes_nothing(cloud: Cloud) -> None:
    environment = {"STORAGE_EMULATOR_HOST": cloud.wire.url}
    ran = cloud.taxi("doctor", "--store", f"gs://{BUCKET}/{cloud.prefix}", **environment)
    assert (ran.code, {method for method, _ in cloud.wire.requests} <= {"GET"}) == (0, True), ran.out
    assert "bucket gs://demo-bucket exists" in ran.out


def test_doctor_names_what_is_wrong_and_ends_1(cloud: Cloud) -> None:
    ran = cloud.taxi("doctor", "--store", "gs://no-such-bucket", STORAGE_EMULATOR_HOST=cloud.wire.url)
    assert (ran.code, "There is no bucket gs://no-such-bucket" in ran.out) == (1, True)


def test_doctor_looks_at_a_folder_too(taxi: Command) -> None:
    ran = taxi("doctor")
    assert (ran.code, "can be written" in ran.out) == (0, True)


def test_verify_finds_an_object_that_somebody_replaced_and_repairs_it(cloud: Cloud) -> None:
    cloud.run("green")
    cloud.stranger("green", b"not ours")
    where = ("--store", f"gs://{BUCKET}/{cloud.prefix}", "--json")
    ran = cloud.taxi("verify", "--repair", *where, STORAGE_EMULATOR_HOST=cloud.wire.url)
    assert [(one["copy"], one["where"]) for one in ran.document["parts"][0]["findings"]] == [
        ("object", f"gs://{BUCKET}/{cloud.name('green')}")
    ]
    assert (ran.code, cloud.content("green")) == (0, cloud.parquet("green"))
