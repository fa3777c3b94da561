"""What `clean` does: look which files may go, and remove them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import datasets
from taxi_ingest.engine.removing import file_of, is_there, prune, reason_to_keep
from taxi_ingest.graph import ARTEFACTS, Artefact
from taxi_ingest.job import Job
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.orphans import find_orphans
from taxi_ingest.stores import Removes, Store


@dataclass(frozen=True)
class Removable:
    """A file that may go. `bytes` is its size, `frees` what the disk gains: 0 while another name holds the bytes."""

    kind: Literal[Artefact, "orphan"]
    part: Part | None
    path: Path
    bytes: int
    frees: int
    why: str = ""
    object: str = ""


@dataclass(frozen=True)
class Kept:
    """A file that was asked for and must stay, and why."""

    kind: Artefact
    part: Part
    why: str


@dataclass(frozen=True)
class Findings:
    """What may go and what stays; `unknown` are files in our folders that are not known to be ours."""

    removable: tuple[Removable, ...] = ()
    kept: tuple[Kept, ...] = ()
    unknown: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """The size of all that may go."""
        return sum(one.bytes for one in self.removable)

    @property
    def frees(self) -> int:
        """Bytes that the disk gains."""
        return sum(one.frees for one in self.removable)


def look(
    job: Job, observer: Observer, parts: Iterable[Part], artefacts: Sequence[Artefact], *, orphans: bool
) -> Findings:
    """Which files of `parts` may go, and with `orphans` which belong to no part; changes nothing."""
    seen = [found for part in parts for found in _look_at(job, observer, part, artefacts)]
    removable = [found for found in seen if isinstance(found, Removable)]
    kept = tuple(found for found in seen if isinstance(found, Kept))
    if not orphans:
        return Findings(_weighed(removable), kept)
    left = find_orphans(job, observer.store)
    removable += [Removable("orphan", None, o.path, 0, 0, o.why, o.object) for o in left.orphans]
    return Findings(_weighed(removable), kept, left.unknown, left.notes)


def remove(job: Job, observer: Observer, findings: Findings) -> None:
    """Remove what may go, file by file: if the process is killed in between, the next run goes on from there."""
    for one in findings.removable:
        if one.part is not None and one.kind != "orphan":
            prune(observer, job, one.part, one.kind)
        else:
            _remove_orphan(one, observer.store, job.layout.data_dir)


def _look_at(job: Job, observer: Observer, part: Part, artefacts: Sequence[Artefact]) -> list[Removable | Kept]:
    """What may go of one part, raw first: whether the Parquet may go depends on it."""
    found: list[Removable | Kept] = []
    raw_goes = False
    for artefact in (known for known in ARTEFACTS if known in artefacts):
        if not is_there(observer, part, artefact):
            continue
        if why := reason_to_keep(observer, job, part, artefact, raw_goes=raw_goes):
            found.append(Kept(artefact, part, why))
            continue
        found.append(Removable(artefact, part, file_of(observer, job, part, artefact), 0, 0))
        raw_goes |= artefact == "raw"
    return found


def _weighed(removable: Sequence[Removable]) -> tuple[Removable, ...]:
    """The same with their sizes. Bytes that several names share are gained with the last of them."""
    stats = [one.path.stat() for one in removable]
    left = Counter({(stat.st_dev, stat.st_ino): stat.st_nlink for stat in stats})
    weighed: list[Removable] = []
    for one, stat in zip(removable, stats, strict=True):
        left[stat.st_dev, stat.st_ino] -= 1
        last = left[stat.st_dev, stat.st_ino] == 0
        weighed.append(replace(one, bytes=stat.st_size, frees=stat.st_blocks * 512 if last else 0))
    return tuple(weighed)


def _remove_orphan(orphan: Removable, store: Store, data_dir: Path) -> None:
    if orphan.object and isinstance(store, Removes):
        store.remove(orphan.object)
    else:
        orphan.path.unlink(missing_ok=True)
    _remove_empty_folders(orphan.path.parent, data_dir)


def _remove_empty_folders(folder: Path, data_dir: Path) -> None:
    """Remove the folders of a dataset that is not in the catalog, as far as they are empty."""
    names = set(folder.relative_to(data_dir).parts)
    while folder != data_dir and not names & set(datasets()) and len(folder.relative_to(data_dir).parts) > 1:
        if folder.is_symlink() or any(os.scandir(folder)):
            return
        folder.rmdir()
        folder = folder.parent
