"""What takes parts through the steps.

* One part, without task engine, terminal or database: `part` takes it through the steps asked for, in the `workplace`
  that the parts of a job share. `watching` is the contract of whoever hears of it. `conversion` converts published
  Parquet in a process of its own, `made_up` keeps the demo's months away from real ones, `silence` remembers publishers
  that do not answer.
* A run: `session` has its lock and history, `relay` tells history and view what happens, `doit_tasks` makes doit do it,
  with `doit_database` in place of doit's memory and `doit_commands` for those who type doit's own. `postponing` tells
  which loads wait for all uploads.
* Who may work in a data directory: `lock`; `holder` also says who does. `scratch` is a data directory for one task.
* What came of it: `results`, with `notes` on what is odd about a file. `outside` tells others, `metrics` in Prometheus'
  words.
* Files leave the disk by `removing`; `cleaning` is what the verb `clean` does.

Here is the contract of what watches a run.
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
