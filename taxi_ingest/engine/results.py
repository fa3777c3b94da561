"""What came of the parts of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from taxi_ingest.catalog import Part
from taxi_ingest.engine.notes import notes
from taxi_ingest.graph import Outcome, Step
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import PartReceipts


@dataclass(frozen=True)
class PartResult:
    """What came of one part in a run: outcomes by step, rows and rejects where known, seconds at work.

    `notes` are about the rows, worth telling when the part was worked on; `news` are what this run itself found out.
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
        """Whether any step did more than find itself up to date."""
        return bool(set(self.steps.values()) - {"up_to_date"})

    @property
    def told(self) -> tuple[str, ...]:
        """What a person should know of it in this run."""
        return (*self.news, *(self.notes if self.was_worked_on else ()))


def part_result(
    part: Part,
    receipts: PartReceipts,
    steps: dict[Step, Outcome],
    seconds: float,
    news: Iterable[str],
    layout: Layout,
) -> PartResult:
    """What came of `part`, whose steps ended as `steps` says; a conversion counts only if it ended well."""
    converted = receipts.parquetize if steps.get("parquetize") in {"done", "up_to_date"} else None
    return PartResult(
        part=part,
        source=receipts.download.source if receipts.download else "",
        rows=converted.rows if converted else None,
        rejects=converted.rejects if converted else None,
        steps=steps,
        seconds=seconds,
        notes=tuple(notes(part, converted, layout)) if converted else (),
        news=tuple(news),
    )
