"""What a plan and a status say of one part, as pure functions of what is there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from observed import DONE, PART, WANTED, without

from taxi_ingest.graph import STEPS, Outcome
from taxi_ingest.history.reading import PastAttempt
from taxi_ingest.state.decide import Observed
from taxi_ingest.state.foresee import DEPENDS, Foreseen, foresee
from taxi_ingest.state.receipts import PartReceipts
from taxi_ingest.state.status import cell
from taxi_ingest.writers.provenance import Writer


def actions(now: Observed, **wanted: object) -> list[str]:
    return [step.action for step in foresee(now, replace(WANTED, **wanted), STEPS).values()]


def test_what_is_done_or_adopted_is_up_to_date() -> None:
    assert actions(DONE) == ["up_to_date"] * 4
    assert actions(without("load")) == ["up_to_date"] * 4


def test_of_a_new_part_everything_runs() -> None:
    assert actions(Observed(PART)) == ["run"] * 4


def test_what_depends_on_bytes_still_to_come_is_only_possible() -> None:
    foreseen = foresee(replace(DONE, receipts=PartReceipts()), WANTED, STEPS)
    assert [step.action for step in foreseen.values()] == ["run", "maybe", "maybe", "maybe"]
    assert foreseen["load"] == Foreseen("maybe", DEPENDS)


def test_the_same_parquet_made_again_is_not_uploaded_again() -> None:
    assert actions(replace(DONE, parquet=None)) == ["up_to_date", "run", "up_to_date", "up_to_date"]


def test_parquet_of_other_settings_is_uploaded_and_not_loaded_again() -> None:
    assert actions(DONE, writer=Writer(level=9)) == ["up_to_date", "run", "run", "up_to_date"]


def attempt(outcome: Outcome | str) -> PastAttempt:
    return PastAttempt(
        run="r", dataset="yellow", month="2021-01", step="load", attempt=1, outcome=outcome, started="", ended=None,
        seconds=None, why="the table lacks the month", rows=None, bytes=None, error="no room", log="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("now", "last", "state", "why"),
    [
        (DONE, None, "done", ""),
        (without("load"), attempt("failed"), "done", ""),
        (DONE, attempt("running"), "running", "the table lacks the month"),
        (replace(DONE, month=None), attempt("failed"), "failed", "no room"),
        (replace(DONE, month=None), attempt("done"), "stale", "the table lacks the month"),
        (
            replace(without("load"), month=None),
            None,
            "missing",
            "the table lacks the month",
        ),
    ],
)
def test_the_status_of_a_step(now: Observed, last: PastAttempt | None, state: str, why: str) -> None:
    found = cell("load", now, WANTED, last)
    assert (found.state, found.why) == (state, why)
