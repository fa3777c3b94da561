"""`clean`: what can be had again leaves the disk, what was removed stays done, all else is untouched."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from cleaning import PARQUET, RAW, clean, mine, removed, tree
from conftest import ALL_UP_TO_DATE, MONTH, REPOSITORY, Command, Loaded, Publisher, Ran, process

__all__ = ["mine"]


@pytest.mark.parametrize(
    ("options", "files"), [(["--raw"], [RAW]), (["--parquet"], [PARQUET]), (["--raw", "--parquet"], [RAW, PARQUET])]
)
def test_pruned_parts_stay_up_to_date(loaded: Loaded, options: list[str], files: list[str]) -> None:
    before = loaded.table
    ran = clean(loaded, *options, "--yes")
    assert (removed(ran), ran.document["removed"]) == (files, True)
    assert [file for file in (RAW, PARQUET) if (loaded.data / file).exists()] == [
        file for file in (RAW, PARQUET) if file not in files
    ]
    (status,) = loaded.look("status")["parts"]
    assert {status[step]["state"] for step in ALL_UP_TO_DATE} == {"done"}
    again = loaded.run()
    assert (again.code, again.steps) == (0, [ALL_UP_TO_DATE])
    assert (loaded.publisher.requests, loaded.table) == ([], before)
    assert removed(clean(loaded, *options, "--yes")) == []


def test_pruned_parts_stay_up_to_date_for_plain_doit(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text((REPOSITORY / "dodo.py").read_text())
    assert clean(loaded, "--raw", "--parquet", "--yes").code == 0
    ran = process([sys.executable, "-m", "doit", "month=2020-01"], tmp_path)
    assert (ran.code, loaded.publisher.requests) == (0, []), ran.err
    assert not (loaded.data / PARQUET).exists()
    listed = process([sys.executable, "-m", "doit", "list", "--all", "--status"], tmp_path,
                     {"TAXI_INGEST_SHARED__MONTH": "2020-01"})  # fmt: skip
    assert {line.split()[0] for line in listed.out.splitlines() if "yellow-2020-01" in line} == {"U"}, listed.out


@pytest.mark.parametrize(
    ("lost", "redone"), [((), ("load",)), (("lake",), ("download", "parquetize", "upload", "load"))]
)
def test_a_pruned_part_that_the_table_lost_comes_from_the_store_or_is_made_again(
    loaded: Loaded, lost: tuple[str, ...], redone: tuple[str, ...]
) -> None:
    before = loaded.table
    assert clean(loaded, "--raw", "--parquet", "--yes").code == 0
    with duckdb.connect(str(loaded.data / "taxi.duckdb")) as db:
        db.execute("DELETE FROM yellow_tripdata")
    for folder in lost:
        shutil.rmtree(loaded.data / folder)
    ran = loaded.run()
    assert (ran.code, ran.steps) == (0, [ALL_UP_TO_DATE | dict.fromkeys(redone, "done")])
    assert loaded.table == before


def test_a_dry_run_changes_no_byte(loaded: Loaded) -> None:
    foreign = loaded.data / "raw" / "yellow" / "notes.txt"
    foreign.write_text("mine")
    before = tree(loaded.data)
    for options in (["--raw", "--parquet"], ["--orphans"]):
        ran = clean(loaded, *options, "--dry-run")
        assert (ran.code, ran.document["removed"], tree(loaded.data)) == (0, False, before), ran.err


def test_bytes_that_the_store_shares_are_not_counted_as_freed(loaded: Loaded) -> None:
    document = clean(loaded, "--raw", "--parquet", "--dry-run").document
    raw, parquet = document["files"]
    assert (raw["bytes"], parquet["bytes"]) == (MONTH.stat().st_size, (loaded.data / PARQUET).stat().st_size)
    assert (raw["frees"] >= raw["bytes"], parquet["frees"], document["frees"]) == (True, 0, raw["frees"])


@pytest.mark.parametrize("month", ["2020-01", "2020-02"])
def test_only_the_months_named_are_pruned(loaded: Loaded, month: str) -> None:
    ran = clean(loaded, "--raw", "--month", month, "--dataset", "yellow", "--dry-run")
    assert removed(ran) == ([RAW] if month == "2020-01" else [])


def test_what_nothing_else_holds_is_kept_and_the_reason_told(loaded: Loaded) -> None:
    shutil.rmtree(loaded.data / "lake")
    ran = clean(loaded, "--parquet", "--yes")
    assert (removed(ran), ran.document["removed"], (loaded.data / PARQUET).exists()) == ([], False, True)
    (kept,) = ran.document["kept"]
    assert kept == {
        "kind": "parquet", "dataset": "yellow", "month": "2020-01",
        "why": "upload is still to be done: the store has no such object",
    }  # fmt: skip


def gone(mine: Path) -> None:
    mine.rename(mine.with_name("elsewhere"))


def longer(mine: Path) -> None:
    mine.write_bytes(mine.read_bytes() + b"\n")


def of_the_same_size(mine: Path) -> None:
    mine.write_bytes(mine.read_bytes().replace(b"2020", b"2021", 1))


@pytest.mark.parametrize("change", [gone, longer, of_the_same_size])
def test_the_copy_of_a_file_of_ones_own_stays_once_that_is_gone_or_changed(
    taxi: Command, mine: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    change(mine)
    document = taxi("clean", "--raw", "--parquet", "--yes", "--json").document
    assert ("is gone or changed" in document["kept"][0]["why"], document["kept"][0]["kind"]) == (True, "raw")
    assert (tmp_path / "data" / RAW).read_bytes() == MONTH.read_bytes()


def test_the_copy_of_a_file_of_ones_own_may_go_while_that_is_as_it_was(taxi: Command, mine: Path) -> None:
    mine.rename(mine.with_name("elsewhere")).rename(mine)
    assert len(taxi("clean", "--raw", "--yes", "--json").document["files"]) == 1
    assert mine.read_bytes() == MONTH.read_bytes()


@pytest.fixture(params=["the raw path itself", "a hard link to it", "a link to it"])
def in_place(request: pytest.FixtureRequest, taxi: Command, tmp_path: Path) -> Ran:
    """A run that was told to keep no raw file, of a file of one's own that lies where raw files lie."""
    (raw := tmp_path / "data" / RAW).parent.mkdir(parents=True)
    shutil.copy(MONTH, raw)
    (elsewhere := tmp_path / "mine").mkdir()
    run = ("run", "--month", "2020-01", "--json", "--source")
    if request.param == "the raw path itself":
        return taxi(*run, f"file://{raw.parent}/{{dataset}}_tripdata_{{month}}.csv", TAXI_INGEST_GLOBAL__KEEP="parquet")
    mine = elsewhere / "yellow_2020-01.csv"
    mine.symlink_to(raw) if request.param == "a link to it" else mine.hardlink_to(raw)
    return taxi(*run, f"file://{elsewhere}/{{dataset}}_{{month}}.csv")


def test_a_raw_file_that_is_the_users_own_original_stays(in_place: Ran, taxi: Command, tmp_path: Path) -> None:
    assert in_place.code == 0, in_place.err
    again = taxi("run", "--month", "2020-01", "--refresh", "--json")
    assert (again.steps, again.document["parts"][0]["notes"]) == ([ALL_UP_TO_DATE], [])
    document = taxi("clean", "--raw", "--yes", "--json").document
    assert (document["files"], document["kept"][0]["why"]) == ([], "it is the very file that it was downloaded from")
    (tmp_path / "dodo.py").write_text((REPOSITORY / "dodo.py").read_text())
    assert process([sys.executable, "-m", "doit", "month=2020-01", "clean", "download"], tmp_path).code == 0
    assert (tmp_path / "data" / RAW).read_bytes() == MONTH.read_bytes()


@pytest.mark.parametrize("folder", ["data", "data/raw", "data/parquet/deeper", "data/rejects", "data/state", "linked"])
def test_a_store_where_the_data_directory_keeps_its_own_files_is_refused(
    loaded: Loaded, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "linked").symlink_to(tmp_path / "data" / "parquet")
    before = tree(loaded.data)
    for ran in (loaded.run("--store", folder), clean(loaded, "--parquet", "--yes", "--store", folder)):
        assert (ran.code, "cannot be the store" in ran.err, len(ran.err.splitlines())) == (2, True, 1), ran.err
    assert tree(loaded.data) == before


def test_a_parquet_file_that_is_the_object_itself_stays(loaded: Loaded) -> None:
    shutil.rmtree(loaded.data / "lake" / "yellow")
    (loaded.data / "lake" / "yellow").symlink_to(loaded.data / "parquet" / "yellow")
    assert loaded.run(TAXI_INGEST_GLOBAL__KEEP="").code == 0
    document = clean(loaded, "--parquet", "--yes").document
    assert (document["files"], document["kept"][0]["why"]) == ([], "it is the very object in the store")
    assert (loaded.data / PARQUET).exists()


def test_a_table_that_cannot_be_asked_proves_nothing(loaded: Loaded) -> None:
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(loaded.data / "taxi.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        document = clean(loaded, "--parquet", "--yes").document
        child.kill()
    assert (document["files"], document["kept"][0]["why"]) == ([], "another program has the table open")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Remove what?"),
        (["--raw"], "no terminal is there to ask"),
        (["--orphans", "--month", "2020-01", "--yes"], "Orphans belong to no month"),
        (["--raw", "--dataset", "yelow", "--yes"], "yellow"),
    ],
)
def test_what_makes_no_sense_ends_2_and_removes_nothing(loaded: Loaded, options: list[str], sentence: str) -> None:
    before = tree(loaded.data)
    ran = clean(loaded, *options)
    assert (ran.code, sentence in ran.err, tree(loaded.data)) == (2, True, before), ran.err


def test_clean_waits_for_no_run_and_removes_nothing_beside_one(loaded: Loaded) -> None:
    from filelock import FileLock

    with FileLock(loaded.data / "state" / "lock"):
        assert clean(loaded, "--raw", "--yes").code == 75
        assert clean(loaded, "--raw", "--dry-run").code == 0
    assert (loaded.data / RAW).exists()


def test_clean_in_an_empty_folder_leaves_it_empty(taxi: Command, tmp_path: Path) -> None:
    ran = taxi("clean", "--raw", "--parquet", "--yes")
    assert (ran.code, ran.out, list(tmp_path.iterdir())) == (0, "Nothing to remove.\n", []), ran.err
    assert taxi("clean", "--orphans", "--yes").code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("answer", "stays"), [("y\n", False), ("n\n", True), ("\n", True)])
def test_on_a_terminal_it_asks_first(loaded: Loaded, answer: str, stays: bool) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "taxi_ingest", "clean", "--raw"],
        cwd=loaded.data.parent, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        os.write(ours, answer.encode())
        out, err = child.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert (child.returncode, "Remove them? [y/N]" in err, RAW in out) == (0, True, True)
    assert (loaded.data / RAW).exists() is stays


MONTHS = [f"2020-{number:02d}" for number in range(1, 10)]


def test_from_a_clean_that_was_killed_a_run_goes_on(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    """Killed once each: after every few files that were removed, and once right after a receipt was written."""
    for month in MONTHS:
        publisher.files[f"/yellow_tripdata_{month}.csv"] = MONTH.read_bytes()
    arguments = ("--month", "2020-01..2020-09", "--source", publisher.template, "--json")
    assert taxi("run", *arguments).code == 0
    publisher.requests.clear()
    for after in (1, 5, 10):
        killer = tmp_path / f"killer{after}"
        killer.mkdir()
        (killer / "sitecustomize.py").write_text(KILLED_AFTER.format(count=after))
        ran = taxi("clean", "--raw", "--parquet", "--yes", PYTHONPATH=str(killer))
        assert ran.code == -signal.SIGKILL, ran.err
        again = taxi("run", *arguments)
        assert (again.code, again.steps) == (0, [ALL_UP_TO_DATE] * len(MONTHS)), again.err
    assert taxi("clean", "--raw", "--parquet", "--yes").code == 0
    assert (list((tmp_path / "data").glob("raw/*/*")), publisher.requests) == ([], [])
    with duckdb.connect(str(tmp_path / "data" / "taxi.duckdb"), read_only=True) as db:
        counted = db.execute("SELECT count(DISTINCT file_month), count(*) FROM yellow_tripdata").fetchall()
    rows = again.document["parts"][0]["rows"]
    assert counted == [(len(MONTHS), len(MONTHS) * rows)]


KILLED_AFTER = """
import os, signal, sys
left = {count}
def hook(event, arguments):
    global left
    if event == "os.remove" and not str(arguments[0]).endswith((".lock", ".tmp")):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""
