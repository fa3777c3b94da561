"""A machine without receipts takes over what the store holds, and fetches no published file for it."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from conftest import MONTH, Command, Publisher, Ran, query, serve

BUCKET = "demo-bucket"


@pytest.fixture(params=["gs", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "lake")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", request.getfixturevalue("gcs_server"))
    return f"gs://{BUCKET}/{uuid.uuid4().hex}"


class Machines:
    """Machines that share a store and a publisher; each has a data directory and a DuckDB file of its own."""

    def __init__(self, taxi: Command, publisher: Publisher, store: str, folder: Path) -> None:
        publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
        self.taxi, self.publisher, self.store, self.folder = taxi, publisher, store, folder

    def run(self, machine: str, *more: str, verb: str = "run") -> Ran:
        where = ("--store", self.store, "--data-dir", str(self.folder / machine))
        ran = self.taxi(verb, "--month", "2020-01", *where, "--json", *more)
        assert ran.code == 0, ran.err
        return ran

    def first(self) -> None:
        self.run("first", "--source", self.publisher.template)
        self.publisher.requests.clear()

    def rows(self, machine: str) -> list[tuple[object, ...]]:
        return query(self.folder / machine / "taxi.duckdb", "FROM yellow_tripdata ORDER BY ALL")


@pytest.fixture
def machines(taxi: Command, publisher: Publisher, store: str, tmp_path: Path) -> Machines:
    return Machines(taxi, publisher, store, tmp_path)


def test_it_loads_what_the_store_holds_without_asking_the_publisher(machines: Machines) -> None:
    machines.first()
    ran = machines.run("second")
    assert ran.steps == [{"download": "up_to_date", "parquetize": "up_to_date", "upload": "up_to_date", "load": "done"}]
    assert (machines.publisher.requests, machines.rows("second")) == ([], machines.rows("first"))


def test_it_then_knows_what_the_first_machine_knew(machines: Machines) -> None:
    machines.first()
    second, first = (machines.run(machine).document["parts"][0] for machine in ("second", "first"))
    known = ("source", "rows", "rejects", "notes")
    assert [second[name] for name in known] == [first[name] for name in known]
    assert set(machines.run("second").steps[0].values()) == {"up_to_date"}


def test_its_plan_is_to_load_and_writes_nothing(machines: Machines) -> None:
    machines.first()
    steps = machines.run("second", verb="plan").document["parts"][0]["steps"]
    assert {step: told["action"] for step, told in steps.items()} == {
        "download": "up_to_date", "parquetize": "up_to_date", "upload": "up_to_date", "load": "run",
    }  # fmt: skip
    assert not list((machines.folder / "second").rglob("*.json"))


def test_it_notices_what_the_publisher_changed_since(machines: Machines) -> None:
    machines.first()
    header, *lines = MONTH.read_bytes().splitlines(keepends=True)
    shorter = b"".join([header, *lines[1:]])
    machines.publisher.files["/yellow_tripdata_2020-01.csv"] = lambda to: serve(to, shorter, etag='"2"')
    ran = machines.run("second", "--refresh")
    assert (ran.steps, len(machines.rows("second"))) == ([dict.fromkeys(ran.steps[0], "done")], 998), ran.err


def test_another_source_is_fetched_all_the_same(machines: Machines) -> None:
    machines.first()
    ran = machines.run("second", "--source", MONTH.parent.as_uri() + "/{dataset}_tripdata_{month}.csv")
    assert ran.steps[0]["download"] == "done"


def test_with_strict_it_fetches_a_file_that_may_be_odd(machines: Machines) -> None:
    header, *lines = MONTH.read_bytes().splitlines(keepends=True)
    odd = [b"odd," + header, *(b"1," + line for line in lines if line.strip())]
    machines.publisher.files["/yellow_tripdata_2020-01.csv"] = b"".join(odd)
    machines.run("first", "--source", machines.publisher.template)
    with pytest.raises(AssertionError, match="unknown column"):
        machines.run("second", "--strict")


def test_made_up_months_that_the_store_holds_stay_out_of_a_table_of_real_ones(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    store = ("--store", str(tmp_path / "lake"))
    rows = {"TAXI_INGEST_DEMO__ROWS": "50"}
    assert taxi("run", "--month", "2020-02", *store, "--source", "demo", "--data-dir", "demo", **rows).code == 0
    real = ("--month", "2020-01", "--source", publisher.template)
    assert taxi("run", *real, *store, "--data-dir", "real").code == 0
    ran = taxi("run", "--month", "2020-02", *store, "--data-dir", "real", "--json")
    assert (ran.code, ran.steps[0]["load"]) == (1, "failed")
    assert "made-up rows stay out of it" in ran.err
    assert query(tmp_path / "real" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]


def test_a_damaged_object_is_never_loaded_and_the_next_run_makes_it_anew(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    machines = Machines(taxi, publisher, str(tmp_path / "lake"), tmp_path)
    machines.first()
    stored = tmp_path / "lake" / "yellow" / "yellow_tripdata_2020-01.parquet"
    whole, times = stored.read_bytes(), stored.stat()
    stored.unlink()  # it shares its bytes with the first machine's file
    stored.write_bytes(whole[:900] + bytes((whole[900] ^ 1,)) + whole[901:])
    os.utime(stored, ns=(times.st_atime_ns, times.st_mtime_ns))
    again = ("--month", "2020-01", "--store", str(tmp_path / "lake"), "--data-dir", "second", "--json")
    ran = taxi("run", *again)
    assert (ran.code, ran.steps[0]["load"]) == (1, "failed")
    assert taxi("run", *again).code == 0
    assert machines.rows("second") == machines.rows("first")
    assert stored.read_bytes() == whole
