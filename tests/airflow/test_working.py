"""What the tasks of a part do on workers that share nothing, without Airflow: two workers, two empty folders."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import MONTH, Publisher, answer, only, query

from taxi_ingest.airflow.places import KEEPING_NOTHING, STEPWISE, Site, Slice
from taxi_ingest.airflow.working import Asked, Done, may_be_fetched, parts_of, work
from taxi_ingest.catalog import Part
from taxi_ingest.errors import NotPublishedError, TransientError, UsageError

PART = Part("yellow", "2020-01")
TO_STORE, LOAD = KEEPING_NOTHING


class Workers:
    """Two workers with a folder each, a bucket, and a DuckDB file."""

    def __init__(self, folder: Path, publisher: Publisher) -> None:
        publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
        self.folder, self.publisher = folder, publisher
        self.prefix = uuid.uuid4().hex
        where = {
            "source": publisher.template,
            "store": f"gs://demo-bucket/{self.prefix}",
            "warehouse": f"duckdb:{folder / 'taxi.duckdb'}",
        }
        config = {"global": where, "download": {"tries": 1}}
        self.first, self.second = (
            Site(config, scratch=str(folder / name), sources=("demo",)) for name in ("first", "second")
        )

    def left(self) -> list[Path]:
        return [path for name in ("first", "second") for path in (self.folder / name).rglob("*")]

    def forget_facts(self, known: dict[str, str]) -> None:
        """Leave of the object's facts only what is its own, and `known`."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        client = storage.Client(project="demo-project", credentials=AnonymousCredentials())
        (blob,) = client.list_blobs("demo-bucket", prefix=self.prefix)
        facts, content = dict(blob.metadata), blob.download_as_bytes()
        blob = client.bucket("demo-bucket").blob(blob.name)
        blob.metadata = {name: fact for name, fact in facts.items() if name.startswith("taxi-ingest-")} | known
        blob.upload_from_string(content)

    def rows(self) -> list[tuple[object, ...]]:
        return query(self.folder / "taxi.duckdb", "SELECT count(*), sum(total_amount) FROM yellow_tripdata")


@pytest.fixture
def workers(gcs_server: str, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workers:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    return Workers(tmp_path, publisher)


def do(site: Site, slice_: Slice, asked: Asked = Asked()) -> Done:  # noqa: B008 - frozen
    return work(site, PART, slice_, asked, record=lambda job: None)


def test_one_worker_fills_the_store_and_another_the_table_and_both_keep_nothing(workers: Workers) -> None:
    to_store, load = do(workers.first, TO_STORE), do(workers.second, LOAD)
    assert to_store.steps == dict.fromkeys(TO_STORE.steps, "done")
    assert load.steps == only("load")
    assert (load.rows, load.rejects, load.mark) == (to_store.rows, to_store.rejects, to_store.mark) == (
        999, 0, to_store.mark,
    )  # fmt: skip
    assert workers.rows()[0][0] == 999
    assert workers.left() == []


def test_a_second_time_nothing_is_fetched(workers: Workers) -> None:
    do(workers.first, TO_STORE), do(workers.second, LOAD)
    workers.publisher.requests.clear()
    steps = do(workers.second, TO_STORE).steps | do(workers.first, LOAD).steps
    assert (set(steps.values()), workers.publisher.requests) == ({"up_to_date"}, [])


def test_an_object_that_is_gone_when_its_turn_comes_is_made_again(workers: Workers) -> None:
    do(workers.first, TO_STORE)
    elsewhere = {**workers.first.config["global"], "store": f"gs://demo-bucket/{uuid.uuid4().hex}"}  # type: ignore[index]
    assert set(do(replace(workers.second, config={"global": elsewhere}), LOAD).steps.values()) == {"done"}
    assert workers.rows()[0][0] == 999


@pytest.mark.parametrize("known", [{}, {"download": "{}"}, {"source": "csv", "rows": "999"}])
def test_an_object_that_does_not_tell_what_was_downloaded_does_so_after_one_fetch(
    workers: Workers, known: dict[str, str]
) -> None:
    do(workers.first, TO_STORE), do(workers.second, LOAD)
    workers.forget_facts(known)
    assert do(workers.first, TO_STORE).steps["upload"] == "done"
    workers.publisher.requests.clear()
    steps = do(workers.second, TO_STORE).steps | do(workers.first, LOAD).steps
    assert (set(steps.values()), workers.publisher.requests) == ({"up_to_date"}, [])
    assert (workers.rows()[0][0], workers.left()) == (999, [])


def test_the_publishers_trouble_is_tried_once_and_handed_on(workers: Workers) -> None:
    workers.publisher.files["/yellow_tripdata_2020-01.csv"] = lambda to: answer(to, 429, b"", Retry_After="7")
    with pytest.raises(TransientError) as fault:
        do(workers.first, TO_STORE)
    assert (fault.value.retry_after, len(workers.publisher.requests), workers.left()) == (7, 1, [])


def test_force_redoes_every_step(workers: Workers) -> None:
    for _ in range(2):
        assert set(do(workers.first, TO_STORE, Asked(force=True)).steps.values()) == {"done"}
        assert do(workers.second, LOAD, Asked(force=True)).steps == only("load")
    assert workers.rows()[0][0] == 999


def test_the_demo_stays_out_of_a_table_of_real_months(workers: Workers) -> None:
    do(workers.first, TO_STORE), do(workers.second, LOAD)
    with pytest.raises(UsageError, match="holds real months"):
        work(workers.first, Part("yellow", "2020-02"), LOAD, Asked("demo"), record=lambda job: None)


@pytest.mark.parametrize("month", ["2020-01", "2020-02"])
def test_the_demo_is_refused_before_it_replaces_a_real_object(workers: Workers, month: str) -> None:
    do(workers.first, TO_STORE), do(workers.second, LOAD)
    with pytest.raises(UsageError, match="holds real months"):
        work(workers.first, Part("yellow", month), TO_STORE, Asked("demo"), record=lambda job: None)
    steps = do(workers.second, TO_STORE).steps | do(workers.first, LOAD).steps
    assert (set(steps.values()), workers.rows()[0][0]) == ({"up_to_date"}, 999)


OTHERS = [
    "file:///etc/passwd", "FILE:///etc/passwd#{month}", "/etc/passwd", "passwd", "http://metadata/{month}",
    "https://host/{month}.csv",
]  # fmt: skip


@pytest.mark.parametrize("source", OTHERS)
def test_who_starts_a_run_cannot_have_files_read_or_addresses_asked_that_the_dag_does_not_name(
    workers: Workers, source: str
) -> None:
    asked = Asked(source)
    for attempt in (
        lambda: do(workers.first, TO_STORE, asked),
        lambda: parts_of(workers.first, "yellow", "2020-01", source),
        lambda: may_be_fetched(workers.first, PART, source),
    ):
        with pytest.raises(UsageError, match="from auto, csv, tlc, demo, not from"):
            attempt()


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_who_starts_a_run_may_choose_a_source_that_the_dag_names(workers: Workers, tmp_path: Path, scheme: str) -> None:
    (tmp_path / "yellow_2020-01.csv").write_bytes(MONTH.read_bytes())
    copies = (tmp_path / "yellow_").as_uri() + "{month}.csv"
    source = workers.publisher.template if scheme == "http" else copies
    site = replace(workers.first, config={"global": {**workers.first.config["global"], "source": "tlc"}})  # type: ignore[index]
    site = replace(site, sources=(source,))
    assert do(site, TO_STORE, Asked(source)).rows == 999


@pytest.mark.parametrize("months", ["latest", "2020-01..latest", "2020-01,latest"])
def test_a_newest_month_that_nobody_tells_is_asked_for_again(workers: Workers, months: str) -> None:
    workers.publisher.everything = lambda to: answer(to, 503, b"")
    with pytest.raises(TransientError, match="newest month"):
        parts_of(workers.first, "yellow", months, "")


def test_workers_that_share_a_folder_take_step_by_step(workers: Workers, tmp_path: Path) -> None:
    shared = replace(workers.first, shared=str(tmp_path / "data"))
    steps = {step: outcome for one in STEPWISE for step, outcome in do(shared, one).steps.items()}
    assert steps == dict.fromkeys(steps, "done")
    assert workers.rows()[0][0] == 999


def test_in_a_shared_folder_a_task_removes_what_a_killed_one_left_of_its_part(workers: Workers, tmp_path: Path) -> None:
    shared, parquets = replace(workers.first, shared=str(tmp_path / "data")), tmp_path / "data" / "parquet" / "yellow"
    parquets.mkdir(parents=True)
    left = [parquets / f".yellow_tripdata_{month}.parquet.abcdefgh.tmp" for month in ("2020-01", "2020-02")]
    for path in left:
        path.write_text("half a file")
    do(shared, STEPWISE[0])
    assert [path.exists() for path in left] == [False, True]


def test_a_run_may_be_for_several_months(workers: Workers) -> None:
    assert parts_of(workers.first, "yellow", "2020-01..2020-03", "") == tuple(
        Part("yellow", month) for month in ("2020-01", "2020-02", "2020-03")
    )
    assert parts_of(workers.first, "zones", None, "tlc") == (Part("zones"),)


def test_a_month_is_waited_for_until_it_is_there_or_too_late(workers: Workers) -> None:
    from datetime import date, timedelta

    recent = Part("yellow", f"{date.today().replace(day=1) - timedelta(days=1):%Y-%m}")
    assert not may_be_fetched(workers.first, recent, "")
    with pytest.raises(NotPublishedError):
        work(workers.first, recent, TO_STORE, Asked(), record=lambda job: None)
    workers.publisher.files[f"/yellow_tripdata_{recent.month}.csv"] = MONTH.read_bytes()
    assert may_be_fetched(workers.first, recent, "")
    assert may_be_fetched(workers.first, Part("yellow", "2015-01"), "")


def test_jobs_that_a_killed_task_recorded_are_settled_before_it_begins_again(
    workers: Workers, bigquery_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_server)
    where = {**workers.first.config["global"], "warehouse": f"bigquery://demo-project/d{uuid.uuid4().hex[:8]}"}  # type: ignore[index]
    site = replace(workers.first, config={"global": where, "load": {"method": "merge"}})
    recorded: list[str] = []
    do(site, TO_STORE)
    work(site, PART, LOAD, Asked(), record=recorded.append)
    assert recorded
    again = work(site, PART, LOAD, Asked(force=True), record=lambda job: None, unsettled=recorded)
    assert (again.steps["load"], again.rows) == ("done", 999)
