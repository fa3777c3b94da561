"""What the parts of one job have in common while they go through their steps."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from taxi_ingest import warehouses
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.engine.silence import Silence
from taxi_ingest.errors import InUseError, TransientError, WarehouseError
from taxi_ingest.graph import Step
from taxi_ingest.job import Job
from taxi_ingest.sources import Publisher
from taxi_ingest.state.decide import IN_USE, Decision, decide
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.refresh import Refreshed, refresh
from taxi_ingest.state.wanted import wanted
from taxi_ingest.warehouses import table_of

if TYPE_CHECKING:
    from taxi_ingest.engine.conversion import Converters


class Workplace:
    """What the parts of one job share: what was observed, the publisher and the converters, which must be closed."""

    def __init__(self, job: Job, observer: Observer) -> None:
        self.job = job
        self.observer = observer
        self.publisher = Publisher(job.source)
        self._looked_at_views: set[str] = set()
        self._looking_at_views = threading.Lock()
        self.silence = Silence()

    @classmethod
    def of(cls, job: Job, announce: Callable[[str], None] | None = None) -> Self:
        """A workplace that asks store and warehouse what they hold; `announce` hears what they wait for."""
        options = replace(job.warehouse_options, announce=announce) if announce else job.warehouse_options
        return cls(job, Observer(job, "everything", options))

    def refresh(self, parts: Sequence[Part], tell: Callable[[str], None] = lambda sentence: None) -> Refreshed:
        """Ask publishers what they changed of those of `parts` that the job wants asked for."""
        refreshed = refresh(self.job, parts, self.observer.receipts_of, self.publisher, tell)
        self.observer.note_republished(refreshed.reasons)
        return refreshed

    def ask_what_is_held(self) -> None:
        """Ask store and warehouse what they hold, as far as the job needs to know.

        Raises what they do; a warehouse that another program has open is asked by each load.
        """
        with contextlib.suppress(InUseError):
            for dataset in {part.dataset for part in self.job.parts}:
                if "upload" in self.job.steps:
                    self.observer.held_objects(dataset)
                if "load" in self.job.steps:
                    self.observer.held_months(dataset)

    def sweep(self) -> None:
        """Have the warehouse remove what killed loads left there, if it can and nobody is at work on it."""
        if "load" in self.job.steps:
            tables = {dataset_named(part.dataset).table for part in self.job.parts}
            with contextlib.suppress(WarehouseError, TransientError):  # the next run comes by again
                warehouses.sweep(self.observer.warehouse, *sorted(tables))

    def make_views(self, part: Part) -> None:
        """Have the warehouse make the views over the table of `part` that are missing; it looks once a table."""
        table = table_of(dataset_named(part.dataset))
        with self._looking_at_views:
            if table.name in self._looked_at_views:
                return
            self._looked_at_views.add(table.name)
            with contextlib.suppress(WarehouseError, TransientError):  # the rows are there, and later loads try again
                self.observer.warehouse.make_views(table)

    @functools.cached_property
    def converters(self) -> Converters:
        """Processes that convert published Parquet."""
        from taxi_ingest.engine.conversion import Converters

        return Converters()

    def decision(self, part: Part, step: Step) -> Decision:
        """Whether `step` must run for `part`, and why.

        While another program has the warehouse open, a load is decided as `run`: it will fail, and the steps before it
        go on.
        """
        if step == "load" and not self.observer.answers(part):
            return Decision("run", IN_USE)
        return decide(step, self.observer.observe(part), wanted(self.job, part))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.publisher.close()
        if "converters" in self.__dict__:
            self.converters.close()
