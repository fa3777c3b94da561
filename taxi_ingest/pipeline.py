"""One request as plain values, and who watches it run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from taxi_ingest.catalog import Part
from taxi_ingest.retrying import Retries

STEPS = ("download", "parquetize", "upload", "load")

Outcome = Literal["done", "up_to_date", "failed", "blocked", "not_published"]


@dataclass(frozen=True)
class Pipeline:
    """One request, as plain values: which parts, how far, from where, to where, and how.

    `targets` are the steps asked for, `forced` those to be redone whatever is known; `source` is a source's name or
    a URL template, and counts for parts that have a source already only when `source_given`. `at_once` limits how
    many parts may be in a step at the same time.
    """

    parts: tuple[Part, ...]
    targets: frozenset[str]
    data_dir: Path
    source: str
    source_given: bool
    store: str
    warehouse: str
    kept: frozenset[str]
    forced: frozenset[str]
    strict: bool
    jobs: int
    at_once: Mapping[str, int]
    retries: Mapping[str, Retries]
    timeout_seconds: float
    grace_days: int
    writer: Mapping[str, Any]
    max_rejects: float
    demo: Mapping[str, int]
    history_days: int

    @property
    def state(self) -> Path:
        """The folder of receipts, history and lock."""
        return self.data_dir / "state"

    def steps(self) -> tuple[str, ...]:
        """The steps asked for and those they need, in order."""
        return STEPS[: 1 + max(STEPS.index(step) for step in self.targets)]


class View(Protocol):
    """Someone who watches a run. Called from several threads."""

    def begun(self, steps: int) -> None:
        """The run is at work; so many steps of all parts are to be done, or found up to date."""
        ...

    def started(self, part: Part, step: str, why: str) -> None:
        """A step is at work."""
        ...

    def expects(self, part: Part, step: str, amount: int) -> None:
        """So many bytes (download, upload) or rows (parquetize) will go by, in all; 0 when that is not known."""
        ...

    def moved(self, part: Part, step: str, amount: int) -> None:
        """So many more bytes or rows have gone by."""
        ...

    def ended(self, part: Part, step: str, outcome: Outcome, message: str) -> None:
        """A step is over; `message` is for people, "" when there is nothing to say."""
        ...

    def retrying(self, part: Part, step: str, message: str, seconds: float) -> None:
        """A passing fault; the step is tried again after a wait, and counts its amounts anew."""
        ...
