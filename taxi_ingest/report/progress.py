"""How far a run is as a whole: steps, rows, bytes, and how long it will take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from taxi_ingest.catalog import Part
from taxi_ingest.graph import Outcome, Step


@dataclass(frozen=True)
class Standing:
    """A run at one moment; `rows` were converted and `bytes` downloaded; `share` of the work is between 0 and 1.

    `seconds_left` is None until there is something to judge it by.
    """

    finished: int
    steps: int
    share: float
    rows: int
    rows_a_second: float
    bytes: int
    bytes_a_second: float
    seconds_left: float | None


class Tally:
    """Adds up what a view hears. `clock` gives seconds. Methods may be called from several threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._steps = self._worked = self._idle = 0
        self._since: float | None = None
        self._expected: dict[tuple[Part, Step], int] = {}
        self._moved: dict[tuple[Part, Step], int] = {}
        self._sums = {"download": 0, "parquetize": 0}

    def begun(self, steps: int) -> None:
        """So many steps are to be done, or found up to date."""
        self._steps = steps

    def started(self, part: Part, step: Step) -> None:
        """A step is at work."""
        with self._lock:
            if self._since is None:
                self._since = self._clock()
            self._moved[part, step] = 0

    def expects(self, part: Part, step: Step, amount: int) -> None:
        """So much will go by in a step; 0 when that is not known."""
        with self._lock:
            self._expected[part, step] = amount

    def moved(self, part: Part, step: Step, amount: int) -> None:
        """So much more has gone by."""
        with self._lock:
            self._moved[part, step] += amount

    def again(self, part: Part, step: Step) -> None:
        """A step begins anew."""
        with self._lock:
            self._moved[part, step] = 0

    def ended(self, part: Part, step: Step, outcome: Outcome) -> int:
        """A step is over; returns what went by in it."""
        with self._lock:
            self._idle += outcome == "up_to_date"
            self._worked += outcome != "up_to_date"
            amount = self._moved.pop((part, step), 0)
            if step in self._sums:
                self._sums[step] += amount
            return amount

    def now(self) -> Standing:
        """How things stand."""
        with self._lock:
            seconds = self._clock() - self._since if self._since is not None else 0.0
            work = self._steps - self._idle
            done = self._worked + sum(self._share_of(key) for key in self._moved)
            share = done / work if work else 1.0
            going = {s: sum(n for (_, step), n in self._moved.items() if step == s) for s in self._sums}
            rows, size = (self._sums[step] + going[step] for step in ("parquetize", "download"))
        return Standing(
            finished=self._worked + self._idle,
            steps=self._steps,
            share=share,
            rows=rows,
            rows_a_second=rows / seconds if seconds else 0.0,
            bytes=size,
            bytes_a_second=size / seconds if seconds else 0.0,
            seconds_left=seconds * (1 - share) / share if self._worked and share else None,
        )

    def _share_of(self, key: tuple[Part, Step]) -> float:
        expected = self._expected.get(key, 0)
        return min(self._moved[key] / expected, 1.0) if expected else 0.0
