"""What an object carries of the file it was made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taxi_ingest.catalog import Part
from taxi_ingest.layout import Layout
from taxi_ingest.state.carried import carried, facts_of
from taxi_ingest.state.receipts import Downloaded, Parquetized, PartReceipts
from taxi_ingest.stores import Held
from taxi_ingest.writers.provenance import Writer

PART = Part("yellow", "2021-01")
LAYOUT = Layout(Path("/nowhere"))
DOWNLOADED = Downloaded(
    source="csv", url="https://host/yellow.csv", file="raw/yellow/yellow_tripdata_2021-01.csv", bytes=9, mtime_ns=5,
    sha256="a" * 64, format="csv", columns=("VendorID", "naïve"), crc32c="01020304", etag='"1"', temporary=True,
)  # fmt: skip
PARQUETIZED = Parquetized(
    mark="m", source="csv", raw_sha256="a" * 64, raw_bytes=9, vintage="2019", rows=2, rejects=1, writer=Writer(),
    bytes=99, mtime_ns=7, crc32c="0a0b0c0d", lines=3, temporary=True,
)  # fmt: skip


def held(facts: dict[str, str], mark: str = "m", crc32c: str = "0a0b0c0d") -> Held:
    return Held(mark, crc32c, 99, facts)


def test_both_receipts_come_back_without_what_was_true_of_one_disk() -> None:
    found = carried(PART, held(facts_of(PARQUETIZED, DOWNLOADED)), LAYOUT)
    assert found == PartReceipts(
        download=replace(DOWNLOADED, mtime_ns=0, temporary=False),
        parquetize=replace(PARQUETIZED, mtime_ns=0, temporary=False, pruned=True),
    )


def test_facts_are_plain_text_on_one_line() -> None:
    facts = facts_of(PARQUETIZED, DOWNLOADED)
    assert all(value.isascii() and "\n" not in value for value in facts.values())


def test_what_others_wrote_or_what_is_damaged_carries_nothing() -> None:
    damaged = facts_of(PARQUETIZED, DOWNLOADED)
    damaged["download"] = damaged["download"].replace('"bytes":9', '"bytes":8')
    nested = {"download": '{"x":' * 1_500}  # as much as an object can carry, and more than a JSON reader takes
    for facts in ({}, {"download": "{}"}, {"download": "half a rec"}, nested, facts_of(PARQUETIZED, None), damaged):
        assert carried(PART, held(facts), LAYOUT) == PartReceipts()


def test_the_receipt_of_another_part_is_none() -> None:
    facts = facts_of(PARQUETIZED, replace(DOWNLOADED, file="raw/yellow/yellow_tripdata_2021-02.csv"))
    assert carried(PART, held(facts), LAYOUT) == PartReceipts()


def test_a_conversion_that_gave_another_object_is_not_believed() -> None:
    facts = facts_of(PARQUETIZED, DOWNLOADED)
    for other in (held(facts, mark="other"), held(facts, crc32c="ffffffff")):
        assert carried(PART, other, LAYOUT).parquetize is None


def test_a_receipt_that_no_object_can_hold_is_left_out() -> None:
    columns = tuple(f"column {number}" for number in range(1000))
    facts = facts_of(PARQUETIZED, replace(DOWNLOADED, columns=columns))
    assert "download" not in facts
    assert sum(len(name) + len(value) for name, value in facts.items()) < 8192
