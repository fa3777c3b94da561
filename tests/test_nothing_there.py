"""What a verb says where what was asked for is not there: what was asked, what there is, and what to type."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Command, Loaded


@pytest.fixture
def with_demo(taxi: Command) -> Command:
    """A folder in which only the demo was run."""
    ran = taxi("run", "--source", "demo", TAXI_INGEST_DEMO__ROWS="3")
    assert ran.code == 0, ran.err
    return taxi


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        (["status"], 0),
        (["history"], 0),
        (["report"], 0),
        (["logs"], 2),
        (["verify"], 2),
        (["rows"], 0),
        (["query", "SELECT 1"], 1),
    ],
)
def test_before_the_first_run_every_verb_points_to_the_data_of_the_demo(
    with_demo: Command, verb: list[str], code: int
) -> None:
    ran = with_demo(*verb)
    assert (ran.code, "For the demo's data, add --data-dir demo-data." in ran.out + ran.err) == (code, True), ran
    assert "--data-dir" not in with_demo(*verb, "--data-dir", "demo-data").err


@pytest.mark.parametrize("asked", [("--month", "2024"), ("--dataset", "green")])
def test_status_of_months_that_are_not_there_says_which_are(loaded: Loaded, asked: tuple[str, str]) -> None:
    ran = loaded.taxi("status", *asked)
    assert ran.out == f"Nothing of that is in {loaded.data}, only yellow-2020-01.\n"


def test_rows_name_the_months_asked_for_that_are_not_there(loaded: Loaded) -> None:
    shown = loaded.taxi("rows", "--month", "2019-12..2020-03").out
    assert "yellow: 3 of 4 months asked for are not in the table: 2019-12, 2020-02..2020-03.\n" in shown
    assert "not in the table" not in loaded.taxi("rows").out
    assert "fhv: 1 of 1 month asked for is not in the table: 2020-01.\n" in (
        loaded.taxi("rows", "--month", "2020-01", "--dataset", "fhv,yellow").out
    )


def test_logs_of_a_run_that_was_refused_say_why_whichever_part_is_named(taxi: Command) -> None:
    run = ("run", "--month", "2020-01", "--store", "gs://bucket/trips", "--source", "demo")
    assert taxi(*run, GOOGLE_APPLICATION_CREDENTIALS="nowhere.json").code == 1
    whole = taxi("logs", "--data-dir", "demo-data")
    assert "credentials" in whole.out
    for words in (["yellow-2020-01"], ["latest", "yellow-2020-01", "load"], ["--failed"]):
        ran = taxi("logs", *words, "--data-dir", "demo-data")
        assert (ran.code, ran.out) == (0, whole.out), ran.err


def test_logs_of_a_part_are_those_of_the_last_run_that_tried_it(loaded: Loaded) -> None:
    loaded.run("--month", "2020-02")
    assert "==> yellow-2020-01 load, try 1, done" in loaded.taxi("logs", "yellow-2020-01", "load").out


def test_logs_of_what_was_not_tried_say_why(loaded: Loaded) -> None:
    failed = loaded.run("--month", "2020-02").document["run"]
    blocked = loaded.taxi("logs", "yellow-2020-02", "load")
    assert (blocked.code, f"was not tried in {failed}: a step before it failed" in blocked.err) == (2, True)
    misspelt = loaded.taxi("logs", "yellow-2020-1")
    assert (misspelt.code, "Did you mean yellow-2020-01?" in misspelt.err) == (2, True), misspelt.err
    idle = loaded.run("--month", "2020-01").document["run"]
    current = loaded.taxi("logs", idle, "yellow-2020-01", "load")
    assert (current.code, f"was up to date in {idle}" in current.err) == (2, True), current.err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["--dataset", "YELLOW"], "Did you mean yellow?"),
        (["--source", "CSV"], "Did you mean csv?"),
        (["--month", "2021-01-31"], "Did you mean 2021-01?"),
        (["--month", "20210131"], "Did you mean 2021-01?"),
    ],
)
def test_what_is_nearly_right_is_guessed(taxi: Command, arguments: list[str], meant: str) -> None:
    ran = taxi("run", *arguments)
    assert (ran.code, meant in ran.err) == (2, True), ran.err


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        (["run", "--source", "demo", "--data-dir", "file"], "file is a file. Name a folder with --data-dir."),
        (["status", "--data-dir", "file"], "file is a file. Name a folder with --data-dir."),
        (["run", "--source", "demo", "--store", "file"], "file is a file. Name a folder with --store."),
        (["run", "--source", "demo", "--data-dir", ""], "Name a folder with --data-dir, such as ./data."),
        (["query", "SELECT 1", "--parquet", "folder"], "folder is a folder. Name a file in it."),
    ],
)
def test_a_file_where_a_folder_is_named_is_refused_and_the_other_way_round(
    taxi: Command, tmp_path: Path, verb: list[str], says: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    ran = taxi(*verb)
    assert (ran.code, says in ran.err, sorted(path.name for path in tmp_path.iterdir())) == (
        2,
        True,
        ["file", "folder"],
    )


def test_the_page_is_not_written_over_a_folder(loaded: Loaded) -> None:
    ran = loaded.taxi("report", "--output", str(loaded.data))
    assert (ran.code, f"{loaded.data} is a folder. Name a file in it." in ran.err) == (2, True), ran.err


def test_a_plan_refuses_the_settings_that_a_run_refuses(taxi: Command) -> None:
    refused = [taxi(verb, TAXI_INGEST_OPERATE__PING_URL="nowhere") for verb in ("run", "plan")]
    assert [ran.code for ran in refused] == [2, 2]
    assert refused[0].err == refused[1].err


def test_a_request_of_which_nothing_is_left_says_so(taxi: Command) -> None:
    ran = taxi("run", "--month", "2008-01")
    assert (ran.code, ran.err) == (
        2,
        "error: yellow begins with 2009-01: 2008-01 left out. Nothing else was asked for.\n",
    )


def test_a_plan_with_nothing_to_do_says_that(loaded: Loaded) -> None:
    ran = loaded.taxi("plan", *loaded.arguments[:-1])
    assert ran.out.splitlines()[-1] == "1 part, up to date: nothing to do."


def test_a_query_of_a_file_says_what_reads_files(loaded: Loaded) -> None:
    ran = loaded.taxi("query", "SELECT count(*) FROM 'data/lake/yellow/*.parquet'")
    assert (ran.code, "A query opens no file but the database: read others with" in ran.err) == (2, True), ran.err
