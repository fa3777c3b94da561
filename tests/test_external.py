"""load.method = external: the table is a view over the folder store, with the same rows, marks and promises."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import ALL_UP_TO_DATE, DATA, Command, query

from taxi_ingest import settings
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.engine.part import run_part
from taxi_ingest.engine.workplace import Workplace
from taxi_ingest.errors import UsageError, WarehouseError
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.job import make_job
from taxi_ingest.state.plan import make_plan

MONTHS = ("2019-02", "2020-01", "2020-07")
TABLE = "yellow_tripdata"
FILES = f"{DATA.as_uri()}/{{dataset}}_tripdata_{{month}}.csv"


class Lake:
    """A data directory, worked on in this process."""

    def __init__(self, folder: Path, *, months: str = ",".join(MONTHS), **given: str) -> None:
        self.folder = folder
        self.given = {
            "shared.month": months,
            "global.source": FILES,
            "global.data_dir": str(folder / "data"),
            "global.warehouse": f"duckdb:{folder / 'w.duckdb'}",
            **{name.replace("__", "."): value for name, value in given.items()},
        }

    def job(self, method: str, *, verb: str = "run", force: bool = False, **given: str) -> Any:
        more = {name.replace("__", "."): value for name, value in given.items()}
        job, _ = make_job(settings.read({**self.given, "load.method": method, **more}), verb=verb, force=force)
        return job

    def run(self, method: str, **how: Any) -> list[dict[Step, Outcome]]:
        """Take all parts through all steps, and return the outcomes of each part."""
        job = self.job(method, **how)
        with Workplace.of(job) as workplace:
            return [dict(run_part(job, part, workplace=workplace).outcomes) for part in job.parts]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return query(self.folder / "w.duckdb", sql)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return sorted(self.query(f"FROM {TABLE}"), key=str)

    @property
    def marks(self) -> list[tuple[Any, ...]]:
        return self.query('SELECT table_name, file_month, mark, "rows", source FROM _loads ORDER BY ALL')

    @property
    def kind(self) -> str:
        (kind,) = self.query(f"SELECT table_type FROM information_schema.tables WHERE table_name = '{TABLE}'")
        return str(kind[0])

    def object(self, month: str) -> Path:
        return self.folder / "data" / "lake" / "yellow" / f"{TABLE}_{month}.parquet"


def outcomes(*done: Step) -> dict[str, str]:
    return ALL_UP_TO_DATE | dict.fromkeys(done, "done")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


@pytest.mark.parametrize("dataset", ["yellow", "green", "fhv", "fhvhv"])
def test_every_real_sample_is_the_same_by_both_methods(tmp_path: Path, dataset: str) -> None:
    months = ",".join(path.stem.rpartition("_")[2] for path in DATA.glob(f"{dataset}_tripdata_*.csv"))
    lake = Lake(tmp_path, months=months, shared__dataset=dataset)
    assert loaded_again_by_both_methods(lake) == {"up_to_date"}
    assert differences(lake, dataset_named(dataset).table) == []


def test_the_zones_are_the_same_by_both_methods(tmp_path: Path) -> None:
    source = (DATA / "taxi_zone_lookup.csv").as_uri()
    zones = Lake(tmp_path, shared__dataset="zones", global__source=source)
    del zones.given["shared.month"]
    assert loaded_again_by_both_methods(zones) == {"up_to_date"}
    assert differences(zones, "taxi_zone_lookup") == []


def loaded_again_by_both_methods(lake: Lake) -> set[str]:
    """Load into w.duckdb as a table and into x.duckdb as a view; returns the outcomes of a second run of both."""
    other = f"duckdb:{lake.folder / 'x.duckdb'}"
    lake.run("table")
    lake.run("external", global__warehouse=other)
    again = [*lake.run("table"), *lake.run("external", global__warehouse=other)]
    return {outcome for steps in again for outcome in steps.values()}


def differences(lake: Lake, table: str) -> list[str]:
    """How the view differs from the table: in rows, columns, types or comments."""
    found = []
    with duckdb.connect() as db:
        for name in ("w", "x"):
            db.execute(f"ATTACH '{lake.folder / name}.duckdb' AS {name} (READ_ONLY)")
            if db.execute(f"SELECT count(*) FROM {name}.{table}").fetchall() == [(0,)]:
                found.append(f"{name} has no rows")
        for one, another in (("w", "x"), ("x", "w")):
            only = db.execute(f"FROM {one}.{table} EXCEPT ALL FROM {another}.{table}").fetchall()
            found += [f"only {one} has {row}" for row in only]
        described = [
            db.execute(
                "SELECT column_name, data_type, comment FROM duckdb_columns() "
                f"WHERE database_name = '{name}' AND table_name = '{table}' ORDER BY column_index"
            ).fetchall()
            for name in ("w", "x")
        ]
    return found if described[0] == described[1] else [*found, f"columns are {described}"]


def test_nothing_is_copied(lake: Lake) -> None:
    lake.run("external")
    assert lake.kind == "VIEW"
    assert lake.query("SELECT table_name FROM duckdb_tables()") == [("_loads",)]


def test_switching_back_and_forth_keeps_every_row_and_mark(lake: Lake) -> None:
    lake.run("table")
    rows, marks = lake.rows, lake.marks
    for method, kind in (("external", "VIEW"), ("table", "BASE TABLE")) * 2:
        first, *others = lake.run(method)
        assert (first, others) == (outcomes("load"), [ALL_UP_TO_DATE] * 2)
        assert (lake.kind, lake.rows, lake.marks) == (kind, rows, marks)
        assert lake.run(method) == [ALL_UP_TO_DATE] * 3


def test_a_switch_by_one_month_brings_all_the_others_along(lake: Lake) -> None:
    lake.run("table", shared__month=",".join(MONTHS[:2]))
    before = lake.rows
    lake.run("external", shared__month=MONTHS[2])
    assert len(lake.rows) > len(before)
    assert set(before) <= set(lake.rows)
    assert lake.run("external") == [ALL_UP_TO_DATE] * 3


@pytest.mark.parametrize(
    ("before", "method", "why"),
    [
        ("table", "external", "the table is to become a view over the store's files (load.method = external)"),
        ("external", "table", "the view is to become a table (load.method = table)"),
    ],
)
def test_the_plan_says_that_a_table_will_be_switched(lake: Lake, before: str, method: str, why: str) -> None:
    lake.run(before)
    for part in make_plan(lake.job(method)).parts:
        assert {step: foreseen.why for step, foreseen in part.steps.items() if foreseen.action != "up_to_date"} == {
            "load": why
        }


def test_a_view_takes_no_disk_in_the_plan(lake: Lake) -> None:
    assert make_plan(lake.job("external")).disk_bytes < make_plan(lake.job("table")).disk_bytes
    lake.run("external")
    assert make_plan(lake.job("external")).disk_bytes == 0 < make_plan(lake.job("table")).disk_bytes


def test_months_that_are_copied_along_are_counted_in_the_plan(lake: Lake) -> None:
    lake.run("external")
    all_months, one_month = make_plan(lake.job("table")), make_plan(lake.job("table", shared__month=MONTHS[0]))
    assert [part.part.month for part in one_month.parts] == [MONTHS[0]]
    assert one_month.disk_bytes == pytest.approx(all_months.disk_bytes, abs=len(MONTHS))  # each is a rounded estimate
    assert all_months.disk_bytes > 0


def test_several_months_at_once_switch_once(taxi: Command, lake: Lake) -> None:
    lake.run("table")
    place = ("--data-dir", lake.given["global.data_dir"], "--warehouse", lake.given["global.warehouse"])
    arguments = ("--month", ",".join(MONTHS), "--source", FILES, *place, "--json")
    ran = taxi("run", *arguments, TAXI_INGEST_LOAD__METHOD="external")
    assert (ran.code, sorted(step["load"] for step in ran.steps)) == (0, ["done", "up_to_date", "up_to_date"]), ran.err


def test_an_object_deleted_from_the_lake_is_uploaded_and_loaded_again(lake: Lake) -> None:
    lake.run("external")
    rows = lake.rows
    lake.object("2020-01").unlink()
    assert lake.run("external") == [ALL_UP_TO_DATE, outcomes("upload", "load"), ALL_UP_TO_DATE]
    assert lake.rows == rows


def test_a_whole_lake_that_is_gone_is_made_again_in_one_run(lake: Lake) -> None:
    lake.run("external")
    rows = lake.rows
    shutil.rmtree(lake.folder / "data" / "lake")
    assert lake.run("external") == [outcomes("upload", "load")] * 3
    assert lake.rows == rows


@pytest.mark.parametrize(
    ("change", "redone"),
    [
        ("cut", ("upload", "load")),
        ("emptied", ("upload", "load")),
        ("fewer rows", ("upload", "load")),
        ("other rows", ("upload", "load")),
        ("other rows with our footer", ("upload",)),
    ],
)
def test_an_object_changed_behind_our_back_is_put_right(lake: Lake, change: str, redone: tuple[Step, ...]) -> None:
    lake.run("external")
    rows, target = lake.rows, lake.object("2020-01")
    content, there = target.read_bytes(), pq.read_table(target)
    changed = there.set_column(0, "VendorID", there["DOLocationID"])
    target.unlink()  # the folder store may share the file
    match change:
        case "cut":
            target.write_bytes(content[:-100])
        case "emptied":
            target.touch()
        case "fewer rows":
            pq.write_table(there.slice(1), target)
        case "other rows":
            pq.write_table(changed.replace_schema_metadata(None), target)
        case "other rows with our footer":
            pq.write_table(changed, target)
    assert lake.run("external") == [ALL_UP_TO_DATE, outcomes(*redone), ALL_UP_TO_DATE]
    assert lake.rows == rows


def test_a_forced_run_and_a_forced_load_leave_the_same_rows(lake: Lake) -> None:
    lake.run("external")
    rows, marks = lake.rows, lake.marks
    lake.run("external", force=True)
    assert lake.run("external", verb="load", force=True) == [outcomes("load")] * 3
    assert (lake.rows, lake.marks) == (rows, marks)


def test_a_month_from_another_source_replaces_that_month_only(lake: Lake) -> None:
    lake.run("external")
    before = lake.query(f"SELECT * FROM {TABLE} WHERE file_month <> DATE '2020-01-01' ORDER BY ALL")
    source = (DATA / "yellow_tripdata_2020-06.csv").as_uri()
    lake.run("external", shared__month="2020-01", global__source=source)
    with (DATA / "yellow_tripdata_2020-06.csv").open() as file:
        expected = len(file.readlines()) - 1
    assert lake.query(f"SELECT count(*) FROM {TABLE} WHERE file_month = DATE '2020-01-01'") == [(expected,)]
    assert lake.query(f"SELECT * FROM {TABLE} WHERE file_month <> DATE '2020-01-01' ORDER BY ALL") == before


def test_other_writer_settings_convert_and_upload_but_do_not_load_again(lake: Lake) -> None:
    lake.run("external")
    rows = lake.rows
    snappy = {"parquetize__compression": "snappy"}
    assert lake.run("external", **snappy) == [outcomes("parquetize", "upload")] * 3
    assert lake.run("external", **snappy) == [ALL_UP_TO_DATE] * 3
    assert lake.rows == rows


@pytest.mark.parametrize("name", ["taxi [12] * = 'x'", 'file_month=1?"{a,b}"'])
def test_a_store_of_any_name_is_shown(tmp_path: Path, name: str) -> None:
    lake = Lake(tmp_path, months="2020-01", global__store=str(tmp_path / name))
    lake.run("external")
    assert len(lake.rows) == 999
    assert lake.run("external") == [ALL_UP_TO_DATE]
    lake.run("table")
    assert len(lake.rows) == 999


def test_months_of_two_stores_stand_in_one_view_and_move_into_one_table(lake: Lake) -> None:
    lake.run("external", shared__month="2019-02", global__store=str(lake.folder / "one"))
    lake.run("external", shared__month="2020-01", global__store=str(lake.folder / "two"))
    rows = lake.rows
    assert {month for *_, month in rows} == {row[1] for row in lake.marks}
    lake.run("table", shared__month="2020-01", global__store=str(lake.folder / "two"))
    assert (lake.kind, lake.rows) == ("BASE TABLE", rows)


def files_shown(lake: Lake) -> set[Path]:
    """The folders whose files the view shows."""
    return {Path(file).parent.parent for (file,) in lake.query("SELECT file FROM _loads")}


def test_a_run_to_another_store_shows_the_files_of_that_store(lake: Lake) -> None:
    lake.run("external")
    rows, marks, other = lake.rows, lake.marks, lake.folder / "other"
    assert lake.run("external", global__store=str(other)) == [outcomes("upload", "load")] * 3
    assert (files_shown(lake), lake.rows, lake.marks) == ({other}, rows, marks)
    assert lake.run("external", global__store=str(other)) == [ALL_UP_TO_DATE] * 3
    shutil.rmtree(lake.folder / "data" / "lake")
    assert lake.rows == rows


def test_a_copied_data_directory_shows_its_own_files(tmp_path: Path) -> None:
    original = Lake(tmp_path / "one", global__warehouse=f"duckdb:{tmp_path / 'one' / 'w.duckdb'}")
    original.run("external")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    copied = Lake(tmp_path / "two")
    assert copied.run("external") == [outcomes("load")] * 3
    assert files_shown(copied) == {tmp_path / "two" / "data" / "lake"}
    assert files_shown(original) == {tmp_path / "one" / "data" / "lake"}


def test_the_plan_says_that_a_view_shows_files_of_another_store(lake: Lake) -> None:
    lake.run("external")
    (part,) = make_plan(lake.job("external", shared__month="2020-01", global__store=str(lake.folder / "other"))).parts
    assert part.steps["load"].why == f"the view shows a file of another store: {lake.object('2020-01')}"


def test_a_store_named_through_a_link_is_the_same_store(lake: Lake) -> None:
    lake.run("external")
    (lake.folder / "link").symlink_to(lake.folder / "data" / "lake")
    assert lake.run("external", global__store=str(lake.folder / "link")) == [ALL_UP_TO_DATE] * 3


def test_a_store_named_by_a_relative_path_is_the_same_store(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.run("external")
    monkeypatch.chdir(lake.folder)
    assert lake.run("external", global__store="data/lake") == [ALL_UP_TO_DATE] * 3


def test_a_table_whose_objects_are_in_no_store_stays_a_table(lake: Lake) -> None:
    lake.run("table")
    rows, marks = lake.rows, lake.marks
    lake.object("2019-02").unlink()
    lake.object("2020-07").unlink()
    with pytest.raises(WarehouseError) as raised:
        lake.run("external", shared__month="2020-01")
    assert str(raised.value) == (
        f"{TABLE} cannot become a view: no file in {lake.object('2019-02').parent} holds the rows of 2019-02, 2020-07. "
        "It was left as it is. Upload these months to this store first, or stay with load.method = table."
    )
    assert (lake.kind, lake.rows, lake.marks) == ("BASE TABLE", rows, marks)
    lake.run("table", verb="upload")
    lake.run("external")
    assert (lake.kind, lake.rows, lake.marks) == ("VIEW", rows, marks)


@pytest.mark.parametrize(
    ("change", "months"),
    [
        ("UPDATE yellow_tripdata SET fare_amount = 7 WHERE file_month = DATE '2020-07-01'", "2020-07"),
        ("DELETE FROM yellow_tripdata WHERE file_month = DATE '2019-02-01'", "2019-02"),
        ("INSERT INTO yellow_tripdata (file_month) VALUES (DATE '2000-01-01'), (NULL)", "2000-01, no month"),
    ],
)
def test_rows_that_only_the_table_has_are_not_lost_in_a_switch(lake: Lake, change: str, months: str) -> None:
    lake.run("table")
    with duckdb.connect(str(lake.folder / "w.duckdb")) as db:
        db.execute(change)
    rows = lake.rows
    with pytest.raises(WarehouseError, match=f"its rows of {months} are not those of the files"):
        lake.run("external", shared__month="2020-01")
    assert (lake.kind, lake.rows) == ("BASE TABLE", rows)


def test_a_view_whose_file_is_gone_stays_a_view(lake: Lake) -> None:
    lake.run("external")
    marks = lake.marks
    lake.object("2019-02").unlink()
    with pytest.raises(WarehouseError, match="cannot become a table: the files of 2019-02 are gone or changed"):
        lake.run("table", shared__month="2020-01")
    assert (lake.kind, lake.marks) == ("VIEW", marks)
    lake.run("external")
    lake.run("table")
    assert (lake.kind, lake.marks) == ("BASE TABLE", marks)


def switch_for_ever(given: dict[str, str], switched: Any) -> None:
    """Turn the table into a view and back, by loading one month each time, until killed."""
    for method in itertools.cycle(("external", "table")):
        job, _ = make_job(settings.read({**given, "load.method": method}), verb="run")
        run_part(job, job.parts[0])
        switched.set()


def test_a_switch_killed_at_any_moment_leaves_the_old_or_the_new(lake: Lake) -> None:
    lake.run("table")
    rows, marks, moments = lake.rows, lake.marks, random.Random(4)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["duckdb", "taxi_ingest.engine.part", "taxi_ingest.warehouses.duckdb"])
    for number in range(12):
        switched = processes.Event()
        given = {**lake.given, "shared.month": MONTHS[number % 3]}
        process = processes.Process(target=switch_for_ever, args=(given, switched))
        process.start()
        assert switched.wait(60)
        process.join(moments.uniform(0, 0.5))
        assert process.is_alive()
        process.kill()
        process.join()
        assert (lake.rows, lake.marks) == (rows, marks)
        assert lake.kind in {"VIEW", "BASE TABLE"}


def test_a_store_that_the_warehouse_cannot_show_is_refused_before_any_work(lake: Lake) -> None:
    with pytest.raises(UsageError, match="Use a store it reads: a folder"):
        lake.job("external", global__store="gs://bucket/lake")
    with pytest.raises(UsageError, match=r"Possible: load\.method = table\.$"):
        lake.job("external", global__warehouse="postgresql://host/taxi")
    assert list(lake.folder.iterdir()) == []


@pytest.mark.parametrize("method", ["partition", "merge"])
def test_methods_of_bigquery_mean_a_table_to_duckdb(lake: Lake, method: str) -> None:
    lake.run("table", shared__month="2020-01")
    assert lake.run(method, shared__month="2020-01") == [ALL_UP_TO_DATE]
    assert lake.kind == "BASE TABLE"


def test_status_and_doctor_know_a_view(taxi: Command, lake: Lake, tmp_path: Path) -> None:
    lake.run("external")
    environment = {
        "TAXI_INGEST_GLOBAL__WAREHOUSE": lake.given["global.warehouse"],
        "TAXI_INGEST_LOAD__METHOD": "external",
    }
    status = taxi("status", "--json", **environment).document["parts"]
    assert {part["load"]["state"] for part in status} == {"done"}
    doctor = taxi("doctor", **environment)
    assert (doctor.code, f"{TABLE} is a view over 3 files, and all are there" in doctor.out) == (0, True)
    lake.object("2020-01").unlink()
    doctor = taxi("doctor", **environment)
    assert (doctor.code, f"{TABLE} shows files that are gone or changed: 2020-01" in doctor.out) == (1, True)
