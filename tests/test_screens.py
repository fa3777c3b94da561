"""What a person sees on a terminal of 80 and of 120 columns, on a real pty."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path

import pytest
from conftest import MONTH, Publisher, Terminal
from filelock import FileLock
from publishing import answer, one_after_another, sends

from taxi_ingest.report.past import without_tracebacks

RUN = ("run", "--month", "2020-01..2020-04,2020-06")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def mixed(publisher: Publisher) -> Publisher:
    """A publisher with a good month, a month of which many lines cannot be read, a web page, and no other."""
    lines = MONTH.read_bytes().splitlines(keepends=True)
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    publisher.files["/yellow_tripdata_2020-02.csv"] = b"".join([*lines, *([b"no,taxi\r\n"] * 200)])
    publisher.files["/yellow_tripdata_2020-03.csv"] = b"<html>oops</html>"
    return publisher


def too_wide(drawn: bytes, columns: int) -> list[str]:
    """Lines wider than the terminal that hold more than one word that is too long, such as a URL."""
    lines = [ANSI.sub("", line).rstrip() for line in re.split(r"[\r\n]+", drawn.decode())]
    return [line for line in lines if len(line) > columns and " " in line.strip()]


@pytest.mark.parametrize("columns", [80, 120])
def test_every_screen_fits_its_terminal(terminal: Terminal, mixed: Publisher, tmp_path: Path, columns: int) -> None:
    source = ("--source", mixed.template, "--data-dir", "d" * 30)
    assert terminal(columns, *RUN, *source).code == 1
    verbs = (
        ["history"], ["history", "latest"], ["status"], ["config"], ["doctor"], ["verify"], ["rows"],
        ["plan", *RUN[1:]],
    )  # fmt: skip
    shown = {verb[0]: terminal(columns, *verb, *source[0 if verb[0] == "plan" else 2 :]) for verb in verbs}
    shown["catalog"] = terminal(columns, "catalog", "--dataset", "all")
    shown["help"] = terminal(columns, "run", "--help")
    assert {verb: too_wide(one.drawn, columns) for verb, one in shown.items()} == {verb: [] for verb in shown}


@pytest.mark.parametrize("columns", [80, 120])
def test_parts_and_requests_are_shown_whole(terminal: Terminal, mixed: Publisher, columns: int) -> None:
    ran = terminal(columns, *RUN, "--source", mixed.template)
    for month in ("2020-01", "2020-02", "2020-03", "2020-04", "2020-06"):
        assert re.search(rf"^yellow-{month}  +(done|failed) ", ran.text, re.MULTILINE), ran.text
    assert re.search(r"^part +download +parquetize +upload +load +rows +rejects", ran.text, re.MULTILINE)
    request = " ".join(line.strip() for line in terminal(columns, "history").lines)
    assert f"run --month 2020-01..2020-04,2020-06 --source {mixed.template}" in request


def test_a_month_that_is_not_published_says_so_once(terminal: Terminal, publisher: Publisher) -> None:
    from test_looking_back import last_month

    ran = terminal(80, "run", "--month", last_month(), "--source", publisher.template)
    assert re.search(rf"^yellow-{last_month()}  not published +[0-9.]+$", ran.text, re.MULTILINE), ran.text
    assert "1 part: 1 not published; 0 rows" in ran.text


def test_the_total_names_what_failed_and_what_to_type(terminal: Terminal, mixed: Publisher) -> None:
    ran = terminal(80, *RUN, "--source", mixed.template, "--data-dir", "here")
    assert "5 parts: 1 done, 4 failed; 999 rows, " in ran.text
    assert "See: taxi-ingest history latest --data-dir here --failed" in ran.lines
    failed = terminal(80, "history", "latest", "--data-dir", "here", "--failed")
    assert (failed.code, failed.text.count("  failed  ")) == (0, 4)


def test_rejects_are_not_counted_where_a_file_was_refused_for_them(terminal: Terminal, mixed: Publisher) -> None:
    ran = terminal(80, *RUN, "--source", mixed.template)
    assert " rejects" not in ran.text.partition("5 parts")[2]
    whole = terminal(80, "run", "--month", "2020-01", "--source", mixed.template, "--force")
    assert "1 part: 1 done; 999 rows, 0 rejects" in whole.text


# ---- while a run is on


def test_hundreds_of_months_scroll_a_bounded_number_of_lines(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    source = f"file://{tmp_path}/copies/{{dataset}}_{{month}}.csv"
    ran = terminal(80, "run", "--month", "2009-01..2024-12", "--source", source)
    assert (ran.code, "192 parts: 192 failed" in ran.text) == (1, True)
    assert len(ran.lines) < 120
    assert "and 168 other parts. See: taxi-ingest history latest" in ran.text


def test_many_months_that_are_done_leave_no_line_each(terminal: Terminal) -> None:
    months = ("--month", "2020-01..2022-02")
    ran = terminal(80, "run", "--source", "demo", *months, TAXI_INGEST_DEMO__ROWS="1000")
    assert (ran.code, "26 parts: 26 done; 26,000 rows" in ran.text) == (0, True)
    assert len([line for line in ran.lines if line]) < 10
    assert "other part" not in ran.text


def test_no_bar_is_left_behind(terminal: Terminal, mixed: Publisher) -> None:
    for _ in range(3):
        ran = terminal(80, *RUN, "--source", mixed.template, "--force")
        assert [line for line in ran.lines if "──" in line or "steps" in line] == []


def test_a_terminal_of_another_encoding_gets_what_it_can_show(terminal: Terminal) -> None:
    run = ("run", "--source", "demo", "--month", "2021-01")
    ran = terminal(80, *run, PYTHONIOENCODING="latin-1")
    assert (ran.code, "1 part: 1 done; 20,000 rows" in ran.text) == (0, True)
    assert b"download [#.]" in re.sub(rb"download [#.]+", b"download [#.]", ANSI.sub("", ran.drawn.decode()).encode())
    assert b"\\u" not in ran.drawn


def test_another_try_tells_which_and_when(terminal: Terminal, publisher: Publisher) -> None:
    busy, there = (lambda to: answer(to, 503, b"busy")), sends(200, {}, MONTH.read_bytes())
    publisher.files["/yellow_tripdata_2020-01.csv"] = one_after_another(busy, busy, there)
    run = ("run", "--month", "2020-01", "--source", publisher.template)
    ran = terminal(120, *run, TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS="0.6")
    said = " ".join(ran.lines)
    assert "Try 2 of 5 in " in said
    assert "Try 3 of 5 in " in said
    assert "waits 1 s" in ANSI.sub("", ran.drawn.decode())


def test_bytes_of_how_many_and_the_percentage_are_shown(terminal: Terminal, publisher: Publisher) -> None:
    whole = MONTH.read_bytes() * 12

    def slowly(to: object) -> None:
        to.send_response(200)  # type: ignore[attr-defined]
        to.send_header("Content-Length", str(len(whole)))  # type: ignore[attr-defined]
        to.end_headers()  # type: ignore[attr-defined]
        half = len(whole) // 2
        for piece in (whole[:half], whole[half:]):
            to.wfile.write(piece)  # type: ignore[attr-defined]
            to.wfile.flush()  # type: ignore[attr-defined]
            time.sleep(0.7)

    publisher.files["/yellow_tripdata_2020-01.csv"] = slowly
    ran = terminal(80, "download", "--month", "2020-01", "--source", publisher.template)
    drawn = ANSI.sub("", ran.drawn.decode())
    assert re.search(r"yellow-2020-01 download [━─]{12} +\d+% [\d.]+ (kB )?of 1\.1 MB, [\d.]+ [kM]B/s, 00:0\d", drawn)


# ---- waits


def test_a_run_that_waits_for_another_says_at_once_for_which(terminal: Terminal, tmp_path: Path) -> None:
    state = tmp_path / "demo-data" / "state"
    run = ("run", "--source", "demo", "--month", "2021-01")
    assert terminal(80, *run).code == 0
    with sqlite3.connect(state / "history.sqlite") as db:
        other = ("r", "2021-05-06T07:08:09+00:00", None, 4711, "1", "run --month all", None)
        db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", other)
    lock = FileLock(state / "lock")

    def release_when_told(drawn: bytes) -> None:
        if b"waiting for another run" in drawn:
            lock.release()

    with lock:
        refused = terminal(80, *run)
        waited = terminal(80, *run, "--wait", watch=release_when_told)
    said = " ".join(line.strip() for line in refused.lines)
    assert (refused.code, "Another run (run --month all; process 4711, since 2021-05-0" in said) == (75, True)
    assert "waiting for another run (run --month all; process 4711, since" in " ".join(map(str.strip, waited.lines))
    assert (waited.code, "steps" in waited.text) == (0, False)


# ---- logs


def test_logs_tell_a_fault_of_the_outside_in_a_line(terminal: Terminal, mixed: Publisher, tmp_path: Path) -> None:
    terminal(80, "run", "--month", "2020-03,2020-04", "--source", mixed.template)
    shown = terminal(80, "logs", "--failed")
    assert shown.text.count("this try failed:") == 2
    assert "Traceback" not in shown.text
    assert "Traceback" in terminal(80, "logs", "--failed", "--verbose").text
    (log,) = (tmp_path / "data" / "logs").glob("*/yellow-2020-04-download-1.log")
    assert "Traceback" in log.read_text()


def test_logs_of_a_bug_keep_their_traceback() -> None:
    text = "2026-01-01 00:00:00,000 CRITICAL this try failed: 1\nTraceback (most recent call last):\n  File x\n"
    assert without_tracebacks(text) == text.rstrip()
    assert without_tracebacks(text.replace("CRITICAL", "ERROR")) == "2026-01-01 00:00:00,000 ERROR this try failed: 1"


def test_logs_after_an_idle_run_are_those_of_the_last_that_worked(terminal: Terminal, mixed: Publisher) -> None:
    run = ("run", "--month", "2020-01", "--source", mixed.template)
    terminal(80, *run)
    assert "1 up to date" in terminal(80, *run).text
    assert terminal(80, "logs").text.count("==> ") == 4


def test_logs_tell_why_a_run_could_not_begin(terminal: Terminal, mixed: Publisher, tmp_path: Path) -> None:
    run = ("run", "--month", "2020-01", "--source", mixed.template)
    terminal(80, *run)
    (tmp_path / "data" / "taxi.duckdb").write_bytes(b"no database" * 1000)
    refused = terminal(80, *run)
    shown = terminal(80, "logs")
    assert (refused.code, ", failed: run --month 2020-01" in shown.text, "taxi.duckdb" in "".join(shown.lines)) == (
        1,
        True,
        True,
    )
