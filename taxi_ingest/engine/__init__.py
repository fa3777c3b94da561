"""What takes parts through the steps.

`part` takes one part through the steps asked for and knows no task engine, terminal or database; `session` is a whole
run with its lock and history, `relay` tells history and view of it;
`doit_tasks` makes doit do it. `conversion` converts published Parquet in a process of its own, `notes` says what is odd
about it; `results` is what came of parts; `removing` takes used files off the disk, `cleaning` is what the verb `clean`
does; `watching` is the contract of whoever hears what happens to a part. Here is the contract of what watches a run.
"""

from __future__ import annotations

from typing import Protocol

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Outcome, Step


class View(Protocol):
    """Someone who watches a run. Methods are called from several threads."""

    def begun(self, steps: int) -> None:
        """The run has begun; so many steps, of all parts together, will be done or found up to date."""
        ...

    def noted(self, sentence: str) -> None:
        """Something that a person should know about the run as a whole."""
        ...

    def started(self, part: Part, step: Step, why: str) -> None:
        """A step begins to work."""
        ...

    def expects(self, part: Part, step: Step, amount: int) -> None:
        """So many bytes (download, upload) or rows (parquetize) will be moved in all; 0 when that is not known."""
        ...

    def moved(self, part: Part, step: Step, amount: int) -> None:
        """So many more bytes or rows were moved."""
        ...

    def ended(self, part: Part, step: Step, outcome: Outcome, message: str) -> None:
        """A step is over; `message` is for people, "" when there is nothing to say."""
        ...

    def retrying(self, part: Part, step: Step, message: str, seconds: float) -> None:
        """A passing fault, and which try comes when; the step counts its amounts anew."""
        ...

    def waiting(self, message: str) -> None:
        """The whole run waits for something outside it, as `message` says."""
        ...
