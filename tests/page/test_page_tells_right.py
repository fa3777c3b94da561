"""Numbers on the page mean what they seem to: a month stands in its place in time, and no reject is counted as none."""

from __future__ import annotations

import pytest
from page.made_up import facts, failed, part
from page.reading import read

from taxi_ingest.catalog import Part
from taxi_ingest.page.document import document
from taxi_ingest.page.facts import PartFacts


def test_a_month_without_rows_leaves_a_gap() -> None:
    page = read(document(facts([part("yellow", month) for month in ("2020-01", "2020-02", "2020-05")])))
    chart = next(one for one in page.all("svg") if "rows of 3 months" in (one.attributes.get("aria-label") or ""))
    places = [float((bar.attributes["x"] or "").rstrip("%")) for bar in chart.all("rect")]
    assert [round((place - places[0]) / (places[1] - places[0])) for place in places] == [0, 1, 4]


@pytest.mark.parametrize(
    ("parts", "label"),
    [
        ([part("yellow", "2020-01")], "rejected lines"),
        ([part("yellow", "2020-01"), failed(Part("yellow", "2020-02"), "bad")], "rejected lines, without failed files"),
    ],
)
def test_rejects_of_a_file_that_failed_are_not_told_as_none(parts: list[PartFacts], label: str) -> None:
    tiles = read(document(facts(parts))).one("ul", **{"class": "tiles"})
    assert label in [tile.children[1].text for tile in tiles.children]
