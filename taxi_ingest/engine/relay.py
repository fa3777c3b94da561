"""Passes on what the steps of a run do to those who want to know: the history and the view."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from taxi_ingest.catalog import Part
from taxi_ingest.engine import View
from taxi_ingest.graph import Step
from taxi_ingest.history import Attempt, AttemptRecord
from taxi_ingest.history.writing import History
from taxi_ingest.job import Job


class Relay:
    """Passes on to history and view what happens to parts, and limits how many are in a step at once.

    `seconds` are those that each part was at work.
    """

    def __init__(self, job: Job, history: History, view: View) -> None:
        self.seconds = dict.fromkeys(job.parts, 0.0)
        self._history = history
        self._view = view
        self._stopped = threading.Event()
        self._limits = {step: threading.BoundedSemaphore(count) for step, count in job.at_once.items()}
        self.expects, self.moved, self.retrying = view.expects, view.moved, view.retrying

    def stop(self) -> None:
        """Give up all waits."""
        self._stopped.set()

    @contextlib.contextmanager
    def at_work(self, part: Part, step: Step, why: str) -> Iterator[None]:
        """Wait for a turn; then show the step and count its seconds."""
        with self._limits[step]:
            begun = time.monotonic()
            self._view.started(part, step, why)
            try:
                yield
            finally:
                self.seconds[part] += time.monotonic() - begun  # steps of one part never overlap

    def attempt(self, attempt: Attempt) -> contextlib.AbstractContextManager[AttemptRecord]:
        """Record a try in the history."""
        return self._history.attempt(attempt)

    def wait(self, seconds: float) -> bool:
        """Wait, unless the run is ending."""
        return self._stopped.wait(seconds)
