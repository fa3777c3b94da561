"""May a file leave this disk? Every reason against it, without touching anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from observed import DONE, DOWNLOADED, PARQUET, RECEIPTS, STORED, WANTED, actions, all_but

from taxi_ingest.graph import ARTEFACTS, STEPS, Artefact
from taxi_ingest.state.decide import Observed
from taxi_ingest.state.receipts import PartReceipts
from taxi_ingest.state.retention import is_of_an_unfinished_run, why_kept

GONE = Path("/copies/a.csv")
PRUNED = replace(
    DONE, parquet=None, raw_present=False, receipts=replace(RECEIPTS, parquetize=replace(PARQUET, pruned=True))
)


@pytest.mark.parametrize("artefact", ARTEFACTS)
def test_what_every_later_step_holds_may_go(artefact: Artefact) -> None:
    assert why_kept(artefact, DONE, WANTED, None) == ""


@pytest.mark.parametrize(
    ("artefact", "now", "original", "why"),
    [
        ("raw", replace(DONE, parquet=None), None, "parquetize is still to be done: the Parquet file is missing"),
        ("raw", replace(DONE, may_be_replaced=True), None, "download is still to be done: the file was refused"),
        ("raw", DONE, GONE, "/copies/a.csv, which it is a copy of, is gone"),
        ("parquet", replace(DONE, stored=None), None, "upload is still to be done: the store has no such object"),
        ("parquet", replace(DONE, stored=replace(STORED, mark="x")), None, "upload is still to be done"),
        ("parquet", replace(DONE, stored=replace(STORED, crc32c="x")), None, "upload is still to be done"),
        ("parquet", replace(DONE, month=None), None, "load is still to be done: the table lacks the month"),
        ("parquet", replace(DONE, month_whole=False), None, "load is still to be done: rows of the month are missing"),
        ("parquet", replace(DONE, raw_present=False), GONE, "the raw file is gone, and /copies/a.csv"),
    ],
)
def test_what_nothing_else_holds_stays(artefact: Artefact, now: Observed, original: Path | None, why: str) -> None:
    assert why_kept(artefact, now, WANTED, original).startswith(why)


def test_parquet_may_go_while_its_raw_file_is_there() -> None:
    assert why_kept("parquet", DONE, WANTED, GONE) == ""


def test_raw_may_go_where_store_and_table_hold_what_is_not_kept() -> None:
    assert why_kept("raw", replace(DONE, parquet=None), replace(WANTED, kept=frozenset()), None) == ""


def test_what_is_forced_does_not_hold_a_file() -> None:
    assert why_kept("raw", DONE, replace(WANTED, forced=frozenset(STEPS)), None) == ""


def test_a_pruned_part_is_up_to_date() -> None:
    assert actions(PRUNED) == all_but()


def test_what_a_run_was_not_to_keep_counts_as_pruned() -> None:
    temporary = replace(PARQUET, temporary=True)
    assert actions(replace(PRUNED, receipts=replace(RECEIPTS, parquetize=temporary))) == actions(PRUNED)


def test_a_pruned_part_is_made_again_when_a_later_step_needs_it_or_it_is_asked_for() -> None:
    lost = replace(PRUNED, stored=None, month=None)
    assert actions(lost) == all_but(download="run", parquetize="run", upload="run", load="run")
    asked = replace(WANTED, targets=frozenset({"parquetize"}))
    assert actions(PRUNED, asked)["parquetize"] == "run"


@pytest.mark.parametrize(
    ("left", "unfinished"),
    [
        (PartReceipts(download=RECEIPTS.download), True),
        (PartReceipts(), False),
        (PartReceipts(download=RECEIPTS.download, load=RECEIPTS.load), False),
        (PartReceipts(download=replace(DOWNLOADED, mtime_ns=0)), False),  # told by an object
    ],
)
def test_parquet_without_a_receipt_is_of_a_killed_run_only_where_nothing_else_is_missing(
    left: PartReceipts, unfinished: bool
) -> None:
    assert is_of_an_unfinished_run(left) is unfinished
