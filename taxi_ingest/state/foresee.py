"""What will come of each step of a part, when they run one after the other. Pure functions, as in `decide`.

A step whose answer hangs on bytes still to come reads `maybe`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from taxi_ingest.graph import Step
from taxi_ingest.state.decide import RAW_MISSING, Observed, Wanted, decide
from taxi_ingest.state.receipts import Parquetized

DEPENDS = "depends on the file that is downloaded"

Action = Literal["run", "maybe", "up_to_date"]


@dataclass(frozen=True)
class Foreseen:
    """What will come of a step, and why; no reason is needed for `up_to_date`."""

    action: Action
    why: str = ""


def foresee(now: Observed, want: Wanted, steps: tuple[Step, ...]) -> dict[Step, Foreseen]:
    """What will come of each of `steps`, in their order, when they run one after the other."""
    if _brings_news(now, want):
        return _after_news(now, want, steps)
    foreseen: dict[Step, Foreseen] = {}
    for step in steps:
        decision = decide(step, now, want)
        foreseen[step] = Foreseen("run", decision.why) if decision.action == "run" else Foreseen("up_to_date")
        if step == "parquetize" and decision.action == "run":
            now = replace(now, parquet=_foreseen_parquet(now, want), parquet_damaged=False)
    return foreseen


def _brings_news(now: Observed, want: Wanted) -> bool:
    """Whether the download will bring a file that nothing is known of."""
    decision = decide("download", now, want)
    return decision.action == "run" and decision.why != RAW_MISSING


def _after_news(now: Observed, want: Wanted, steps: tuple[Step, ...]) -> dict[Step, Foreseen]:
    foreseen: dict[Step, Foreseen] = {}
    for step in steps:
        decision = decide(step, now, want)
        certain = step in want.forced or step == "download" or now.proven(step) is None
        if decision.action == "run" and certain:
            foreseen[step] = Foreseen("run", decision.why)
        else:
            foreseen[step] = Foreseen("maybe", DEPENDS)
    return foreseen


def _foreseen_parquet(now: Observed, want: Wanted) -> Parquetized:
    """What the Parquet file will be: the same bytes as before, where published file and settings are the same."""
    before = now.receipts.parquetize
    if before and before.mark == now.mark and before.writer == want.writer:
        return before
    unknown = "not known before it is written"
    return Parquetized(
        mark=now.mark, source=unknown, raw_sha256=unknown, raw_bytes=0, vintage=unknown, rows=0, rejects=0,
        writer=want.writer, bytes=0, mtime_ns=0, crc32c=unknown,
    )  # fmt: skip
