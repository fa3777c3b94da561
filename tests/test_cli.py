"""The command line: what is refused, and with which exit code."""

from __future__ import annotations

import re
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from conftest import Command, Publisher, process, query
from filelock import FileLock

from taxi_ingest import exits


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--month", "2021-13"], "'2021-13' is not a month"),
        (["--month", "2021-03..2021-01"], "The range 2021-03..2021-01 is empty"),
        (["--month", "2021-01", "--dataset", "yelow"], "Did you mean yellow?"),
        (["--month", "2008-01"], "yellow begins with 2009-01"),
        (
            ["--month", "2021-01", "--source", "cvs"],
            "Did you mean csv? Possible: auto, csv, tlc, demo",
        ),
        (["--month", "2022-01", "--source", "csv"], "does not publish yellow for 2022-01"),
        (["--month", "2021-01", "--source", "demo", "--dataset", "fhv"], "does not publish fhv"),
        (["--month", "2021-01,2021-02", "--source", "file:///x.csv"], "names one file for several parts"),
        (["--month", "2021-01", "--source", "file:///{year}.csv"], "{dataset} and {month} only"),
        (["--month", "2021-01", "--source", "ftp://x/{month}"], "http, https or file"),
        (["--month", "2021-01", "--store", "s3://bucket"], "is not a store. Possible: a folder"),
        (["--month", "2021-01", "--warehouse", "sqlite:x"], "is not a warehouse. Possible: duckdb:"),
        (["--month", "2021-01", "--warehouse", "duckdb:"], "names no file"),
        (["--month", "2021-01", "--jobs", "0"], "--jobs must be a whole number from 1 to 64, not 0"),
        (["--month", ""], "Which month?"),
        (["--config", "nowhere.toml"], "nowhere.toml does not exist"),
    ],
)
def test_a_request_that_makes_no_sense_ends_2_and_touches_nothing(
    taxi: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ran = taxi("run", *arguments)
    assert (ran.code, list(tmp_path.iterdir())) == (2, []), ran.err
    assert sentence in ran.err


@pytest.mark.parametrize(
    "month",
    ["9999-12", "2021-01..9999-12", "2021-01..9998-12", "\uff12\uff10\uff12\uff11-01", "2021-0\u0661", "10000-01"],
)
@pytest.mark.parametrize("verb", ["run", "plan --dataset all", "status", "cron"])
def test_a_month_that_can_never_be_ends_2_at_once(taxi: Command, tmp_path: Path, verb: str, month: str) -> None:
    begun = time.monotonic()
    ran = taxi(*verb.split(), "--month", month)
    assert (ran.code, len(ran.err.splitlines()), list(tmp_path.iterdir())) == (2, 1, []), ran.err
    assert time.monotonic() - begun < 20


def test_the_longest_range_there_can_be_is_planned_quickly(taxi: Command) -> None:
    begun = time.monotonic()
    ran = taxi("plan", "--month", f"0001-01..{date.today():%Y-%m}", "--dataset", "all", "--json")
    assert (ran.code, min(part["month"] or "9" for part in ran.document["parts"])) == (0, "2009-01"), ran.err
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("arguments", [["--month", "2021-13"], ["--dataset", "yelow"], ["--month", "2021-02..2021-01"]])
def test_cron_refuses_what_the_run_would_refuse(taxi: Command, arguments: list[str]) -> None:
    ran = taxi("cron", *arguments)
    assert (ran.code, ran.out) == (2, ""), ran.err


def test_an_unknown_option_ends_2(taxi: Command) -> None:
    assert taxi("run", "--moth", "2021-01").code == 2


def test_a_held_lock_ends_75(taxi: Command, tmp_path: Path) -> None:
    state = tmp_path / "demo-data" / "state"
    state.mkdir(parents=True)
    with FileLock(state / "lock"):
        ran = taxi("run", "--source", "demo", "--month", "2021-01")
    assert (ran.code, (state / "history.sqlite").exists()) == (75, False), ran.err
    assert "Another run holds" in ran.err


def test_a_bug_ends_3_and_names_its_log(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "filelock.py").write_text("raise ZeroDivisionError('nobody expects that')")
    ran = taxi("run", "--month", "2021-01", "--source", "file:///nowhere/{month}.csv", PYTHONPATH=str(tmp_path))
    assert ran.code == 3
    log = re.search(r"its log is (\S+)", ran.err)
    assert log is not None, ran.err
    assert "Traceback" in Path(log.group(1)).read_text()


def test_a_folder_that_cannot_be_made_ends_1_with_a_sentence(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder must be")
    ran = taxi("run", "--month", "2021-01", "--source", "file:///nowhere/{month}.csv", "--data-dir", "file/data")
    assert (ran.code, "Traceback" in ran.err) == (1, False)
    assert "this machine refused" in ran.err


@pytest.mark.parametrize("arguments", ["--help", "catalog", "run --source demo --month 2021-01 --quiet"])
def test_a_full_disk_behind_stdout_ends_1_with_one_sentence(tmp_path: Path, arguments: str) -> None:
    shell = f"{sys.executable} -m taxi_ingest {arguments} > /dev/full"
    ran = process(["sh", "-c", shell], tmp_path, {"TAXI_INGEST_DEMO__ROWS": "100"})
    assert (ran.code, ran.err.count("No space left on device"), "Traceback" in ran.err) == (1, 1, False), ran.err


def test_months_may_be_given_in_every_form_and_repeat(taxi: Command, publisher: Publisher) -> None:
    months = ("--month", "2020-01..2020-02", "--month", "2020-05,2020-01")
    ran = taxi("download", *months, "--source", publisher.template, "--json")
    assert [part["month"] for part in ran.document["parts"]] == ["2020-01", "2020-02", "2020-05"]


def test_months_before_the_first_are_left_out_with_one_notice(taxi: Command, publisher: Publisher) -> None:
    ran = taxi("download", "--month", "2008-11..2009-01", "--source", publisher.template, "--json")
    assert [part["month"] for part in ran.document["parts"]] == ["2009-01"]
    assert ran.err.count("yellow begins with 2009-01: 2008-11..2008-12 left out.") == 1


def test_version_is_printed(taxi: Command) -> None:
    assert re.fullmatch(r"taxi-ingest \d+\.\d+\.\d+\n", taxi("--version").out)


@pytest.mark.parametrize("verb", ["run", "download", "parquetize", "upload", "load", "config"])
def test_every_option_has_help(taxi: Command, verb: str) -> None:
    text = taxi(verb, "--help", COLUMNS="200").out
    options = [line for line in text.splitlines() if line.strip().startswith("-")]
    assert len(options) > 2
    assert [line for line in options if len(line.split("  ")) < 3 or not line.split("  ")[-1].strip()] == []


def test_every_exit_code_has_a_meaning() -> None:
    assert sorted(exits.MEANINGS) == [0, 1, 2, 3, 4, 75, 130]


def test_quiet_says_what_was_done_and_nothing_when_nothing_is_to_do(taxi: Command) -> None:
    arguments = ("run", "--source", "demo", "--month", "2021-01", "--quiet")
    first = taxi(*arguments, TAXI_INGEST_DEMO__ROWS="100")
    said = [re.sub(r"[\d.]+ s", "… s", line[20:]) for line in first.out.splitlines()]
    assert "yellow-2021-01 parquetize: done in … s, 100 rows" in said
    assert len(said) == 4
    again = taxi(*arguments, TAXI_INGEST_DEMO__ROWS="100")
    assert (again.code, again.out, again.err) == (0, "", "")


def test_json_is_the_only_thing_on_stdout(taxi: Command) -> None:
    ran = taxi("run", "--source", "demo", "--month", "2021-01", "--json", TAXI_INGEST_DEMO__ROWS="100")
    assert ran.document["parts"][0]["source"] == "demo:yellow/2021-01?rows=100&seed=1"
    assert "parquetize" in ran.err


def test_a_run_goes_on_when_nobody_reads_what_it_prints(taxi: Command, tmp_path: Path) -> None:
    piped = f"({sys.executable} -m taxi_ingest run --source demo --month 2021-01..2021-03; echo $? > code) | true"
    process(["sh", "-c", piped], tmp_path, {"TAXI_INGEST_DEMO__ROWS": "100"})
    assert (tmp_path / "code").read_text() == "0\n"
    assert len(taxi("status", "--data-dir", "demo-data", "--json").document["parts"]) == 3


@pytest.mark.parametrize("arguments", ["catalog", "catalog --json", "config", "status", "--help"])
def test_a_list_that_nobody_reads_is_no_failure(tmp_path: Path, arguments: str) -> None:
    ran = process(["sh", "-c", f"({sys.executable} -m taxi_ingest {arguments}; echo $? > code) | true"], tmp_path)
    assert ((tmp_path / "code").read_text(), ran.err) == ("0\n", "")


@pytest.mark.parametrize(
    "arguments",
    ["run --month 2021-01 --source demo", "status", "history", "logs --failed", "plan", "config", "catalog"],
)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(taxi: Command, tmp_path: Path, arguments: str, closed: str) -> None:
    expected = 2 if arguments.startswith("logs") else 0  # there are none
    for more in ("", " --json") if not arguments.startswith("logs") else ("",):
        command = f"{sys.executable} -m taxi_ingest {arguments}{more} {closed}"
        ran = process(["sh", "-c", command], tmp_path, {"TAXI_INGEST_DEMO__ROWS": "100"})
        assert (ran.code, "bug" in ran.err) == (expected, False), ran.err
    if arguments.startswith("run"):
        table = tmp_path / "demo-data" / "taxi.duckdb"
        assert query(table, "SELECT count(*) FROM yellow_tripdata") == [(100,)]
