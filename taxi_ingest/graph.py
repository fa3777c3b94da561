"""The graph: which steps there are, in which order, and how one can end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

Step = Literal["download", "parquetize", "upload", "load"]

STEPS: tuple[Step, ...] = get_args(Step)
"""Every step, in order: each needs the one before it."""

Artefact = Literal["raw", "parquet"]

ARTEFACTS: tuple[Artefact, ...] = get_args(Artefact)
"""The files that steps leave on this disk for later steps, and that need not stay there."""

Outcome = Literal["done", "up_to_date", "failed", "blocked", "not_published"]
"""How a step of a part ended in a run."""


def up_to(targets: Iterable[Step]) -> tuple[Step, ...]:
    """The steps of `targets` and all that they need, in order."""
    return STEPS[: 1 + max(STEPS.index(step) for step in targets)]


def before(step: Step) -> Step | None:
    """The step that `step` needs; None for the first."""
    index = STEPS.index(step)
    return STEPS[index - 1] if index else None
