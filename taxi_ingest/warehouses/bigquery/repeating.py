"""Sending a job of BigQuery again: one that was refused, changed nothing, and may be taken in a moment."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from google.api_core import exceptions as answers

from taxi_ingest.warehouses.bigquery.errors import is_conflict, is_rate_limited


@dataclass(frozen=True)
class _Patience:
    """How often a job that changed nothing is sent in all, and the first pause in seconds, doubling."""

    tries: int
    seconds: float


_CONFLICTS = _Patience(tries=6, seconds=0.25)
"""When other writers change the same table at the same time."""

_RATE_LIMITS = _Patience(tries=8, seconds=2.0)
"""When a table takes no more changes for the moment: those of `_loads`, if many machines load at once."""

_LONGEST_PAUSE = 32.0


def again_if_nothing_changed(run: Callable[[], None]) -> None:
    """Run a job, and send it again after a refusal that passes."""
    for number in itertools.count():
        try:
            run()
        except answers.GoogleAPICallError as error:
            patience = _CONFLICTS if is_conflict(error) else _RATE_LIMITS if is_rate_limited(error) else None
            if patience is None or number + 1 >= patience.tries:
                raise
        else:
            return
        pause = min(patience.seconds * 2**number, _LONGEST_PAUSE)
        time.sleep(pause * random.uniform(1, 1.25))  # noqa: S311 - no secret
