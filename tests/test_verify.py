"""verify finds every fault that is planted, nothing where all is well, and what it found is mended and nothing else.

`TAXI_INGEST_TEST_FAULTS=600 pytest tests/test_verify.py -k planted` plants so many; without it, each kind once.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ALL_UP_TO_DATE, DATA, MONTH, Command, Loaded, Publisher, only, query
from filelock import FileLock
from planting import TABLE, Tree, faults, flip

from taxi_ingest import settings
from taxi_ingest.catalog import Part
from taxi_ingest.engine.part import run_part
from taxi_ingest.job import Job, make_job
from taxi_ingest.verification import Verdict
from taxi_ingest.verification.verify import verify

JANUARY, MARCH = Part("yellow", "2020-01"), Part("yellow", "2020-03")
FAULTS = int(os.environ.get("TAXI_INGEST_TEST_FAULTS", "50"))
SEED = 18


class Silent:
    """Nobody watches."""

    def begun(self, parts: int) -> None:
        """Nothing."""

    def ended(self, verdict: Verdict) -> None:
        """Nothing."""


class Months:
    """Two months, loaded, and the tree they lie in."""

    def __init__(self, publisher: Publisher, folder: Path) -> None:
        january = b"".join(MONTH.read_bytes().splitlines(keepends=True)[:301])
        publisher.files["/yellow_tripdata_2020-01.csv"] = january
        publisher.files["/yellow_tripdata_2020-03.csv"] = january.replace(b"2020-01-", b"2020-03-")
        given = {
            "shared.month": "2020-01,2020-03",
            "global.source": publisher.template,
            "global.data_dir": str(folder / "data"),
        }
        self.job: Job = make_job(settings.read(given), verb="run")[0]
        self.run()
        self.tree = Tree(folder / "data", folder / "pristine")
        self.tree.reset()

    def run(self) -> list[dict[str, str]]:
        """Run both months; the outcomes of their steps."""
        return [dict(run_part(self.job, part).outcomes) for part in self.job.parts]

    def findings(self) -> set[tuple[Part, str]]:
        """What verify finds: whose copy, and which."""
        return {(verdict.part, one.copy) for verdict in verify(self.job, Silent()) for one in verdict.findings}

    @property
    def table(self) -> list[tuple[Any, ...]]:
        return query(self.job.layout.duckdb, f"FROM {TABLE} ORDER BY ALL")


@pytest.fixture
def months(publisher: Publisher, tmp_path: Path) -> Months:
    return Months(publisher, tmp_path)


def test_every_planted_fault_is_found_where_it_is(months: Months) -> None:
    chance = random.Random(SEED)
    wrong: list[str] = []
    for fault in islice(faults(chance), FAULTS):
        part = chance.choice((JANUARY, MARCH))
        months.tree.reset(linked=fault.linked)
        fault.plant(months.tree, part)
        found, expected = months.findings(), {(part, copy) for copy in fault.spoils}
        moved = fault.name == "file_month changed"  # the row is now one too many in the other month
        if found != (expected | {(JANUARY, "table"), (MARCH, "table")} if moved else expected):
            wrong.append(f"{part} {fault.name}: found {found}")
    assert wrong == []


# ---- nothing is found where nothing is wrong


@pytest.mark.parametrize("linked", [False, True])
def test_nothing_is_found_in_a_healthy_tree(months: Months, linked: bool) -> None:
    months.tree.reset(linked=linked)
    assert months.findings() == set()


def test_a_healthy_tree_is_left_as_it_is(months: Months) -> None:
    def content() -> dict[Path, tuple[bytes, int]]:
        files = [path for path in months.job.layout.data_dir.rglob("*") if path.is_file()]
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    before = content()
    months.findings()
    assert content() == before


def test_touched_files_are_intact(months: Months) -> None:
    for path in (months.tree.raw(MARCH), months.tree.parquet(MARCH), months.tree.stored(MARCH)):
        path.touch()
    assert months.findings() == set()


@pytest.mark.parametrize("gone", ["raw", "parquet of a run that keeps none"])
def test_a_copy_that_may_be_missing_is_no_finding(months: Months, gone: str) -> None:
    if gone == "raw":
        shutil.rmtree(months.job.layout.data_dir / "raw")
    else:
        shutil.rmtree(months.job.layout.parquets)
        months.job = replace(months.job, kept=frozenset())
    assert months.findings() == set()


@pytest.mark.parametrize("dataset", ["green", "zones"])
def test_months_of_published_parquet_and_a_table_without_months_are_intact(tmp_path: Path, dataset: str) -> None:
    name = {"green": "green_tripdata_2024-01.parquet", "zones": "taxi_zone_lookup.csv"}[dataset]
    given = {"shared.dataset": dataset, "global.data_dir": str(tmp_path / "data")}
    given |= {"shared.month": "2024-01"} if dataset == "green" else {}
    source = f"file://{DATA}/{name}".replace("green", "{dataset}").replace("2024-01", "{month}")
    job, _ = make_job(settings.read(given | {"global.source": source}), verb="run")
    run_part(job, job.parts[0])
    (verdict,) = verify(job, Silent())
    assert [(one.copy, one.state) for one in verdict.checked if one.state != "intact"] == []


# ---- what it compares with


def test_where_the_parquet_is_gone_the_table_is_compared_with_the_object(months: Months) -> None:
    shutil.rmtree(months.job.layout.parquets)
    months.job = replace(months.job, kept=frozenset())
    months.tree.sql(f"UPDATE {TABLE} SET fare_amount = 0 WHERE file_month = DATE '2020-03-01'")
    assert months.findings() == {(MARCH, "table")}


def test_where_no_parquet_is_left_the_table_is_counted_and_that_is_told(months: Months) -> None:
    for part in months.job.parts:
        months.tree.parquet(part).unlink()
        months.tree.stored(part).unlink()
    verdicts = verify(replace(months.job, kept=frozenset()), Silent())
    assert [[one.state for one in v.checked if one.copy == "table"] for v in verdicts] == [["counted"], ["counted"]]
    assert all("only counted" in " ".join(verdict.notes) for verdict in verdicts)


def test_the_columns_that_differ_are_named(months: Months) -> None:
    months.tree.sql(f"UPDATE {TABLE} SET fare_amount = -1, mta_tax = -1 WHERE file_month = DATE '2020-03-01'")
    (finding,) = [one for verdict in verify(months.job, Silent()) for one in verdict.findings]
    assert finding.wrong == "has other values than the Parquet in fare_amount, mta_tax"


def test_a_database_that_cannot_be_read_is_a_finding(months: Months) -> None:
    months.job.layout.duckdb.write_bytes(b"no database, but long enough to be read as one " * 1000)
    assert months.findings() == {(JANUARY, "table"), (MARCH, "table")}


@pytest.mark.parametrize("day", ["NULL", "DATE '2020-02-01'", "DATE '2020-03-02'"])
def test_rows_of_no_loaded_month_are_told_with_what_removes_them(months: Months, day: str) -> None:
    months.tree.sql(f"INSERT INTO {TABLE} SELECT * REPLACE ({day} AS file_month) FROM {TABLE} LIMIT 1")
    (finding,) = [one for verdict in verify(months.job, Silent()) for one in verdict.findings]
    remedy = finding.remedy.removeprefix("remove them: ")
    assert (finding.wrong.startswith("has 1 row"), remedy.startswith("DELETE FROM")) == (True, True)
    months.tree.sql(remedy)
    assert months.findings() == set()


# ---- what it found is mended, and nothing else


def flipped(path: Callable[[Tree], Path]) -> Callable[[Tree], None]:
    return lambda tree: flip(path(tree), 4321, keep_time=True)


def sql(statement: str) -> Callable[[Tree], None]:
    return lambda tree: tree.sql(statement.replace("THIS", "file_month = DATE '2020-03-01'"))


ONE = f"rowid = (SELECT max(rowid) FROM {TABLE} WHERE THIS)"
MENDED: dict[str, tuple[Callable[[Tree], None], tuple[str, ...]]] = {
    "raw": (flipped(lambda tree: tree.raw(MARCH)), ("download",)),
    "parquet": (flipped(lambda tree: tree.parquet(MARCH)), ("parquetize",)),
    "object": (flipped(lambda tree: tree.stored(MARCH)), ("upload",)),
    "record of the object": (lambda tree: flip(tree.mark(MARCH), 99, keep_time=True), ("upload",)),
    "object gone": (lambda tree: tree.stored(MARCH).unlink(), ("upload",)),
    "receipt of download": (flipped(lambda tree: tree.receipts(MARCH)[0]), ()),  # the object carries it
    "receipt of parquetize": (flipped(lambda tree: tree.receipts(MARCH)[1]), ()),
    "receipt of upload": (lambda tree: flip(tree.receipts(MARCH)[2], 99, keep_time=True), ()),
    "receipt of load": (lambda tree: flip(tree.receipts(MARCH)[3], 99, keep_time=True), ()),
    "row added": (sql(f"INSERT INTO {TABLE} SELECT * REPLACE (7 AS mta_tax) FROM {TABLE} WHERE {ONE}"), ("load",)),
    "row doubled": (sql(f"INSERT INTO {TABLE} FROM {TABLE} WHERE {ONE}"), ("load",)),
    "row removed": (sql(f"DELETE FROM {TABLE} WHERE {ONE}"), ("load",)),
    "row changed": (sql(f"UPDATE {TABLE} SET fare_amount = 7 WHERE {ONE}"), ("load",)),
    "mark of the month": (sql("UPDATE _loads SET mark = 'other' WHERE THIS"), ("load",)),
}


@pytest.mark.parametrize("fault", MENDED)
def test_the_next_run_mends_what_was_found_and_nothing_else(months: Months, fault: str) -> None:
    plant, steps = MENDED[fault]
    before = months.table
    plant(months.tree)
    assert {part for part, _ in months.findings()} == {MARCH}
    assert months.run() == [only(), only(*steps)]
    assert (months.findings(), months.table) == (set(), before)


def test_a_parquet_file_that_lost_its_receipt_is_compared_with_what_was_uploaded(months: Months) -> None:
    months.tree.receipts(MARCH)[1].unlink()
    flip(months.tree.parquet(MARCH), months.tree.parquet(MARCH).stat().st_size * 8 - 99, keep_time=True)
    assert (MARCH, "parquet") in months.findings()
    assert months.run() == [only(), only("parquetize")]
    assert months.findings() == set()


def test_a_fault_in_bytes_that_parquet_and_object_share_is_mended_in_both(months: Months) -> None:
    months.tree.reset(linked=True)
    flip(months.tree.parquet(MARCH), 4321, keep_time=True)
    months.findings()
    assert months.run() == [only(), only("parquetize", "upload")]
    assert months.findings() == set()


def test_a_copy_that_was_put_right_by_hand_is_trusted_again(months: Months) -> None:
    raw = months.tree.raw(MARCH)
    flip(raw, 4321, keep_time=True)
    assert months.findings() == {(MARCH, "raw")}
    flip(raw, 4321, keep_time=True)
    assert (months.findings(), months.run()) == (set(), [only(), only()])


def test_a_changed_raw_file_that_was_deleted_is_not_asked_for_again(months: Months) -> None:
    raw = months.tree.raw(MARCH)
    flip(raw, 4321, keep_time=True)
    months.findings()
    raw.unlink()
    assert (months.findings(), months.run()) == (set(), [only(), only()])


def test_a_fault_found_in_one_warehouse_does_not_reload_another(months: Months, tmp_path: Path) -> None:
    other = tmp_path / "other.duckdb"
    shutil.copyfile(months.job.layout.duckdb, other)
    months.tree.sql(f"UPDATE {TABLE} SET fare_amount = 7 WHERE file_month = DATE '2020-03-01'")
    assert months.findings() == {(MARCH, "table")}
    here = months.job.warehouse
    months.job = replace(months.job, warehouse=type(here).parse(f"duckdb:{other}"))
    assert months.run() == [only(), only()]


# ---- the command


def test_a_healthy_part_ends_0_with_one_document(loaded: Loaded) -> None:
    ran = loaded.taxi("verify", "--json")
    assert ran.code == 0
    assert ran.document == {
        "exit": 0,
        "bytes_billed_at_most": 0,
        "parts": [
            {
                "dataset": "yellow",
                "month": "2020-01",
                "copies": dict.fromkeys(("raw", "parquet", "object", "table"), "intact"),
                "findings": [],
                "notes": [],
            }
        ],
        "runs": [],
        "notes": [],
        "left": [],
    }


def test_a_missing_file_is_named(loaded: Loaded) -> None:
    (parquet,) = loaded.data.glob("parquet/*/*.parquet")
    parquet.unlink()
    (finding,) = loaded.taxi("verify", "--json").document["parts"][0]["findings"]
    assert (finding["copy"], finding["where"], finding["wrong"]) == ("parquet", str(parquet), "is missing")


def test_where_comparing_is_free_nobody_is_asked(loaded: Loaded) -> None:
    ran = loaded.taxi("verify", "--content", "--json")
    assert (ran.code, ran.document["parts"][0]["copies"]["table"], "bills" in ran.err) == (0, "intact", False)


def test_a_finding_ends_1_with_a_line_that_says_which_copy_where_what_and_what_to_do(loaded: Loaded) -> None:
    raw = loaded.data / "raw" / "yellow" / MONTH.name
    raw.write_bytes(MONTH.read_bytes()[:-1])
    ran = loaded.taxi("verify", "--quiet")
    assert ran.code == 1
    (line,) = ran.out.splitlines()
    size = MONTH.stat().st_size
    assert f"yellow-2020-01 raw: {raw}: has {size - 1:,} bytes, not {size:,}; `run` downloads it again" in line


def test_verify_is_no_run_and_a_repair_is_one_that_redid_what_was_needed(loaded: Loaded) -> None:
    with duckdb.connect(str(loaded.data / "taxi.duckdb")) as db:
        db.execute(f"UPDATE {TABLE} SET fare_amount = 7 WHERE rowid = 5")
    assert loaded.taxi("verify").code == 1
    assert len(loaded.look("history")["runs"]) == 1
    repaired = loaded.run("--repair", verb="verify")
    assert (repaired.code, repaired.document["left"]) == (0, [])
    newest = loaded.look("history", "latest")
    assert (newest["run"]["run"], "--repair" in newest["run"]["request"]) == (repaired.document["runs"][0], True)
    assert [(attempt["step"], attempt["why"]) for attempt in newest["attempts"]] == [
        ("load", "verify found it changed")
    ]
    assert loaded.taxi("verify").code == 0


def test_what_comes_to_light_by_a_repair_is_repaired_too(loaded: Loaded) -> None:
    """Without an intact Parquet file the table cannot be compared at first."""
    (parquet,) = loaded.data.glob("parquet/*/*.parquet")
    flip(parquet, 4321, keep_time=True)
    with duckdb.connect(str(loaded.data / "taxi.duckdb")) as db:
        db.execute(f"UPDATE {TABLE} SET fare_amount = 7 WHERE rowid = 5")
    repaired = loaded.run("--repair", verb="verify")
    assert (repaired.code, len(repaired.document["runs"])) == (0, 2)


def test_a_repair_that_cannot_be_done_ends_1_and_loses_nothing(loaded: Loaded) -> None:
    raw = loaded.data / "raw" / "yellow" / MONTH.name
    flip(raw, 4321, keep_time=True)
    loaded.publisher.files.clear()
    repaired = loaded.run("--repair", verb="verify")
    assert (repaired.code, [left["copy"] for left in repaired.document["left"]]) == (1, ["raw"])
    assert raw.exists()


def test_no_other_version_takes_the_place_of_a_damaged_raw_file_whose_rows_are_intact(loaded: Loaded) -> None:
    raw = loaded.data / "raw" / "yellow" / MONTH.name
    loaded.publisher.files[f"/{MONTH.name}"] = b"".join(MONTH.read_bytes().splitlines(keepends=True)[:400])
    flip(raw, 4321, keep_time=True)
    before, damaged = loaded.table, raw.read_bytes()
    repaired = loaded.run("--repair", verb="verify")
    assert (repaired.code, [left["copy"] for left in repaired.document["left"]]) == (1, ["raw"])
    assert "the publisher has another version by now" in repaired.err
    assert (loaded.table, raw.read_bytes()) == (before, damaged)
    raw.unlink()
    assert loaded.run().steps == [ALL_UP_TO_DATE]
    assert (loaded.taxi("verify").code, loaded.table) == (0, before)


def test_a_repair_that_has_to_take_another_version_says_so(loaded: Loaded) -> None:
    fewer = b"".join(MONTH.read_bytes().splitlines(keepends=True)[:400])
    loaded.publisher.files[f"/{MONTH.name}"] = fewer
    for kind in ("raw", "parquet"):
        (path,) = loaded.data.glob(f"{kind}/*/*")
        flip(path, 4321, keep_time=True)
    repaired = loaded.run("--repair", verb="verify")
    (told,) = [note["note"] for note in repaired.document["notes"] if "republished" in note["note"]]
    assert ("999 → 399 rows" in told, told in repaired.err, repaired.code) == (True, True, 0), repaired.err


def test_a_data_directory_that_was_pruned_and_moved_is_intact(loaded: Loaded) -> None:
    assert loaded.taxi("clean", "--raw", "--parquet", "--yes").code == 0
    moved = loaded.data.rename(loaded.data.with_name("moved"))
    ran = loaded.taxi("verify", "--data-dir", str(moved), "--json")
    assert (ran.code, ran.document["parts"][0]["findings"]) == (0, [])
    shutil.rmtree(moved / "lake")
    assert loaded.taxi("verify", "--data-dir", str(moved)).code == 1


def test_status_and_plan_tell_what_was_found(loaded: Loaded) -> None:
    with duckdb.connect(str(loaded.data / "taxi.duckdb")) as db:
        db.execute(f"UPDATE {TABLE} SET fare_amount = 7 WHERE rowid = 5")
    loaded.taxi("verify")
    assert loaded.look("status")["parts"][0]["load"] == {"state": "stale", "why": "verify found it changed"}
    assert loaded.run(verb="plan").document["parts"][0]["steps"]["load"]["action"] == "run"


def test_while_a_run_is_at_work_verify_ends_75(loaded: Loaded) -> None:
    with FileLock(loaded.data / "state" / "lock"):
        assert loaded.taxi("verify").code == 75


def test_where_nothing_was_ever_done_it_says_so_and_makes_nothing(taxi: Command, tmp_path: Path) -> None:
    ran = taxi("verify")
    assert (ran.code, "Nothing to verify" in ran.err, list(tmp_path.iterdir())) == (2, True, [])


def test_a_month_that_was_never_ingested_is_told_and_is_no_finding(loaded: Loaded) -> None:
    ran = loaded.taxi("verify", "--month", "2020-01..2020-02")
    assert (ran.code, "No receipts are here of 2020-02." in ran.out) == (0, True)
