"""A column of codes that holds something else: its receipt stays small, and nothing goes uncounted."""

from __future__ import annotations

from pathlib import Path

from conftest import DATA
from test_parquetize import PART, Desk

from taxi_ingest.engine.notes import notes
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import to_json
from taxi_ingest.steps.counting import MOST_CODES, OTHER_CODES

TRIPS = 20_000


def test_codes_beyond_the_first_thousand_are_counted_together(tmp_path: Path) -> None:
    header, line = (DATA / "yellow_tripdata_2020-01.csv").read_text().splitlines()[:2]
    names, cells = header.split(","), line.split(",")
    at = [name.strip() for name in names].index("store_and_fwd_flag")
    path = tmp_path / "yellow.csv"
    path.write_text(
        "\n".join([header, *(",".join([*cells[:at], f"trip {n}", *cells[at + 1 :]]) for n in range(TRIPS))])
    )
    receipt = Desk(Layout(tmp_path)).convert(path)
    assert receipt.rows == TRIPS == sum(code.occurrences for code in receipt.unknown_codes)
    (rest,) = [code.occurrences for code in receipt.unknown_codes if code.text == OTHER_CODES]
    assert (len(receipt.unknown_codes), rest) == (MOST_CODES + 1, TRIPS - MOST_CODES)
    assert len(to_json(receipt)) < 100_000
    told = [note for note in notes(PART, receipt, Layout(tmp_path)) if "unknown code" in note]
    assert len(told) == 11
    assert told[-1].startswith(f"other unknown codes became null {TRIPS - (TRIPS - MOST_CODES) - 9:,} times")


def test_few_codes_are_told_each_by_itself(tmp_path: Path) -> None:
    text = (DATA / "yellow_tripdata_2020-01.csv").read_text().replace(",N,", ",what,")
    path = tmp_path / "yellow.csv"
    path.write_text(text)
    receipt = Desk(Layout(tmp_path)).convert(path)
    assert [(code.column, code.text) for code in receipt.unknown_codes] == [("store_and_fwd_flag", "what")]
