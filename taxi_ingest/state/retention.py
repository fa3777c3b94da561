"""May a file leave this disk? Pure functions of what was observed and what is wanted.

A file may go when nothing has to be done again because it is gone, and when it can be had again should it be needed
one day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from taxi_ingest.graph import Artefact, Step
from taxi_ingest.state.decide import Observed, Wanted, decide
from taxi_ingest.state.receipts import PartReceipts


def why_kept(artefact: Artefact, now: Observed, want: Wanted, original: Path | None) -> str:
    """Why a file of a part that is there must stay, as the end of a sentence; "" when it may go.

    `original` is the user's own file that the part came from, if that is gone. What is forced does not count: it is
    done already, or another run's business.
    """
    return _WHY_KEPT[artefact](now, replace(want, forced=frozenset()), original)


def is_of_an_unfinished_run(left: PartReceipts) -> bool:
    """Whether a Parquet file without a receipt was left by a run that was killed, going by the part's other receipts.

    That run downloaded the file here and came no further. Where more receipts are missing, somebody removed them.
    """
    downloaded_here = left.download is not None and left.download.mtime_ns != 0
    return downloaded_here and not (left.parquetize or left.upload or left.load)


def _why_raw_is_kept(now: Observed, want: Wanted, original: Path | None) -> str:
    needed = _first_to_run(("parquetize", "download"), replace(now, raw_present=False), want)
    if needed:
        return needed
    return f"{original}, which it is a copy of, is gone or changed" if original else ""


def _why_parquet_is_kept(now: Observed, want: Wanted, original: Path | None) -> str:
    """The object in the store and the month in the table must be whole, and a source must be left to make it of."""
    needed = _first_to_run(("upload", "load"), replace(now, parquet=None), want)
    if needed:
        return needed
    if original and not now.raw_present:
        return f"the raw file is gone, and {original}, which it came from, is gone or changed"
    return ""


def _first_to_run(steps: tuple[Step, ...], after: Observed, want: Wanted) -> str:
    for step in steps:
        decision = decide(step, after, want)
        if decision.action == "run":
            return f"{step} is still to be done: {decision.why}"
    return ""


_WHY_KEPT: Mapping[Artefact, Callable[[Observed, Wanted, Path | None], str]] = {
    "raw": _why_raw_is_kept,
    "parquet": _why_parquet_is_kept,
}
