"""What came of the parts of a run."""

from __future__ import annotations

from dataclasses import dataclass

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Outcome, Step


@dataclass(frozen=True)
class PartResult:
    """What came of one part in a run: outcomes by step, rows and rejects where known, seconds at work.

    `notes` are about the rows, and worth telling when the part was worked on; `news` are of this very run.
    """

    part: Part
    source: str
    rows: int | None
    rejects: int | None
    steps: dict[Step, Outcome]
    seconds: float
    notes: tuple[str, ...] = ()
    news: tuple[str, ...] = ()

    @property
    def was_worked_on(self) -> bool:
        """Whether any step was more than found up to date."""
        return bool(set(self.steps.values()) - {"up_to_date"})

    @property
    def told(self) -> tuple[str, ...]:
        """What a person should know of it in this run."""
        return (*self.news, *(self.notes if self.was_worked_on else ()))
