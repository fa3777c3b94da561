"""The chart of rows by month: a month stands where it belongs in time, whatever is missing before it."""

from __future__ import annotations

from page.made_up import facts, part
from page.reading import read

from taxi_ingest.page.document import document


def test_a_month_without_rows_leaves_a_gap() -> None:
    page = read(document(facts([part("yellow", month) for month in ("2020-01", "2020-02", "2020-05")])))
    chart = next(one for one in page.all("svg") if "rows of 3 months" in (one.attributes.get("aria-label") or ""))
    places = [float((bar.attributes["x"] or "").rstrip("%")) for bar in chart.all("rect")]
    assert [round((place - places[0]) / (places[1] - places[0])) for place in places] == [0, 1, 4]
