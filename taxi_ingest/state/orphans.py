"""Files that a run once left and that no part owns any more.

A file counts as ours only by evidence: a receipt that names it, or the whole name that a run gives, in the folder of a
dataset that there is or was. A copied footer or mark proves nothing by itself. What has no evidence is somebody else's:
it is counted, and never removed. Links are not followed. A store outside the data directory may belong to several of
them, and is not looked into.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, cast

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.months import is_month
from taxi_ingest.catalog.reading import datasets
from taxi_ingest.files import is_scratch
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.job import Job
from taxi_ingest.layout import NO_MONTH, is_raw_name, part_named, stem
from taxi_ingest.sources import partial
from taxi_ingest.state.on_disk import is_original
from taxi_ingest.state.receipts import Downloaded, Loaded, Receipt, Receipts
from taxi_ingest.state.receipts import read as read_receipt
from taxi_ingest.stores import Removes, Store
from taxi_ingest.writers.provenance import read_provenance

_PARTIAL = re.compile(r"(?P<file>.+)\.part(\.json)?")
_HEADING = b"line,reason,raw"
_GONE = "the catalog has no dataset {} any more"


@dataclass(frozen=True)
class Orphan:
    """A file that no part owns, and why; `object` is its name in the store, "" for any other file."""

    path: Path
    why: str
    object: str = ""


@dataclass(frozen=True)
class Found:
    """All orphans, files that are not known to be ours, and sentences about what is left alone."""

    orphans: tuple[Orphan, ...]
    unknown: tuple[Path, ...]
    notes: tuple[str, ...]


Verdict = Literal["owned", "unknown"] | Orphan
"""Of one file: owned by a part, not known to be ours, or an orphan."""


def find_orphans(job: Job, store: Store) -> Found:
    """Look through the data directory. Right only while no run is at work in it."""
    search = _Search(job)
    orphans: list[Orphan] = []
    unknown: list[Path] = []
    for path, verdict in search.verdicts():
        if verdict == "unknown":
            unknown.append(path)
        elif verdict != "owned":
            orphans.append(verdict)
    root = Path(job.store.path)
    if isinstance(store, Removes) and root.is_relative_to(job.layout.data_dir):
        for name, held in sorted(store.held("").items()):
            dataset, path = name.partition("/")[0], root / name  # a name that no object of ours can have is no error
            if dataset not in datasets() and held.mark and search.made_object(name, path):
                orphans.append(Orphan(path, _GONE.format(dataset), name))
            elif dataset not in datasets():
                unknown.append(path)
    orphans += search.past_receipts()  # last, because they prove the others
    return Found(tuple(orphans), tuple(unknown), tuple(search.notes()))


class _Search:
    def __init__(self, job: Job) -> None:
        self._layout = job.layout
        self._warehouse = job.warehouse
        self._receipts = Receipts(job.layout)
        self._past = {
            folder.name: dict(_receipts_below(folder))
            for folder in _folders(job.layout.state / "receipts")
            if folder.name not in datasets()
        }

    def verdicts(self) -> Iterator[tuple[Path, Verdict]]:
        """Every file of raw, parquet and rejects, with what it is."""
        for kind, judge in (("raw", self._raw), ("parquet", self._parquet), ("rejects", self._rejects)):
            for folder in _folders(self._layout.data_dir / kind):
                for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                    path = Path(entry.path)
                    if not entry.is_file(follow_symlinks=False):
                        yield path, "unknown"
                    elif is_scratch(entry.name) and (folder.name in datasets() or folder.name in self._past):
                        yield path, Orphan(path, "a run that was killed left it unfinished")
                    else:
                        yield path, judge(path)

    def made_object(self, name: str, path: Path) -> bool:
        """Whether an object of a dataset that is not in the catalog was made here, and lies here behind no link."""
        dataset, _, file = name.partition("/")
        behind_link = any(
            folder.is_symlink() for folder in path.parents if folder.is_relative_to(self._layout.data_dir)
        )
        return file in self._past_names(dataset, ".parquet") and not path.is_symlink() and not behind_link

    def past_receipts(self) -> Iterator[Orphan]:
        """The receipts of datasets that the catalog does not have any more."""
        for dataset, receipts in self._past.items():
            for month, step in receipts:
                path = self._layout.state / "receipts" / dataset / month / f"{step}.json"
                yield Orphan(path, _GONE.format(dataset))

    def notes(self) -> Iterator[str]:
        """What stays although no part owns it."""
        for dataset, receipts in self._past.items():
            loaded = [receipt for receipt in receipts.values() if isinstance(receipt, Loaded)]
            for table, at in sorted({(receipt.table, receipt.at) for receipt in loaded}):
                yield f"Rows of {dataset} stay in the table {table} of {at}: drop it there if you do not need it."

    def _raw(self, path: Path) -> Verdict:
        dataset, unfinished = path.parent.name, _PARTIAL.fullmatch(path.name)
        if dataset not in datasets():
            names = {past.file for past in self._downloads(dataset)}
            ours = f"raw/{dataset}/{unfinished['file'] if unfinished else path.name}" in names
            return Orphan(path, _GONE.format(dataset)) if ours else "unknown"
        name = unfinished["file"] if unfinished else path.name
        part = part_named(dataset, name)
        if part is None:
            return "unknown"
        receipt = self._receipts.of(part).download
        current = PurePosixPath(receipt.file).name if receipt else ""
        if name != current and not is_raw_name(dataset, name):
            return "unknown"
        if receipt is None:
            return _age(path) if unfinished else "unknown"
        if name == current:
            return _age(path) if unfinished else "owned"
        stays = not self._is_converted(part) or f"raw/{dataset}/{name}" in receipt.earlier_copies
        return "owned" if stays or is_original(path, receipt) else Orphan(path, f"{part} comes as {current} now")

    def _is_converted(self, part: Part) -> bool:
        """Whether the file that the part comes as now proved good, so that no other is needed."""
        have = self._receipts.of(part)
        return bool(have.download and have.parquetize and have.parquetize.raw_sha256 == have.download.sha256)

    def _parquet(self, path: Path) -> Verdict:
        dataset = path.parent.name
        if dataset not in datasets():
            ours = path.name in self._past_names(dataset, ".parquet") and read_provenance(path)
            return Orphan(path, _GONE.format(dataset)) if ours else "unknown"
        part = part_named(dataset, path.name)
        return "owned" if part and path.name == f"{stem(part)}.parquet" else "unknown"

    def _rejects(self, path: Path) -> Verdict:
        dataset = path.parent.name
        if dataset not in datasets():
            ours = path.name in self._past_names(dataset, ".csv")
            return Orphan(path, _GONE.format(dataset)) if ours else "unknown"
        part = part_named(dataset, path.name)
        if part is None or path.name != f"{stem(part)}.csv":
            return "unknown"
        converted = self._receipts.of(part).parquetize
        stale = converted is not None and not converted.rejects and _tells_nothing_newer(path, converted.mtime_ns)
        return Orphan(path, f"{part} has no rejects now") if stale else "owned"

    def _past_names(self, dataset: str, suffix: str) -> set[str]:
        """The names of files that were made of a dataset which the catalog does not have any more."""
        return {f"{PurePosixPath(past.file).name.partition('.')[0]}{suffix}" for past in self._downloads(dataset)}

    def _downloads(self, dataset: str) -> list[Downloaded]:
        """What was downloaded of a dataset that the catalog does not have any more."""
        return [receipt for receipt in self._past.get(dataset, {}).values() if isinstance(receipt, Downloaded)]


def _age(path: Path) -> Verdict:
    """What a download that was cut is: the next run goes on with it, unless it is old."""
    days = (time.time() - path.stat().st_mtime) / 86_400
    return Orphan(path, f"a download that was cut {days:.0f} days ago") if days > partial.DAYS_KEPT else "owned"


def _tells_nothing_newer(rejects: Path, mtime_ns: int) -> bool:
    """Whether rejects are older than the Parquet file, or only a heading; newer ones tell of a failed conversion."""
    return rejects.stat().st_mtime_ns < mtime_ns or rejects.read_bytes()[:64].strip() == _HEADING


def _folders(folder: Path) -> list[Path]:
    """The folders in `folder`. Those behind a link are left out: files there may be anybody's."""
    if not folder.is_dir() or folder.is_symlink():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _receipts_below(folder: Path) -> Iterator[tuple[tuple[str, Step], Receipt]]:
    """The receipts of one dataset, by month folder and step."""
    for path in sorted(folder.glob("*/*.json")):
        month, step = path.parent.name, cast("Step", path.stem)
        if step in STEPS and (month == NO_MONTH or is_month(month)):
            receipt = read_receipt(str(path), step)
            if receipt is not None:
                yield (month, step), receipt
