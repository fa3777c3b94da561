"""Status tells a reason once for all the months that it holds for."""

from __future__ import annotations

from conftest import Loaded


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
