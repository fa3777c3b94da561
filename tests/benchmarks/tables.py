"""Runs as a Markdown table: medians, and the ratio to the first candidate round by round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from measuring import Candidate, Run


def table(runs: Mapping[Candidate, Sequence[Run]], rows: int) -> str:
    """A row a candidate, the first being the one that the others are compared with; `rows` are those converted.

    A column in which no candidate has anything to say is left out.
    """
    ours = next(iter(runs.values()))
    lines = [_cells(candidate, theirs, ours, rows) for candidate, theirs in runs.items()]
    names = [name for name in lines[0] if any(line[name] for line in lines)]
    head = [names, ["---", *["---:"] * (len(names) - 1)]]
    body = [[line[name] for name in names] for line in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in head + body)


def _cells(candidate: Candidate, theirs: Sequence[Run], ours: Sequence[Run], rows: int) -> dict[str, str]:
    """Cell by column; one that says nothing is empty."""
    wall = _median(theirs, lambda run: run.wall)
    ratio = median(their.wall / our.wall for their, our in zip(theirs, ours, strict=not candidate.once))
    return {
        "": candidate.name + (" (ran once)" if candidate.once else ""),
        "wall s": f"{wall:.2f}",
        "x ours": f"{ratio:.2f}",
        "CPU s": f"{_median(theirs, lambda run: run.cpu):.2f}",
        "peak MB": f"{_median(theirs, lambda run: run.peak) / 1e6:.0f}",
        "M rows/s": f"{rows / wall / 1e6:.2f}" if rows else "",
        "output MB": _megabytes(_median(theirs, lambda run: run.size)),
        "kept MB": _megabytes(_median(theirs, lambda run: run.kept)),
    }


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.1f}" if size else ""


def _median(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return median(figure(run) for run in runs)
