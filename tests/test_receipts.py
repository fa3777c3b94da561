"""The decision whether a step must run: every reason, without touching anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from taxi_ingest.catalog import Part
from taxi_ingest.state.receipts import Situation, Wish, decide, wanted_mark

PART = Part("yellow", "2021-01")
HEADER = [
    "VendorID", "tpep_pickup_datetime", "tpep_dropoff_datetime", "passenger_count", "trip_distance", "RatecodeID",
    "store_and_fwd_flag", "PULocationID", "DOLocationID", "payment_type", "fare_amount", "extra", "mta_tax",
    "tip_amount", "tolls_amount", "improvement_surcharge", "total_amount", "congestion_surcharge",
]  # fmt: skip
DOWNLOADED = {"source": "csv", "sha256": "ab" * 32, "bytes": 100, "format": "csv", "columns": HEADER}
MARK = wanted_mark(DOWNLOADED, PART)
WRITER = {"compression": "zstd", "level": 3, "row_group_rows": 131072}
PARQUET = {"mark": MARK, "writer": WRITER, "crc32c": "0000aaaa"}

DONE = Situation(
    part=PART,
    receipts={"download": DOWNLOADED, "parquetize": PARQUET, "upload": {"crc32c": "0000aaaa"}, "load": {}},
    raw_there=True,
    parquet=PARQUET,
    held_object=(MARK, "0000aaaa"),
    held_month=(MARK, True),
    agrees={"parquetize": True, "upload": True, "load": True},
)
WISH = Wish(source="", writer=WRITER, targets=frozenset({"load"}), kept=frozenset({"parquet"}))
STEPS = ("download", "parquetize", "upload", "load")


def receipts(**changed: Any) -> dict[str, Any]:
    return {**DONE.receipts, **changed}


def actions(now: Situation, wish: Wish = WISH) -> dict[str, str]:
    return {step: decide(step, now, wish).action for step in STEPS}


def all_but(**steps: str) -> dict[str, str]:
    return dict.fromkeys(STEPS, "up_to_date") | steps


def test_nothing_must_run_when_everything_agrees() -> None:
    assert actions(DONE) == all_but()


@pytest.mark.parametrize(
    ("now", "step", "why"),
    [
        (replace(DONE, receipts=receipts(download=None)), "download", "not downloaded yet"),
        (replace(DONE, parquet=None), "parquetize", "the Parquet file is missing"),
        (replace(DONE, parquet=None, receipts=receipts(parquetize=None)), "parquetize", "not converted yet"),
        (replace(DONE, parquet={**PARQUET, "mark": "x"}), "parquetize", "the published file or its layout changed"),
        (replace(DONE, parquet={**PARQUET, "writer": {}}), "parquetize", "the writer settings changed"),
        (replace(DONE, parquet={"damaged": True}), "parquetize", "the Parquet file was changed by someone else"),
        (replace(DONE, held_object=None), "upload", "the store has no such object"),
        (replace(DONE, held_object=("x", "0000aaaa")), "upload", "the object in the store is of other rows"),
        (replace(DONE, held_object=(MARK, "bbbb")), "upload", "the object's bytes are not those of the Parquet file"),
        (replace(DONE, held_month=None), "load", "the table lacks the month"),
        (replace(DONE, held_month=("x", True)), "load", "the table holds the month from another file"),
        (replace(DONE, held_month=(MARK, False)), "load", "rows of the month are missing from the table, or too many"),
    ],
)  # fmt: skip
def test_a_step_runs_for_a_reason_that_can_be_told(now: Situation, step: str, why: str) -> None:
    decision = decide(step, now, WISH)
    assert (decision.action, decision.why) == ("run", why)


@pytest.mark.parametrize("step", ["parquetize", "upload", "load"])
def test_work_that_is_there_without_its_receipt_is_adopted(step: str) -> None:
    assert actions(replace(DONE, agrees={**DONE.agrees, step: False})) == all_but(**{step: "adopt"})


def test_another_source_is_downloaded_only_when_it_is_asked_for() -> None:
    assert decide("download", DONE, replace(WISH, source="tlc")).action == "run"
    assert decide("download", DONE, WISH).action == "up_to_date"


def test_a_raw_file_that_is_gone_is_fetched_only_when_parquetize_needs_it() -> None:
    gone = replace(DONE, raw_there=False)
    assert actions(gone) == all_but()
    assert actions(replace(gone, parquet=None)) == all_but(download="run", parquetize="run")


def test_parquet_that_is_not_kept_is_made_only_for_a_later_step() -> None:
    gone, careless = replace(DONE, parquet=None, raw_there=False), replace(WISH, kept=frozenset())
    assert actions(gone, careless) == all_but()
    assert actions(replace(gone, held_month=None), careless) == all_but(download="run", parquetize="run", load="run")


def test_parquet_that_is_not_kept_is_made_when_it_is_asked_for_by_name() -> None:
    asked = replace(WISH, kept=frozenset(), targets=frozenset({"parquetize"}))
    assert decide("parquetize", replace(DONE, parquet=None), asked).action == "run"


def test_a_stranger_in_the_store_is_noticed_without_a_local_parquet() -> None:
    now = replace(DONE, parquet=None, held_object=(MARK, "bbbb"))
    assert decide("upload", now, replace(WISH, kept=frozenset())).action == "run"


def test_forced_steps_run_whatever_is_known() -> None:
    assert actions(DONE, replace(WISH, forced=frozenset({"upload"}))) == all_but(upload="run")


def test_a_forced_conversion_fetches_a_raw_file_that_is_gone() -> None:
    wish = replace(WISH, forced=frozenset({"parquetize"}))
    assert actions(replace(DONE, raw_there=False), wish) == all_but(download="run", parquetize="run")


def test_strict_converts_again_what_was_loaded_with_unknown_columns() -> None:
    now = replace(DONE, parquet={**PARQUET, "unknown_columns": ["new"]})
    assert actions(now, replace(WISH, strict=True)) == all_but(parquetize="run")


def test_the_mark_depends_on_the_published_bytes_and_not_on_the_place() -> None:
    assert wanted_mark({**DOWNLOADED, "source": "tlc", "url": "x"}, PART) == MARK
    assert wanted_mark({**DOWNLOADED, "sha256": "cd" * 32}, PART) != MARK
    assert wanted_mark({**DOWNLOADED, "bytes": 101}, PART) != MARK


def test_a_file_that_fits_no_vintage_has_no_mark() -> None:
    assert wanted_mark({**DOWNLOADED, "columns": ["a", "b"]}, PART) == ""
