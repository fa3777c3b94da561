"""Is every copy of a part what its receipt says? Looks at all bytes and all values, where the steps look at a few.

A part has up to four copies: the raw file, the Parquet file, the object in the store and the month in the table.
`expected` says what they are compared with, `copies` looks at the first three and at the receipts, `content` at the
month, `cost` at what a warehouse would bill for that, `verify` at many parts side by side. What was found is written
into the receipts (`distrusted`), so the ordinary decisions redo those very steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.graph import Step

Copy = Literal["receipt", "raw", "parquet", "object", "table"]

MADE_BY: Mapping[Copy, Step] = {"raw": "download", "parquet": "parquetize", "object": "upload", "table": "load"}
"""The step that makes each copy."""

REMEDIES: Mapping[Step, str] = {
    "download": "`run` downloads it again; if nobody has it any more, delete it: its receipt stands for it",
    "parquetize": "`run` makes it again",
    "upload": "`run` uploads it again",
    "load": "`run` loads the month again",
}

State = Literal["intact", "changed", "counted", "unrecorded", "absent"]
"""`counted`: mark and number of rows are as recorded, the values were not compared. `unrecorded`: no receipt tells what
it should hold."""


@dataclass(frozen=True)
class Checked:
    """One copy, or the receipt of `step`, as it was found.

    `where` is its path, URL or table. `wrong` says what is not as its receipt says, "" when nothing is, and `remedy`
    what to do about it; `step` is the one that makes the copy anew, None when none can. `note` is worth a word though
    nothing is wrong.
    """

    copy: Copy
    state: State
    step: Step | None = None
    where: str = ""
    wrong: str = ""
    remedy: str = ""
    note: str = ""

    @classmethod
    def present(cls, copy: Copy, where: str, wrong: str) -> Self:
        """A copy that is there, and what is wrong with it."""
        step = MADE_BY[copy]
        return cls(copy, "changed" if wrong else "intact", step, where, wrong, REMEDIES[step] if wrong else "")

    @classmethod
    def absent(cls, copy: Copy, where: str = "", *, must_exist: bool = False) -> Self:
        """A copy that is not there, which is wrong only when it must be."""
        step = MADE_BY[copy]
        wrong, remedy = ("is missing", REMEDIES[step]) if must_exist else ("", "")
        return cls(copy, "absent", step, where if must_exist else "", wrong, remedy)


@dataclass(frozen=True)
class Verdict:
    """All that was found of one part; a monthly dataset without a month stands for rows that are of no part."""

    part: Part
    checked: tuple[Checked, ...]

    @property
    def findings(self) -> tuple[Checked, ...]:
        """What is not as it should be."""
        return tuple(one for one in self.checked if one.wrong)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth a word though nothing is wrong."""
        return tuple(one.note for one in self.checked if one.note)

    @property
    def is_of_no_part(self) -> bool:
        """Whether it tells of rows in the table that belong to no part."""
        return self.part.month is None and dataset_named(self.part.dataset).monthly


class Watcher(Protocol):
    """Someone who watches; called from one thread."""

    def begun(self, parts: int) -> None:
        """So many parts will be looked at."""
        ...

    def ended(self, verdict: Verdict) -> None:
        """A part was looked at."""
        ...
