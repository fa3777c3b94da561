"""Room on the disks: compared before a run begins, and what a disk that is full in the middle leaves."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from conftest import ALL_UP_TO_DATE, MONTH, Command, Publisher, Ran, process, query
from publishing import sends

TAXI = f"{sys.executable} -m taxi_ingest"
DEMO = "--source demo --data-dir data --month 2021-01..2021-03"
ROWS = {"TAXI_INGEST_DEMO__ROWS": "20000"}


def mounted(*commands: str, cwd: Path, **environment: str) -> Ran:
    """Commands in a mount namespace of their own; skips where this user may not make one."""
    if process(["unshare", "-m", "true"], cwd).code:
        pytest.skip("needs the right to mount")
    return process(["unshare", "-m", "sh", "-ec", "\n".join(commands)], cwd, environment)


def disk(folder: str, size: str) -> str:
    return f"mkdir -p {folder}; mount -t tmpfs -o size={size} tmpfs {folder}"


# ---- before


def test_a_run_that_needs_more_than_the_disk_has_does_not_begin(tmp_path: Path) -> None:
    ran = mounted(disk("data", "1m"), f"{TAXI} run {DEMO}", cwd=tmp_path, **ROWS)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (1, "", 1), ran.err
    numbers = re.search(r"would write about ([0-9.]+) MB to the disk of \S+/data, which has ([0-9.]+) MB free", ran.err)
    assert numbers, ran.err
    assert float(numbers[1]) > 1.0 >= float(numbers[2]) > 0.5


def test_a_run_that_was_refused_is_in_the_history_as_failed_with_the_reason(tmp_path: Path) -> None:
    command = f"{TAXI} run {DEMO} || {TAXI} history latest --data-dir data --json"
    ran = mounted(disk("data", "1m"), command, cwd=tmp_path, **ROWS)
    document = json.loads(ran.out)
    assert (document["run"]["exit"], document["attempts"]) == (1, [])
    assert ["would write about" in note["note"] for note in document["notes"]] == [True]


def test_what_a_refresh_will_fetch_is_counted(taxi: Command, publisher: Publisher) -> None:
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    run = ("run", "--month", "2020-01", "--source", publisher.template)
    assert taxi(*run).code == 0
    publisher.files["/yellow_tripdata_2020-01.csv"] = sends(200, {"ETag": '"2"', "Content-Length": str(10**15)}, b"")
    ran = taxi(*run, "--refresh")
    assert (ran.code, "would write about 1,000,000.00 GB" in ran.err) == (1, True), ran.err


@pytest.mark.parametrize("option", ["--no-disk-check", "--force"])
def test_it_begins_all_the_same_when_told_to(tmp_path: Path, option: str) -> None:
    command = f"{TAXI} run {DEMO} {option} || {TAXI} history latest --data-dir data --json"
    ran = mounted(disk("data", "1m"), command, cwd=tmp_path, **ROWS)
    assert "would write about" not in ran.err
    attempts = json.loads(ran.out[ran.out.index("{\n") :])["attempts"]
    assert {attempt["step"] for attempt in attempts} == {"download"}


def test_each_disk_is_compared_by_itself(tmp_path: Path) -> None:
    places = "--store store --warehouse duckdb:tables/taxi.duckdb"
    disks = [disk("data", "40m"), disk("store", "30m"), disk("tables", "1m")]
    plan = mounted(*disks, f"{TAXI} plan {DEMO} {places} --json", cwd=tmp_path, **ROWS)
    found = {Path(one["folder"]).name: one for one in plan.document["disks"]}
    assert sorted(found) == ["data", "store", "tables"]
    assert sum(one["needs"] for one in found.values()) == plan.document["disk_bytes"]
    assert found["data"]["free"] > found["data"]["needs"] > found["tables"]["needs"] > found["tables"]["free"]
    ran = mounted(*disks, f"{TAXI} run {DEMO} {places}", cwd=tmp_path, **ROWS)
    assert (ran.code, "to the disk of" in ran.err, "/tables, which has" in ran.err) == (1, True, True), ran.err


def test_what_is_not_kept_is_not_counted_for_every_month(taxi: Command) -> None:
    kept, passing = (
        taxi("plan", "--source", "tlc", "--month", "2020-01..2020-12", "--json", TAXI_INGEST_GLOBAL__KEEP=keep).document
        for keep in ("raw,parquet", "parquet")
    )
    assert kept["disk_bytes"] - passing["disk_bytes"] == kept["download_bytes"] == passing["download_bytes"]
    assert passing["disk_bytes"] < passing["disks"][0]["needs"] < kept["disks"][0]["needs"]


def test_files_of_ones_own_are_of_unknown_size_and_a_guess_only_makes_a_note(
    tmp_path: Path, publisher: Publisher
) -> None:
    publisher.files["/yellow_tripdata_2019-03.csv"] = MONTH.read_bytes()
    run = f"{TAXI} run --data-dir data --month 2019-03 --source {shlex.quote(publisher.template)} --quiet"
    ran = mounted(disk("data", "150m"), f"{run}; {TAXI} history latest --data-dir data", cwd=tmp_path)
    said = [line for line in ran.out.splitlines() if "This run may write about" in line]
    assert (ran.code, len(said)) == (0, 2), ran.out + ran.err  # at its start, and in the history


def test_what_is_done_needs_no_room(taxi: Command) -> None:
    options = ("--source", "demo", "--month", "2021-01", "--json")
    few = {"TAXI_INGEST_DEMO__ROWS": "100"}
    assert taxi("run", *options, **few).code == 0
    assert [one["needs"] for one in taxi("plan", *options, **few).document["disks"]] == [0]


def test_the_estimate_is_near_what_is_written(taxi: Command, tmp_path: Path) -> None:
    options = ("--source", "demo", "--month", "2021-01", "--data-dir", "data", "--json")
    planned = taxi("plan", *options).document["disk_bytes"]
    assert taxi("run", *options).code == 0
    data = tmp_path / "data"
    written = sum(path.stat().st_size for kind in ("raw", "parquet") for path in data.glob(f"{kind}/*/*"))
    written += (data / "taxi.duckdb").stat().st_size
    assert 0.7 < planned / written < 1.4


# ---- in the middle


FULL = {
    "data/raw": ("download", 8),
    "data/parquet": ("parquetize", 8),
    "store": ("upload", 8),
    "tables": ("load", 16),
    "data/state": ("", 8),
    "data/logs": ("", 0),
}
"""Folder on a small disk of its own → the step that fails, and kilobytes left free on it."""


@pytest.mark.parametrize("folder", FULL)
def test_a_disk_that_is_full_in_the_middle_loses_nothing(
    taxi: Command, publisher: Publisher, tmp_path: Path, folder: str
) -> None:
    for month in ("2020-01", "2020-02"):
        publisher.files[f"/yellow_tripdata_{month}.csv"] = MONTH.read_bytes()
    (tmp_path / "tables").mkdir()
    places = ["--source", publisher.template, "--store", "store", "--warehouse", "duckdb:tables/taxi.duckdb"]
    first = taxi("run", "--month", "2020-01", *places, "--json")
    assert first.code == 0, first.err
    rows = first.document["parts"][0]["rows"]
    step, kilobytes = FULL[folder]
    ran = mounted(
        f"cp -a {folder} saved; full=$(du -sk --apparent-size saved | cut -f1)",
        "files=$(find saved | wc -l)",
        f"mount -t tmpfs -o size=$((full + 4 * files + {kilobytes}))k tmpfs {folder}; cp -a saved/. {folder}",
        f"! test -d {folder}.marks || mv {folder}.marks {folder}/.marks",  # where a mount point has them
        f"head -c 1G /dev/zero > {folder}/filler 2> /dev/null || true; truncate -s -{kilobytes}k {folder}/filler",
        f"{TAXI} run --month 2020-01..2020-02 {shlex.join(places)} --json && code=0 || code=$?",
        f"rm {folder}/filler; rm -r saved; cp -a {folder} saved; exit $code",
        cwd=tmp_path,
    )
    process(["sh", "-ec", f"rm -r {folder}; mv saved {folder}"], tmp_path)
    assert ("Traceback" in ran.err + ran.out, "bug" in ran.err) == (False, False), ran.err
    if step:
        assert (ran.code, ran.steps[0], ran.steps[1][step]) == (1, ALL_UP_TO_DATE, "failed"), ran.err
        (told,) = [line for line in ran.err.splitlines() if f"yellow-2020-02 {step}: failed: " in line]
        assert "Make room" in told, told
    else:
        assert ran.code in {0, 1}, ran.err
    table = "SELECT strftime(file_month, '%Y-%m'), count(*) FROM yellow_tripdata GROUP BY ALL ORDER BY ALL"
    held = query(tmp_path / "tables" / "taxi.duckdb", table)
    assert held[0] == ("2020-01", rows)
    again = taxi("run", "--month", "2020-01..2020-02", *places, "--json")
    assert (again.code, again.steps[0]) == (0, ALL_UP_TO_DATE), again.err
    assert query(tmp_path / "tables" / "taxi.duckdb", table) == [("2020-01", rows), ("2020-02", rows)]


def test_a_store_that_became_a_disk_of_its_own_says_where_its_marks_must_go(taxi: Command, tmp_path: Path) -> None:
    demo = shlex.join(["run", "--source", "demo", "--data-dir", "data", "--store", "store", "--no-disk-check"])
    assert taxi(*shlex.split(demo), "--month", "2021-01", **ROWS).code == 0
    move = f"mv {tmp_path}/store.marks {tmp_path}/store/.marks"
    ran = mounted(
        "cp -a store saved",
        "mount -t tmpfs tmpfs store; cp -a saved/. store",
        f"{TAXI} {demo} --month 2021-01..2021-02 && exit 9 || true",
        move,
        f"{TAXI} {demo} --month 2021-01..2021-02 --json",
        cwd=tmp_path,
        **ROWS,
    )
    assert (
        f"lies on another disk than its marks in {tmp_path}/store.marks. Move them there: {move}" in ran.out + ran.err
    )
    document = json.loads(ran.out[ran.out.index("{\n") :])
    uploads = [part["steps"]["upload"] for part in document["parts"]]
    assert (ran.code, uploads) == (0, ["up_to_date", "done"]), ran.err
