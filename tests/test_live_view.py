"""What a person at a terminal sees of a run, on a real pty."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from terminals import on_a_terminal

from taxi_ingest.catalog import Part
from taxi_ingest.report.progress import Tally

RUN = [sys.executable, "-m", "taxi_ingest", "run", "--source", "demo", "--month", "2021-01..2021-03"]
PART, OTHER = Part("yellow", "2021-01"), Part("yellow", "2021-02")


def without_colour(drawn: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.decode())


@pytest.mark.parametrize("columns", [80, 120])
def test_no_line_is_wider_than_the_terminal_while_bars_are_drawn(tmp_path: Path, columns: int) -> None:
    shown = on_a_terminal(RUN, tmp_path, columns)
    bars = [line for line in re.split(r"[\r\n]+", without_colour(shown.drawn)) if "──" in line]
    assert shown.code == 0
    assert bars
    assert [line for line in bars if len(line.rstrip()) > columns] == []


def test_bars_the_whole_run_and_finished_steps_are_shown(tmp_path: Path) -> None:
    text = without_colour(on_a_terminal(RUN, tmp_path, 100).drawn)
    assert re.search(r"yellow-2021-0\d download +[━─]{12} asks the publisher for the file", text)
    assert re.search(r"\d+/12 steps, \d:\d\d:\d\d left, .* rows, .*/s, .*B, .*B/s", text)
    assert re.search(r"done yellow-2021-02 parquetize: in \d+\.\d s, 20,000 rows", text)
    assert "3 parts: 3 done; 60,000 rows, 0 rejects" in text


def test_no_color_is_honoured(tmp_path: Path) -> None:
    drawn = on_a_terminal(RUN, tmp_path, 100, NO_COLOR="1").drawn
    assert re.findall(rb"\x1b\[[0-9;]*3\d[0-9;]*m|\x1b\[9\dm", drawn) == []


# ---- the sums under the bars


class Clock:
    """Seconds, as told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock: Clock) -> Tally:
    tally = Tally(clock)
    tally.begun(8)
    return tally


def test_nothing_is_promised_before_a_step_has_ended(tally: Tally) -> None:
    tally.started(PART, "download")
    tally.moved(PART, "download", 100)
    assert (tally.now().seconds_left, tally.now().bytes) == (None, 100)


def test_the_time_left_follows_from_the_share_done(tally: Tally, clock: Clock) -> None:
    tally.started(PART, "download")
    clock.now = 10.0
    tally.ended(PART, "download", "done")
    tally.started(PART, "parquetize")
    tally.expects(PART, "parquetize", 1000)
    tally.moved(PART, "parquetize", 500)
    standing = tally.now()
    assert (standing.share, standing.seconds_left) == (1.5 / 8, pytest.approx(10 * 6.5 / 1.5))


def test_steps_that_were_up_to_date_are_no_work(tally: Tally) -> None:
    for step in ("download", "parquetize", "upload", "load"):
        tally.ended(OTHER, step, "up_to_date")
    tally.started(PART, "download")
    tally.ended(PART, "download", "done")
    standing = tally.now()
    assert (standing.finished, standing.share) == (5, 0.25)


def test_a_step_that_begins_anew_is_not_counted_twice(tally: Tally) -> None:
    tally.started(PART, "download")
    tally.moved(PART, "download", 400)
    tally.again(PART, "download")
    tally.moved(PART, "download", 1000)
    assert (tally.ended(PART, "download", "done"), tally.now().bytes) == (1000, 1000)


def test_rates_are_over_the_time_at_work(tally: Tally, clock: Clock) -> None:
    clock.now = 100.0
    tally.started(PART, "parquetize")
    tally.moved(PART, "parquetize", 500)
    clock.now = 102.0
    assert tally.now().rows_a_second == 250
