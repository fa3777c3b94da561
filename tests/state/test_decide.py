"""The decision whether a step must run: every reason, without touching anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from observed import (
    DAMAGED,
    DONE,
    DOWNLOADED,
    MARK,
    MONTH,
    OTHER_BYTES,
    PARQUET,
    PART,
    RECEIPTS,
    STORED,
    WANTED,
    actions,
    all_but,
    without,
)

from taxi_ingest.graph import STEPS, Step
from taxi_ingest.state.decide import Observed, decide
from taxi_ingest.state.mark import mark
from taxi_ingest.state.receipts import PartReceipts
from taxi_ingest.writers.provenance import Writer

OTHER_PARQUET = replace(DONE, parquet=replace(PARQUET, mark="x"))


def test_nothing_must_run_when_everything_agrees() -> None:
    assert actions(DONE) == all_but()


@pytest.mark.parametrize(
    ("now", "step", "why"),
    [
        (without("download"), "download", "not downloaded yet"),
        (replace(DONE, parquet=None), "parquetize", "the Parquet file is missing"),
        (replace(without("parquetize"), parquet=None), "parquetize", "not converted yet"),
        (OTHER_PARQUET, "parquetize", "the file, its layout or the way it is read changed"),
        (replace(DONE, parquet=replace(PARQUET, writer=Writer(level=9))), "parquetize", "the writer settings changed"),
        (DAMAGED, "parquetize", "the Parquet file was changed by someone else"),
        (replace(DONE, stored=None), "upload", "the store has no such object"),
        (replace(DONE, stored=replace(STORED, mark="x")), "upload", "the object in the store has other rows"),
        (replace(DONE, stored=replace(STORED, mark="")), "upload", "the object in the store has no mark"),
        (OTHER_BYTES, "upload", "the object's bytes are not those of the Parquet file"),
        (replace(DONE, month=None), "load", "the table lacks the month"),
        (replace(DONE, month=replace(MONTH, mark="x")), "load", "the table holds the month from another file"),
        (replace(DONE, month_whole=False), "load", "rows of the month are missing from the table, or too many"),
    ],
)  # fmt: skip
def test_a_step_runs_for_a_reason_that_can_be_told(now: Observed, step: Step, why: str) -> None:
    decision = decide(step, now, WANTED)
    assert (decision.action, decision.why) == ("run", why)


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_verify_distrusts_runs_and_no_other(step: Step) -> None:
    distrusted = replace(RECEIPTS, **{step: replace(RECEIPTS.of(step), distrusted=True)})  # type: ignore[type-var]
    assert actions(replace(DONE, receipts=distrusted)) == all_but(**{step: "run"})


def test_what_was_distrusted_and_is_gone_is_wanted_or_not_as_ever() -> None:
    distrusted = replace(RECEIPTS, parquetize=replace(PARQUET, distrusted=True))
    gone = replace(DONE, parquet=None, receipts=distrusted)
    assert actions(gone, replace(WANTED, kept=frozenset())) == all_but()


def test_what_verify_distrusts_in_one_place_says_nothing_of_another() -> None:
    elsewhere = replace(RECEIPTS, load=replace(MONTH, at="duckdb:/other", distrusted=True))
    assert actions(replace(DONE, receipts=elsewhere)) == all_but(load="adopt")


@pytest.mark.parametrize("step", ["parquetize", "upload", "load"])
def test_work_that_is_there_without_its_receipt_is_adopted(step: Step) -> None:
    assert actions(without(step)) == all_but(**{step: "adopt"})
    assert without(step).proven(step) == RECEIPTS.of(step)


def test_a_parquet_file_without_receipt_is_not_believed_against_the_store() -> None:
    now = replace(OTHER_BYTES, receipts=replace(RECEIPTS, parquetize=None))
    assert decide("parquetize", now, WANTED).action == "run"


def test_a_receipt_of_another_place_is_renewed() -> None:
    moved = replace(RECEIPTS, upload=replace(STORED, at="/other"), load=replace(MONTH, at="duckdb:/other"))
    assert actions(replace(DONE, receipts=moved)) == all_but(upload="adopt", load="adopt")


@pytest.mark.parametrize("step", ["download", "parquetize", "upload", "load"])
def test_a_step_that_left_its_receipt_is_up_to_date(step: Step) -> None:
    nothing = Observed(PART, raw_present=False)
    receipt = RECEIPTS.of(step)
    assert receipt is not None
    known = replace(nothing, receipts=PartReceipts(download=DOWNLOADED)).after(receipt)
    assert decide(step, known, WANTED).action == "up_to_date"


def test_another_source_is_downloaded_only_when_it_is_asked_for() -> None:
    assert decide("download", DONE, replace(WANTED, source="tlc")).action == "run"
    assert decide("download", DONE, WANTED).action == "up_to_date"


def test_a_raw_file_that_is_gone_is_fetched_only_when_parquetize_needs_it() -> None:
    gone = replace(DONE, raw_present=False)
    assert actions(gone) == all_but()
    assert actions(replace(gone, parquet=None)) == all_but(download="run", parquetize="run")


def test_parquet_that_is_not_kept_is_made_only_for_a_later_step() -> None:
    gone, careless = replace(DONE, parquet=None, raw_present=False), replace(WANTED, kept=frozenset())
    assert actions(gone, careless) == all_but()
    lost = replace(gone, month=None, stored=None)
    assert actions(lost, careless) == all_but(download="run", parquetize="run", upload="run", load="run")


@pytest.mark.parametrize(
    ("stored", "made_again"),
    [({}, False), ({"crc32c": "bbbb"}, True), ({"mark": "another"}, True)],
    ids=["the file itself", "other bytes", "another mark"],
)
def test_parquet_that_is_not_kept_is_not_made_for_a_load_while_the_store_has_it(
    stored: dict[str, str], made_again: bool
) -> None:
    now = replace(DONE, parquet=None, raw_present=False, month=None, stored=replace(STORED, **stored))
    assert (actions(now, replace(WANTED, kept=frozenset()))["parquetize"] == "run") == made_again


def test_parquet_that_is_not_kept_is_made_when_it_is_asked_for_by_name() -> None:
    asked = replace(WANTED, kept=frozenset(), targets=frozenset({"parquetize"}))
    assert decide("parquetize", replace(DONE, parquet=None), asked).action == "run"


def test_a_stranger_in_the_store_is_noticed_without_a_local_parquet() -> None:
    now = replace(DONE, parquet=None, stored=replace(STORED, crc32c="bbbb"))
    assert decide("upload", now, replace(WANTED, kept=frozenset())).action == "run"


def test_forced_steps_run_whatever_is_known() -> None:
    assert actions(DONE, replace(WANTED, forced=frozenset({"upload"}))) == all_but(upload="run")


def test_a_forced_conversion_fetches_a_raw_file_that_is_gone() -> None:
    wanted = replace(WANTED, forced=frozenset({"parquetize"}))
    assert actions(replace(DONE, raw_present=False), wanted) == all_but(download="run", parquetize="run")


def test_strict_converts_again_what_was_loaded_with_unknown_columns() -> None:
    now = replace(DONE, parquet=replace(PARQUET, unknown_columns=("new",)))
    assert actions(now, replace(WANTED, strict=True)) == all_but(parquetize="run")


def test_the_mark_depends_on_the_published_bytes_and_not_on_the_place() -> None:
    assert mark(PART, replace(DOWNLOADED, source="tlc", url="x")) == MARK
    assert mark(PART, replace(DOWNLOADED, sha256="cd" * 32)) != MARK
    assert mark(PART, replace(DOWNLOADED, bytes=101)) != MARK


def test_a_file_that_fits_no_vintage_has_no_mark() -> None:
    assert mark(PART, replace(DOWNLOADED, columns=("a", "b"))) == ""
