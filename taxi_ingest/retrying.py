"""Trying again: what passes by itself is waited out, anything else is passed on at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from taxi_ingest.errors import TransientError

LONGEST_WAIT = 300.0
"""Seconds that are waited at most before another try, whatever the doubling says. A far side that asks for more
ends the tries."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Retries:
    """How often a passing fault is tried again: `tries` in all, the first wait in seconds, doubling."""

    tries: int
    backoff_seconds: float


def with_retries(
    retries: Retries,
    attempt: Callable[[int], Result],
    *,
    wait: Callable[[float], bool],
    tell: Callable[[str, float], None] = lambda message, seconds: None,
) -> Result:
    """What `attempt(number)` returns, numbers counting from 1, at the first try without a TransientError.

    Between tries `tell` hears a sentence with the fault and the next try, and the wait in seconds; `wait` waits, and
    returns whether to give up.
    Raises what the last try raised.
    """
    number = 1
    while True:
        try:
            return attempt(number)
        except TransientError as error:
            seconds = wait_seconds(retries, number, error)
            if number == retries.tries or seconds is None:
                raise
            tell(f"{error} Try {number + 1} of {retries.tries} in {seconds:.0f} s.", seconds)
            if wait(seconds):
                raise
            number += 1


def wait_seconds(retries: Retries, number: int, error: TransientError) -> float | None:
    """Seconds before the next try; None when the far side asks for more than is waited.

    It is what the far side asked for, else a wait that doubles with each try, spread by up to a quarter.
    """
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= LONGEST_WAIT else None
    doubled = retries.backoff_seconds * 2 ** (number - 1) * random.uniform(1, 1.25)  # noqa: S311 - no secret
    return float(min(doubled, LONGEST_WAIT))
