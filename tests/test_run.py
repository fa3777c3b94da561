"""The main job, end to end: a published month becomes a table, once."""

from __future__ import annotations

import csv
import shutil
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ALL_UP_TO_DATE, MONTH, REPOSITORY, Command, Loaded, Publisher, Ran, only, process, query
from dates import months_ago
from filelock import FileLock

from taxi_ingest import exits
from taxi_ingest.engine.lock import locked


def test_a_real_month_becomes_a_table_of_all_its_rows(loaded: Loaded) -> None:
    assert loaded.first.code == 0, loaded.first.err
    assert query(loaded.data / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]


def test_every_value_of_the_table_is_that_of_the_csv(loaded: Loaded) -> None:
    with MONTH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    readings: dict[str, Any] = {
        "tpep_pickup_datetime": datetime.fromisoformat,
        "tpep_dropoff_datetime": datetime.fromisoformat,
        "store_and_fwd_flag": str,
        **dict.fromkeys(
            ("VendorID", "passenger_count", "RatecodeID", "PULocationID", "DOLocationID", "payment_type"), int
        ),
    }
    for column in rows[0]:
        read = readings.get(column, float)
        there = query(loaded.data / "taxi.duckdb", f'SELECT "{column}" FROM yellow_tripdata ORDER BY rowid')
        assert [value for (value,) in there] == [read(row[column]) if row[column] else None for row in rows], column


def test_file_month_is_the_first_day_of_the_files_month(loaded: Loaded) -> None:
    assert query(loaded.data / "taxi.duckdb", "SELECT DISTINCT file_month FROM yellow_tripdata") == [
        (date(2020, 1, 1),)
    ]


def test_the_document_tells_rows_rejects_and_outcomes(loaded: Loaded) -> None:
    document = loaded.first.document
    assert document["exit"] == 0
    assert document["parts"] == [
        {
            "dataset": "yellow",
            "month": "2020-01",
            "source": loaded.publisher.template,
            "rows": 999,
            "rejects": 0,
            "steps": dict.fromkeys(ALL_UP_TO_DATE, "done"),
            "notes": [],
        }
    ]


def test_a_second_run_does_nothing_and_asks_nobody(loaded: Loaded) -> None:
    again = loaded.run()
    assert (again.code, again.steps, loaded.publisher.requests) == (0, [ALL_UP_TO_DATE], [])


@pytest.mark.parametrize(
    ("gone", "redone"),
    [
        ([], ()),
        (["raw"], ()),
        (["parquet"], ("parquetize",)),
        (["raw", "parquet"], ("download", "parquetize")),
        (["lake"], ("upload",)),
        (["taxi.duckdb"], ("load",)),
        (["state/receipts/yellow/2020-01/parquetize.json"], ()),
        (["state/receipts/yellow/2020-01/upload.json"], ()),
        (["state/receipts/yellow/2020-01/load.json"], ()),
        ([f"state/receipts/yellow/2020-01/{step}.json" for step in ("parquetize", "upload", "load")], ()),
        (["state/doit", "state/doit.db", "state/doit.sqlite"], ()),
        (["state/history.sqlite"], ()),
        (["state"], ()),
        (["state", "raw", "parquet"], ()),
        (["state", "raw", "parquet", "lake"], ("download", "parquetize", "upload")),
    ],
    ids=lambda value: "+".join(value) or "nothing",
)
def test_what_is_deleted_is_made_again_and_nothing_else(
    loaded: Loaded, gone: list[str], redone: tuple[str, ...]
) -> None:
    for name in gone:
        path = loaded.data / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    again = loaded.run()
    assert (again.code, again.steps) == (0, [only(*redone)]), again.err


def test_after_anything_deleted_the_table_is_the_same(loaded: Loaded) -> None:
    before = loaded.table
    shutil.rmtree(loaded.data / "state")
    loaded.run()
    assert loaded.table == before


def test_a_month_deleted_from_the_table_is_loaded_again(loaded: Loaded) -> None:
    with duckdb.connect(str(loaded.data / "taxi.duckdb")) as db:
        db.execute("DELETE FROM yellow_tripdata WHERE VendorID = 1")
    again = loaded.run()
    assert (again.steps, len(loaded.table)) == ([only("load")], 999)


def test_a_parquet_that_someone_changed_is_made_again(loaded: Loaded) -> None:
    (parquet,) = loaded.data.glob("parquet/yellow/*.parquet")
    parquet.unlink()  # the folder store may share the file
    parquet.write_bytes(b"PAR1 not really PAR1")
    assert loaded.run().steps == [only("parquetize")]


def test_force_redoes_every_step_of_a_run(loaded: Loaded) -> None:
    again = loaded.run("--force")
    assert (again.steps, len(loaded.table)) == ([dict.fromkeys(ALL_UP_TO_DATE, "done")], 999)


def test_force_on_one_step_redoes_that_step_only(loaded: Loaded) -> None:
    assert loaded.run("--force", verb="load").steps == [only("load")]


def test_other_writer_settings_convert_and_upload_but_do_not_load_again(loaded: Loaded) -> None:
    again = loaded.run(TAXI_INGEST_PARQUETIZE__COMPRESSION="snappy")
    assert again.steps == [only("parquetize", "upload")]


def test_a_damaged_parquet_file_that_lost_its_receipt_never_replaces_a_good_object(loaded: Loaded) -> None:
    parquet, stored = (
        loaded.data / folder / "yellow" / "yellow_tripdata_2020-01.parquet" for folder in ("parquet", "lake")
    )
    good = stored.read_bytes()
    parquet.unlink()  # both are names of one file
    parquet.write_bytes(good[:2000] + bytes([good[2000] ^ 1]) + good[2001:])
    (loaded.data / "state" / "receipts" / "yellow" / "2020-01" / "parquetize.json").unlink()
    assert loaded.run().steps == [only("parquetize")]
    assert (stored.read_bytes(), parquet.read_bytes()) == (good, good)


def test_a_republished_file_replaces_the_month_when_downloaded_again(loaded: Loaded) -> None:
    lines = MONTH.read_bytes().splitlines(keepends=True)
    loaded.publisher.files["/yellow_tripdata_2020-01.csv"] = b"".join(lines[:101])
    again = loaded.run("--force", verb="download")
    assert again.code == 0
    assert loaded.run().steps == [only("parquetize", "upload", "load")]
    assert len(loaded.table) == 100


def test_without_kept_parquet_a_run_makes_it_only_for_a_later_step(loaded: Loaded) -> None:
    shutil.rmtree(loaded.data / "parquet")
    assert loaded.run(TAXI_INGEST_GLOBAL__KEEP="").steps == [ALL_UP_TO_DATE]
    before = loaded.table
    (loaded.data / "taxi.duckdb").unlink()
    assert loaded.run(TAXI_INGEST_GLOBAL__KEEP="").steps == [only("load")]  # the store has the Parquet
    assert loaded.table == before
    (loaded.data / "taxi.duckdb").unlink()
    shutil.rmtree(loaded.data / "lake")
    assert loaded.run(TAXI_INGEST_GLOBAL__KEEP="").steps == [only("parquetize", "upload", "load")]
    assert loaded.table == before


@pytest.fixture
def doit(loaded: Loaded) -> Command:
    """Plain doit over the state of `loaded`: `doit("list", "--all")`."""
    environment = {
        "TAXI_INGEST_GLOBAL__DATA_DIR": str(loaded.data),
        "TAXI_INGEST_GLOBAL__SOURCE": loaded.publisher.template,
    }

    def run(*arguments: str) -> Ran:
        command = [sys.executable, "-m", "doit", "-f", str(REPOSITORY / "dodo.py"), "month=2020-01", *arguments]
        return process(command, REPOSITORY, environment)

    return run


def test_plain_doit_lists_every_task_as_up_to_date(doit: Command) -> None:
    listed = doit("list", "--all", "--status")
    tasks = [line.split()[:2] for line in listed.out.splitlines() if ":" in line.split()[1]]
    assert sorted(tasks) == sorted(["U", f"{step}:yellow-2020-01"] for step in ALL_UP_TO_DATE), listed.err


def test_plain_doit_has_nothing_to_do_either(doit: Command, loaded: Loaded) -> None:
    done = doit("parquetize")
    assert (done.code, done.err, loaded.publisher.requests) == (0, "", [])


def test_doit_info_says_why_a_task_would_run(doit: Command, loaded: Loaded) -> None:
    assert doit("info", "load:yellow-2020-01").code == 0
    (loaded.data / "taxi.duckdb").unlink()
    assert "the table lacks the month" in doit("info", "load:yellow-2020-01").out


def test_doit_clean_removes_local_files_and_never_objects_or_rows(doit: Command, loaded: Loaded) -> None:
    assert doit("clean", "--clean-all").code == 0
    assert [path for path in (loaded.data / "parquet").rglob("*") if path.is_file()] == []
    assert len(list((loaded.data / "lake").rglob("*.parquet"))) == 1
    assert len(loaded.table) == 999


def test_doit_clean_removes_nothing_while_a_run_is_at_work(doit: Command, loaded: Loaded) -> None:
    with locked(loaded.data / "state" / "lock", wait=False):
        cleaned = doit("clean", "--clean-all")
    assert (cleaned.code, "Another run" in cleaned.err) == (exits.LOCKED, True)
    assert len(list(loaded.data.rglob("*.csv"))) == 1


def test_doit_clean_as_a_dry_run_removes_nothing(doit: Command, loaded: Loaded) -> None:
    before = sorted(loaded.data.rglob("*"))
    told = doit("clean", "-n", "parquetize")
    assert ("removing file" in told.out, sorted(loaded.data.rglob("*"))) == (True, before)


def test_plain_doit_ends_75_when_another_run_holds_the_lock(doit: Command, loaded: Loaded) -> None:
    with FileLock(loaded.data / "state" / "lock"):
        ran = doit("load")
    assert (ran.code, "Another run holds" in ran.err) == (75, True)


@pytest.mark.parametrize(
    ("missing", "code", "outcome"), [(months_ago(2), 4, "not_published"), ("2020-02", 1, "failed")]
)
def test_one_missing_month_of_three_leaves_the_other_two_loaded(
    taxi: Command, publisher: Publisher, tmp_path: Path, missing: str, code: int, outcome: str
) -> None:
    months = sorted({"2020-01", "2020-03", missing})
    for month in months:
        if month != missing:
            publisher.files[f"/yellow_tripdata_{month}.csv"] = MONTH.read_bytes()
    ran = taxi("run", "--month", ",".join(months), "--source", publisher.template, "--json")
    assert ran.code == code
    ends = {part["month"]: part["steps"]["load"] for part in ran.document["parts"]}
    behind = {"failed": "blocked"}.get(outcome, outcome)
    assert ends == {"2020-01": "done", "2020-03": "done", missing: behind}
    loaded = query(tmp_path / "data" / "taxi.duckdb", "SELECT count(DISTINCT file_month) FROM yellow_tripdata")
    assert loaded == [(2,)]
    sentences = [line for line in ran.err.splitlines() if missing in line and "http://" in line]
    assert len(sentences) == 1


def test_nothing_secret_of_a_source_is_kept_anywhere(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/2020-01.csv?token=hunter2"] = MONTH.read_bytes()
    template = publisher.url.replace("//", "//me:hunter2@") + "/{month}.csv?token=hunter2"
    ran = taxi("run", "--month", "2020-01", "--source", template, "--json")
    assert ran.code == 0, ran.err
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert (kept, "hunter2" in ran.out + ran.err) == ([], False)


def test_the_demo_runs_offline_and_says_how_to_open_the_table(taxi: Command, tmp_path: Path) -> None:
    ran = taxi("run", "--source", "demo", "--month", "2021-01", TAXI_INGEST_DEMO__ROWS="1000")
    assert ran.code == 0, ran.err
    (hint,) = [line for line in ran.out.splitlines() if line.startswith("Look at it: ")]
    shown = process(["sh", "-c", hint.removeprefix("Look at it: ")], tmp_path)
    assert "tpep_pickup_datetime" in shown.out, shown.err
    assert query(tmp_path / "demo-data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(1000,)]


@pytest.mark.parametrize("verb", ["upload", "run"])
def test_the_demo_does_not_take_the_place_of_a_real_object(loaded: Loaded, taxi: Command, verb: str) -> None:
    lake = loaded.data / "lake"
    (object_,) = lake.rglob("*.parquet")
    before = object_.read_bytes()
    ran = taxi(verb, "--source", "demo", "--month", "2020-01", "--data-dir", "elsewhere", "--store", str(lake))
    assert (ran.code != 0, object_.read_bytes() == before) == (True, True)
    assert "holds the real yellow-2020-01" in ran.err


def test_the_demo_stays_out_of_a_table_with_real_months(loaded: Loaded, taxi: Command) -> None:
    before = loaded.table
    ran = taxi("run", "--source", "demo", "--month", "2021-01", "--data-dir", str(loaded.data))
    assert (ran.code, loaded.table) == (2, before)
    assert "holds real months" in ran.err


def test_parquet_that_a_killed_run_left_without_a_receipt_goes_where_it_is_not_kept(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    month = ("--month", "2020-01", "--source", publisher.template)
    assert taxi("parquetize", *month, TAXI_INGEST_GLOBAL__KEEP="").code == 0
    (receipt,) = tmp_path.glob("data/state/receipts/yellow/2020-01/parquetize.json")
    receipt.unlink()
    assert taxi("run", *month, TAXI_INGEST_GLOBAL__KEEP="").code == 0
    assert not list(tmp_path.glob("data/parquet/yellow/*.parquet"))
    assert set(taxi("run", *month, "--json", TAXI_INGEST_GLOBAL__KEEP="").steps[0].values()) == {"up_to_date"}
