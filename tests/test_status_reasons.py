"""Status tells a reason once for all the months that it holds for, and rows a source."""

from __future__ import annotations

import re

from conftest import MONTH, Loaded


def test_months_that_failed_alike_are_told_in_one_line(loaded: Loaded) -> None:
    loaded.run("--month", "2020-02..2020-04,2020-06")
    told = [line for line in loaded.taxi("status").out.splitlines() if " download failed: " in line]
    assert len(told) == 1
    assert told[0].startswith("yellow-2020-02..2020-04, 2020-06 (4 months) download failed: ")
    assert "yellow_tripdata_{month}.csv" in told[0]


def test_a_month_that_failed_alone_is_told_with_its_own_file(loaded: Loaded) -> None:
    loaded.run("--month", "2020-02")
    told = [line for line in loaded.taxi("status").out.splitlines() if " download failed: " in line]
    assert [(line.partition(" ")[0], "yellow_tripdata_2020-02.csv" in line) for line in told] == [
        ("yellow-2020-02", True)
    ]


def test_rows_tell_the_source_of_several_months_once(loaded: Loaded) -> None:
    content = (MONTH.read_bytes()).replace(b"2020-01-", b"2020-02-")
    loaded.publisher.files["/yellow_tripdata_2020-02.csv"] = re.sub(rb"2020-02-3\d", b"2020-02-28", content)
    assert loaded.run("--month", "2020-01,2020-02").code == 0
    told = [line for line in loaded.taxi("rows").out.splitlines() if "from " in line]
    assert [(line.partition(" ")[0], "yellow_tripdata_{month}.csv" in line) for line in told] == [("from", True)]
