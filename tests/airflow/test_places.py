"""What workers of a DAG may have in common. Needs no Airflow."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from taxi_ingest.airflow.places import Site, check, is_separate, slices, sources_of_runs
from taxi_ingest.airflow.schedule import MONTHLY, check_monthly, month_of_run
from taxi_ingest.errors import UsageError

BUCKET = "gs://bucket/taxi"


def site(store: str, warehouse: str, *, separate: bool, shared: str = "") -> Site:
    return Site({"global": {"store": store, "warehouse": warehouse}}, shared, separate=separate)


@pytest.mark.parametrize(
    ("store", "warehouse", "separate", "shared"),
    [
        (BUCKET, "bigquery://project/dataset", True, ""),
        (BUCKET, "postgresql://host/db", True, ""),
        (BUCKET, "duckdb:/data/taxi.duckdb", False, ""),
        ("/data/lake", "duckdb:/data/taxi.duckdb", False, ""),
        ("/data/lake", "postgresql://host/db", True, "/data"),
        ("", "", False, "/data"),
    ],
)
def test_workers_that_find_each_others_work_are_accepted(
    store: str, warehouse: str, separate: bool, shared: str
) -> None:
    check(site(store, warehouse, separate=separate, shared=shared))


@pytest.mark.parametrize(
    ("store", "warehouse", "separate", "shared", "sentence"),
    [
        (
            "/data/lake",
            "postgresql://host/db",
            True,
            "",
            "cannot share the folder /data/lake as their store. Use gs://",
        ),
        (BUCKET, "duckdb:/data/taxi.duckdb", True, "", "is a file, which workers on separate machines cannot write"),
        (BUCKET, "duckdb:/data/taxi.duckdb", True, "/data", "is a file, which workers on separate machines"),
        ("", "bigquery://project/dataset", True, "", "name the store: global.store in the config"),
        (BUCKET, "", True, "", "name the warehouse: global.warehouse in the config"),
        ("lake", "duckdb:/data/taxi.duckdb", False, "", "The store lake must be a full path"),
        (BUCKET, "duckdb:taxi.duckdb", False, "", "The warehouse duckdb:taxi.duckdb must be a full path"),
        ("", "", False, "data", "The shared data directory data must be a full path"),
        ("lake", "duckdb:/data/taxi.duckdb", False, "/data", "The store lake must be a full path"),
        ("/data/lake", "duckdb:taxi.duckdb", False, "/data", "The warehouse duckdb:taxi.duckdb must be a full path"),
        ("s3://bucket", "bigquery://project/dataset", True, "", "s3://bucket"),
        (BUCKET, "mysql://host/db", True, "", "mysql"),
    ],
)
def test_workers_that_would_not_are_refused_with_a_sentence(
    store: str, warehouse: str, separate: bool, shared: str, sentence: str
) -> None:
    with pytest.raises(UsageError) as refused:
        check(site(store, warehouse, separate=separate, shared=shared))
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("executors", "separate"),
    [
        ("LocalExecutor", False),
        ("airflow.executors.local_executor.LocalExecutor", False),
        ("CeleryExecutor", True),
        ("LocalExecutor,KubernetesExecutor", True),
        ("LocalExecutor;team1=CeleryExecutor", True),
    ],
)
def test_all_executors_but_the_local_one_have_workers_elsewhere(executors: str, separate: bool) -> None:
    assert is_separate(executors) is separate


def test_workers_that_share_a_folder_take_a_task_a_step() -> None:
    assert [one.name for one in slices(site(BUCKET, "postgresql://host/db", separate=True))] == ["to_store", "load"]
    assert [one.name for one in slices(Site({}, "/data"))] == ["download", "parquetize", "upload", "load"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (Site("taxi.toml"), "The config file taxi.toml must be a full path"),
        (Site({"global": {"store": BUCKET}}, scratch="tmp"), "The scratch folder tmp must be a full path"),
        (Site({"global": {"source": "ftp://host/{month}"}}, shared="/data", separate=False), "is not a source"),
        (Site({}, "/data", separate=False, sources=("tcl",)), "'tcl' is not a source. Did you mean tlc?"),
        (Site({}, "/data", separate=False, sources=("https://u:pw@h/{month}",)), "https://h/{month} holds a secret"),
        (Site({}, "/data", separate=False, sources=("https://h/{month}?key=pw",)), "https://h/{month} holds a secret"),
    ],
)
def test_what_depends_on_a_workers_folder_or_no_task_would_take_is_refused(given: Site, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        check(given)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("schedule", [MONTHLY, "0 0 1 * *", "@monthly", "59 23 28 * *", " 0  6 05 * * "])
def test_a_schedule_that_comes_once_in_every_month_is_accepted(schedule: str) -> None:
    check_monthly(schedule, 3)


@pytest.mark.parametrize(
    "schedule",
    ["0 6 * * *", "@daily", "0 6 31 * *", "0 6 29 * *", "0 6 L * *", "0 6 5 */3 *", "0 6 5,20 * *", "0 6 * * 1",
     "0 */6 5 * *", "0 6 5 * 1", "0 6 5 1 *", "* 6 5 * *", "0 6 0 * *", "six", "", "0 6 \u0665 * *"],
)  # fmt: skip
def test_a_schedule_that_would_leave_months_out_or_count_days_is_refused(schedule: str) -> None:
    with pytest.raises(UsageError, match="must come once in every month"):
        check_monthly(schedule, 3)


@pytest.mark.parametrize(
    ("partition", "day", "month"),
    [
        ("2019-07", None, "2019-07"),
        ("2026-11", date(2026, 11, 5), "2026-11"),
        (None, date(2019, 7, 1), "2019-07"),
        (None, date(2026, 10, 31), "2026-10"),
        (None, date(2027, 1, 1), "2027-01"),
        (None, date(2026, 11, 5), "2026-08"),
        (None, None, "2026-08"),
    ],
)
def test_a_run_that_was_given_no_month_is_for_that_of_the_schedule(
    partition: str | None, day: date | None, month: str
) -> None:
    assert month_of_run(partition, day, date(2026, 11, 26), 3) == month


@pytest.mark.parametrize(
    ("dataset", "named"), [("yellow", ("auto", "csv", "tlc")), ("fhvhv", ("auto", "tlc")), ("zones", ("auto", "tlc"))]
)
def test_a_run_may_choose_among_the_publishers_of_its_dataset_and_what_the_dag_names(
    dataset: str, named: tuple[str, ...]
) -> None:
    assert sources_of_runs(Site({}), dataset) == named
    assert sources_of_runs(Site({}, sources=("demo",)), dataset) == (*named, "demo")


def test_months_that_are_to_come_are_refused() -> None:
    with pytest.raises(UsageError, match="months_back must be 0 or more"):
        check_monthly(MONTHLY, -1)


def test_the_workers_own_config_files_are_not_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("[global]\nstore = '/elsewhere'\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="name the store"):
        check(Site({"global": {"warehouse": "duckdb:/data/taxi.duckdb"}}))


def test_a_config_given_as_sections_is_checked_as_a_file_is() -> None:
    with pytest.raises(UsageError, match=r"the config given: there is no setting 'global.stroe'.*global.store"):
        check(Site({"global": {"stroe": BUCKET}}))
