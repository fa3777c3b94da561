"""What `clean` may remove, what it keeps, and what came of it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_ingest.report import say, words

if TYPE_CHECKING:
    from rich.console import Console

    from taxi_ingest.engine.cleaning import Findings, Kept, Removable

_SHOWN = 3
"""So many files are named of those that are not known."""


def findings(out: Console, found: Findings, data_dir: Path) -> None:
    """A line for each file that may go, and for each reason why others stay."""
    say(out, [_line(one, data_dir) for one in found.removable])
    for (kind, why), alike in groupby(sorted(found.kept, key=_reason), key=_reason):
        parts = [one.part for one in alike]
        which = str(parts[0]) if len(parts) == 1 else f"{parts[0]} and {words.count(len(parts) - 1, 'other')}"
        say(out, [f"stays: {kind} of {which}: {why}"])
    if found.unknown:
        named = ", ".join(str(path) for path in found.unknown[:_SHOWN])
        more = ", …" if len(found.unknown) > _SHOWN else ""
        say(out, [f"left alone: {words.count(len(found.unknown), 'file')} not known to be ours: {named}{more}"])
    say(out, found.notes)


def verdict(out: Console, found: Findings, *, removed: bool) -> None:
    """How much it is, and whether it is gone."""
    if not found.removable:
        say(out, ["Nothing to remove."])
        return
    files = words.count(len(found.removable), "file")
    frees = words.size(found.frees)
    shared = "" if found.frees >= found.bytes else f"; the rest of {words.size(found.bytes)} is shared with the store"
    say(out, [f"Removed {files}, {frees} freed{shared}." if removed else f"{files}, {frees} to be freed{shared}."])


def _line(one: Removable, data_dir: Path) -> str:
    path = one.path.relative_to(data_dir) if one.path.is_relative_to(data_dir) else one.path
    size = words.size(one.bytes) if one.frees or not one.bytes else f"{words.size(one.bytes)}, shared with the store"
    return f"{path}  {size}{f'  {one.why}' if one.why else ''}"


def _reason(one: Kept) -> tuple[str, str]:
    return one.kind, one.why
