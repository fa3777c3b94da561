"""What workers of a DAG may have in common. Needs no Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from taxi_ingest.airflow.places import Site, check, is_separate, slices
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


def test_the_workers_own_config_files_are_not_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("[global]\nstore = '/elsewhere'\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="name the store"):
        check(Site({"global": {"warehouse": "duckdb:/data/taxi.duckdb"}}))


def test_a_config_given_as_sections_is_checked_as_a_file_is() -> None:
    with pytest.raises(UsageError, match=r"the config given: there is no setting 'global.stroe'.*global.store"):
        check(Site({"global": {"stroe": BUCKET}}))
