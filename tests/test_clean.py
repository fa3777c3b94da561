"""`clean` and `keep`: what can be had again leaves the disk, what was removed stays done, all else is untouched."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ALL_UP_TO_DATE, MONTH, REPOSITORY, Command, Loaded, Publisher, Ran, process

from taxi_ingest.sources.partial import DAYS_KEPT

RAW, PARQUET = "raw/yellow/yellow_tripdata_2020-01.csv", "parquet/yellow/yellow_tripdata_2020-01.parquet"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def clean(loaded: Loaded, *options: str) -> Ran:
    return loaded.taxi("clean", *options, "--json")


def removed(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.err
    return [file["path"].partition("/data/")[2] for file in ran.document["files"]]


# ---- clean


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


@pytest.fixture
def mine(taxi: Command, tmp_path: Path) -> Path:
    """A file of one's own, loaded from where it lies."""
    mine = tmp_path / "mine" / "yellow_2020-01.csv"
    mine.parent.mkdir()
    shutil.copy(MONTH, mine)
    assert taxi("run", "--month", "2020-01", "--source", f"file://{mine.parent}/{{dataset}}_{{month}}.csv").code == 0
    return mine


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


# ---- orphans


def retired(data: Path) -> list[str]:
    """Make of yellow's month one of a dataset that the catalog does not have."""
    moved = []
    for kind in ("raw", "parquet", "lake", "lake.marks", "state/receipts"):
        (data / kind / "yellow").rename(data / kind / "purple")
    (data / "rejects" / "purple").mkdir(parents=True)
    (data / "rejects" / "purple" / "yellow_tripdata_2020-01.csv").write_text("line,reason,raw\n")
    for path in (data / "state" / "receipts" / "purple").rglob("download.json"):
        path.write_text(renamed(path))
    for kind in ("raw", "parquet", "lake", "lake.marks", "rejects", "state/receipts"):
        moved += [str(path.relative_to(data)) for path in (data / kind / "purple").rglob("*") if path.is_file()]
    return sorted(moved)


def renamed(receipt: Path) -> str:
    from taxi_ingest.state.receipts import from_json, to_json

    downloaded: Any = from_json("download", receipt.read_bytes())
    return to_json(type(downloaded)(**{**vars(downloaded), "file": downloaded.file.replace("yellow/", "purple/")}))


def test_a_dataset_that_the_catalog_lost_is_an_orphan_and_its_rows_stay(loaded: Loaded) -> None:
    files = retired(loaded.data)
    (foreign := loaded.data / "raw" / "purple" / "notes.txt").write_text("mine")
    (stranger := loaded.data / "parquet" / "purple" / "theirs.parquet").write_bytes(b"PAR1")
    rows = loaded.table
    ran = clean(loaded, "--orphans", "--yes")
    marks = [name for name in files if name.startswith("lake.marks")]
    assert sorted(removed(ran) + marks) == files
    assert sorted(ran.document["unknown"]) == sorted([str(foreign), str(stranger)])
    assert "yellow_tripdata" in ran.document["notes"][0]
    assert [name for name in files if (loaded.data / name).exists()] == []
    assert (foreign.read_text(), stranger.read_bytes(), loaded.table) == ("mine", b"PAR1", rows)
    assert not (loaded.data / "state" / "receipts" / "purple").exists()


def test_the_raw_file_of_an_earlier_source_is_an_orphan(loaded: Loaded) -> None:
    loaded.publisher.files["/yellow_tripdata_2020-01.txt"] = MONTH.read_bytes()
    other = loaded.publisher.url + "/{dataset}_tripdata_{month}.txt"
    assert loaded.taxi("run", "--month", "2020-01", "--source", other).code == 0
    (loaded.data / (RAW + ".part")).write_bytes(b"cut")
    ran = clean(loaded, "--orphans", "--yes")
    assert removed(ran) == [RAW, RAW + ".part"]
    assert ran.document["files"][0]["why"] == "yellow-2020-01 comes as yellow_tripdata_2020-01.txt now"
    assert not (loaded.data / RAW).exists()
    assert (loaded.data / RAW).with_suffix(".txt").exists()
    again = loaded.taxi("run", "--month", "2020-01", "--json")
    assert again.steps == [ALL_UP_TO_DATE]


def test_the_raw_file_of_an_earlier_source_stays_until_that_of_the_new_one_is_converted(loaded: Loaded) -> None:
    loaded.publisher.files["/yellow_tripdata_2020-01.txt"] = MONTH.read_bytes()[:20_000].replace(b"VendorID", b"Seller")
    other = loaded.publisher.url + "/{dataset}_tripdata_{month}.txt"
    assert loaded.taxi("run", "--month", "2020-01", "--source", other).code == 1
    assert removed(clean(loaded, "--orphans", "--yes")) == []
    assert (loaded.data / RAW).read_bytes() == MONTH.read_bytes()


def test_the_copy_of_a_file_of_ones_own_is_no_orphan_once_the_month_comes_from_elsewhere(
    taxi: Command, mine: Path, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.txt"] = MONTH.read_bytes().replace(b"2020-01-1", b"2020-01-2")
    mine.unlink()
    other = publisher.url + "/{dataset}_tripdata_{month}.txt"
    for _ in range(2):
        assert taxi("run", "--month", "2020-01", "--source", other, "--force").code == 0
    assert taxi("clean", "--orphans", "--yes", "--json").document["files"] == []
    assert (tmp_path / "data" / RAW).read_bytes() == MONTH.read_bytes()


def test_files_with_our_footer_in_folders_that_no_dataset_had_are_left_alone(loaded: Loaded, tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    for folder in (loaded.data / "parquet" / "mine", elsewhere):
        folder.mkdir(exist_ok=True)
        shutil.copy(loaded.data / PARQUET, folder)
    (loaded.data / "parquet" / "archive").symlink_to(elsewhere)
    shutil.copytree(loaded.data / "lake" / "yellow", loaded.data / "lake" / "mine")
    shutil.copytree(loaded.data / "lake.marks" / "yellow", loaded.data / "lake.marks" / "mine")
    before = tree(loaded.data), tree(elsewhere)
    assert removed(clean(loaded, "--orphans", "--yes")) == []
    assert (tree(loaded.data), tree(elsewhere)) == before
    assert (loaded.data / "parquet" / "archive").is_symlink()


def test_what_lies_behind_a_link_in_the_place_of_a_lost_dataset_is_left_alone(loaded: Loaded, tmp_path: Path) -> None:
    retired(loaded.data)
    for kind in ("raw", "parquet", "rejects", "lake"):
        (loaded.data / kind / "purple").rename(tmp_path / kind)
        (loaded.data / kind / "purple").symlink_to(tmp_path / kind)
    before = [tree(tmp_path / kind) for kind in ("raw", "parquet", "rejects", "lake")]
    assert all(name.startswith("state/receipts/") for name in removed(clean(loaded, "--orphans", "--yes")))
    assert [tree(tmp_path / kind) for kind in ("raw", "parquet", "rejects", "lake")] == before
    assert all((loaded.data / kind / "purple").is_symlink() for kind in ("raw", "parquet", "rejects", "lake"))


DAY = 86_400


@pytest.mark.parametrize(("name", "days", "orphan"), [
    ("raw/yellow/yellow_tripdata_2020-02.csv.gz.part", DAYS_KEPT - 1, False),
    ("raw/yellow/yellow_tripdata_2020-02.csv.gz.part", DAYS_KEPT + 1, True),
    ("raw/yellow/yellow_tripdata_2020-02.csv.gz.part.json", DAYS_KEPT + 1, True),
    ("raw/yellow/.yellow_tripdata_2020-02.csv.abcdefgh.tmp", 0, True),
    ("rejects/yellow/yellow_tripdata_2020-01.csv", 1, True),
    ("rejects/yellow/yellow_tripdata_2020-01.csv", 0, False),
    ("raw/yellow/yellow_tripdata_2020-02.csv", 9, False),
    ("raw/yellow/photo.jpg", 9, False),
    ("raw/yellow/yellow_tripdata_2020-13.csv", 9, False),
    ("parquet/yellow/yellow_tripdata_2020-02.parquet", 9, False),
    ("parquet/yellow/my_own.parquet", 9, False),
    ("lake/mine/own.parquet", 9, False),
    ("lake/yellow/own.parquet", 9, False),
    ("elsewhere/a.csv", 9, False),
    ("raw/yellow/yellow_tripdata_2020-01.csv.gz", 0, True),
    ("raw/yellow/yellow_tripdata_2020-01.notes.txt", 99, False),
    ("raw/yellow/yellow_tripdata_2020-01.xlsx", 99, False),
    ("raw/yellow/yellow_tripdata_2020-01.csv.gz.bak", 99, False),
    ("raw/yellow/yellow_tripdata_2020-02.notes.txt.part", 99, False),
    ("parquet/mine/.draft.abcdefgh.tmp", 99, False),
])  # fmt: skip
def test_only_what_a_run_left_is_an_orphan(loaded: Loaded, name: str, days: int, orphan: bool) -> None:
    path = loaded.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"line,reason,raw\n1,why,what\n")
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    ran = clean(loaded, "--orphans", "--yes")
    assert (removed(ran), path.exists()) == ([name] if orphan else [], not orphan)


@pytest.mark.parametrize("name", ["a\nb.parquet", "a\x1bb.parquet", "a\\b.parquet"])
def test_a_name_that_no_object_can_have_is_somebody_elses(loaded: Loaded, name: str) -> None:
    theirs = loaded.data / "lake" / "other" / name
    theirs.parent.mkdir()
    theirs.touch()
    unfinished = loaded.data / "raw" / "yellow" / ".a.parquet.abcdefgh.tmp"
    unfinished.touch()
    ran = clean(loaded, "--orphans", "--yes")
    assert (removed(ran), ran.document["unknown"]) == ([f"raw/yellow/{unfinished.name}"], [str(theirs)])
    assert (theirs.exists(), unfinished.exists()) == (True, False)


def test_a_data_directory_that_lost_its_state_has_no_orphans(loaded: Loaded) -> None:
    """Store and table prove the months to the next run, so nothing of them may go."""
    shutil.rmtree(loaded.data / "state")
    before = tree(loaded.data)
    assert removed(clean(loaded, "--orphans", "--yes")) == []
    after = {name: content for name, content in tree(loaded.data).items() if not name.startswith("state")}
    assert after == before
    assert loaded.run().steps[0]["load"] == "up_to_date"


def test_links_and_a_store_elsewhere_are_left_alone(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    store = tmp_path / "shared lake"
    run = ("run", "--month", "2020-01", "--source", publisher.template, "--store", str(store))
    assert taxi(*run).code == 0
    (store / "yellow").rename(store / "purple")
    link = tmp_path / "data" / "raw" / "yellow" / "yellow_tripdata_2020-01.csv.gz"
    link.symlink_to(tmp_path / "data" / RAW)
    ran = taxi("clean", "--orphans", "--yes", "--store", str(store), "--json")
    assert (ran.document["files"], link.is_symlink()) == ([], True)
    assert len(list((store / "purple").iterdir())) >= 1


# ---- keep


@pytest.mark.parametrize(
    ("keep", "raw", "parquet"),
    [("raw,parquet", True, True), ("parquet", False, True), ("raw", True, False), ("", False, False)],
)
def test_a_run_leaves_what_keep_names(
    taxi: Command, publisher: Publisher, tmp_path: Path, keep: str, raw: bool, parquet: bool
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    arguments = ("run", "--month", "2020-01", "--source", publisher.template, "--json")
    first = taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP=keep)
    assert (first.code, set(first.steps[0].values())) == (0, {"done"}), first.err
    data = tmp_path / "data"
    assert ((data / RAW).exists(), (data / PARQUET).exists()) == (raw, parquet)
    again = taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP=keep)
    assert (again.steps, len(publisher.requests)) == ([ALL_UP_TO_DATE], 1)
    forced = taxi(*arguments, "--force", TAXI_INGEST_GLOBAL__KEEP=keep)
    assert (forced.code, set(forced.steps[0].values())) == (0, {"done"}), forced.err
    assert ((data / RAW).exists(), (data / PARQUET).exists()) == (raw, parquet)


def test_what_a_run_was_not_to_keep_counts_as_done_when_all_is_kept_again(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    arguments = ("run", "--month", "2020-01", "--source", publisher.template, "--json")
    assert taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP="").code == 0
    assert (taxi(*arguments).steps, len(publisher.requests)) == ([ALL_UP_TO_DATE], 1)
    assert not (tmp_path / "data" / PARQUET).exists()


def test_a_run_removes_nothing_that_an_earlier_one_kept(loaded: Loaded) -> None:
    before = tree(loaded.data / "raw") | tree(loaded.data / "parquet")
    assert loaded.run(TAXI_INGEST_GLOBAL__KEEP="").code == 0
    assert tree(loaded.data / "raw") | tree(loaded.data / "parquet") == before


def test_what_is_asked_for_stays_until_a_later_step_has_used_it(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    data, there = tmp_path / "data", []
    for verb in ("download", "parquetize", "upload", "load"):
        arguments = (verb, "--month", "2020-01", "--source", publisher.template)
        assert taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP="").code == 0
        there.append(((data / RAW).exists(), (data / PARQUET).exists()))
    assert there == [(True, False), (False, True), (False, True), (False, False)]
    assert len(publisher.requests) == 1


def test_a_file_that_cannot_be_converted_stays_whatever_keep_says(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes().replace(b"VendorID", b"Seller")
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, TAXI_INGEST_GLOBAL__KEEP="")
    assert (ran.code, (tmp_path / "data" / RAW).exists()) == (1, True)


def test_what_a_killed_run_did_not_remove_goes_with_the_next(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    killer = tmp_path / "killer"
    killer.mkdir()
    (killer / "sitecustomize.py").write_text(KILLED_AT_RAW)
    arguments = ("run", "--month", "2020-01", "--source", publisher.template, "--json")
    killed = taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP="", PYTHONPATH=str(killer))
    data = tmp_path / "data"
    assert (killed.code, (data / RAW).exists(), (data / PARQUET).exists()) == (-signal.SIGKILL, True, True)
    assert taxi(*arguments, TAXI_INGEST_GLOBAL__KEEP="").code == 0
    assert ((data / RAW).exists(), (data / PARQUET).exists(), len(publisher.requests)) == (False, False, 1)


KILLED_AT_RAW = """
import os, signal, sys
def hook(event, arguments):
    if event == "os.remove" and str(arguments[0]).endswith("2020-01.csv") and "/raw/" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
"""
