"""Runs as a Markdown table: medians, and the ratio to the first candidate round by round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from measuring import Candidate, Run


def table(runs: Mapping[Candidate, Sequence[Run]], rows: int) -> str:
    """A row a candidate, the first being the one that the others are compared with; `rows` are those converted."""
    ours = next(iter(runs.values()))
    head = ["", "wall s", "x ours", "CPU s", "peak MB", *(["M rows/s", "output MB"] if rows else [])]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for candidate, theirs in runs.items():
        wall = _median(theirs, lambda run: run.wall)
        ratio = median(their.wall / our.wall for their, our in zip(theirs, ours, strict=True))
        cells = [candidate.name, f"{wall:.2f}", f"{ratio:.2f}", f"{_median(theirs, lambda run: run.cpu):.2f}"]
        cells.append(f"{_median(theirs, lambda run: run.peak) / 1e6:.0f}")
        if rows:
            cells += [f"{rows / wall / 1e6:.2f}", f"{_median(theirs, lambda run: run.size) / 1e6:.1f}"]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _median(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return median(figure(run) for run in runs)
