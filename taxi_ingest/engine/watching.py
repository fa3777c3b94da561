"""Someone who hears what happens to parts, and may limit and record it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Step
from taxi_ingest.history import Attempt, AttemptRecord


class Watcher(Protocol):
    """Someone who hears what happens to parts, and may limit and record it. Called from several threads."""

    def at_work(self, part: Part, step: Step, why: str) -> AbstractContextManager[None]:
        """Entered around all tries of a step that must run."""
        ...

    def attempt(self, attempt: Attempt) -> AbstractContextManager[AttemptRecord]:
        """Entered around each try; what ends it with an exception passes through."""
        ...

    def expects(self, part: Part, step: Step, amount: int) -> None:
        """So many bytes or rows will be moved in all; 0 when that is not known."""
        ...

    def moved(self, part: Part, step: Step, amount: int) -> None:
        """So many more bytes or rows were moved."""
        ...

    def retrying(self, part: Part, step: Step, message: str, seconds: float) -> None:
        """A passing fault, and which try comes when, as a sentence; `seconds` is the wait."""
        ...

    def wait(self, seconds: float) -> bool:
        """Wait before the next try; returns whether to give up instead."""
        ...


class Nobody:
    """The watcher that does nothing."""

    def at_work(self, part: Part, step: Step, why: str) -> AbstractContextManager[None]:
        """Limit nothing."""
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[AttemptRecord]:
        """Record nothing."""
        yield AttemptRecord(lambda job: None)

    def expects(self, part: Part, step: Step, amount: int) -> None:
        """Ignore it."""

    def moved(self, part: Part, step: Step, amount: int) -> None:
        """Ignore it."""

    def retrying(self, part: Part, step: Step, message: str, seconds: float) -> None:
        """Ignore it."""

    def wait(self, seconds: float) -> bool:
        """Wait, and never give up."""
        time.sleep(seconds)
        return False
