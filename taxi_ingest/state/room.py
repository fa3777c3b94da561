"""How much of which disk a run needs, and how much is free there."""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

from taxi_ingest.errors import SpaceError
from taxi_ingest.job import Job

Home = Literal["data_dir", "store", "warehouse"]
"""What may lie on a disk of its own."""


@dataclass(frozen=True)
class Writes:
    """`adds`: bytes that a part adds to each home. `passing`: bytes in the data directory, removed once used."""

    adds: Mapping[Home, int]
    passing: int = 0

    def and_table(self, more: int) -> Self:
        """The same with so many more bytes of table."""
        return replace(self, adds={**self.adds, "warehouse": self.adds.get("warehouse", 0) + more})


@dataclass(frozen=True)
class Disk:
    """One filesystem: a folder on it, bytes that it must have room for, and bytes that are free."""

    folder: str
    needs: int
    free: int

    @property
    def fits(self) -> bool:
        """Whether there is room enough."""
        return self.needs <= self.free


def disks(job: Job, writes: Iterable[Writes]) -> tuple[Disk, ...]:
    """The filesystems that `writes` go to. At most `jobs` parts have passing files there at the same time."""
    every = list(writes)
    needs: dict[Home, int] = {home: sum(one.adds.get(home, 0) for one in every) for home in homes(job)}
    needs["data_dir"] += sum(heapq.nlargest(job.jobs, (one.passing for one in every)))
    by_device: dict[int, Disk] = {}
    for home, folder in homes(job).items():
        device = folder.stat().st_dev
        before = by_device.get(device)
        if before is None:
            by_device[device] = Disk(str(folder), needs[home], shutil.disk_usage(folder).free)
        else:
            by_device[device] = Disk(before.folder, before.needs + needs[home], before.free)
    return tuple(by_device.values())


def homes(job: Job) -> dict[Home, Path]:
    """The homes that lie on this machine, each as the nearest folder that exists already."""
    found: dict[Home, Path] = {"data_dir": _nearest_folder(job.layout.data_dir)}
    if job.store.path:
        found["store"] = _nearest_folder(Path(job.store.path))
    if job.warehouse.path:
        found["warehouse"] = _nearest_folder(Path(job.warehouse.path).parent)
    return found


def shares_disk(job: Job) -> bool:
    """Whether an object in the store can be a hard link to the Parquet file."""
    found = homes(job)
    return "store" in found and found["store"].stat().st_dev == found["data_dir"].stat().st_dev


def check_room(needed: Iterable[Disk]) -> None:
    """Raise SpaceError, with both numbers, for the first disk that has too little room."""
    for disk in needed:
        if not disk.fits:
            raise SpaceError(
                f"This run would write about {_size(disk.needs)} to the disk of {disk.folder}, which has "
                f"{_size(disk.free)} free. Take fewer months, make room (see `taxi-ingest clean --help` and `keep` in "
                "config.toml), name another --data-dir, or go on with --no-disk-check."
            )


def doubt_about_room(needed: Iterable[Disk]) -> str:
    """A sentence about the first disk that seems to have too little room, by sizes that are estimates; "" for none."""
    for disk in needed:
        if not disk.fits:
            return (
                f"This run may write about {_size(disk.needs)} to the disk of {disk.folder}, which has "
                f"{_size(disk.free)} free. It begins all the same, because that is an estimate: nobody knows the size "
                "of files that --source names by a template, and TLC's stand in for them."
            )
    return ""


def _size(number: int) -> str:
    """Bytes for people: two numbers must not look alike when one is larger."""
    return f"{number / 1e9:,.2f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
