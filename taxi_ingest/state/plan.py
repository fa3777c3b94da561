"""What a run would do and why, with rows, bytes and disk, from what is there and from the catalog; does nothing.

Store and warehouse are asked as a run asks them; the publisher only where a run would ask it what it changed.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from taxi_ingest import sources as publishers
from taxi_ingest import warehouses
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import auto_source, estimated_size, sources
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import InUseError, TaxiError, WarehouseError
from taxi_ingest.graph import Step
from taxi_ingest.job import Job
from taxi_ingest.state.decide import IN_USE, Observed
from taxi_ingest.state.foresee import Foreseen, foresee
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.receipts import PartReceipts
from taxi_ingest.state.refresh import Refreshed, refresh
from taxi_ingest.state.room import Disk, Home, Writes, check_room, disks, doubt_about_room, shares_disk
from taxi_ingest.state.wanted import source_of, wanted

_CSV_GZ = 1.2  # bytes of the archive's CSV.gz for one of TLC's Parquet (yellow 2021-01: 25 MB, 21.7 MB)
_DEMO_ROW = 18  # bytes of a made-up row as Parquet
_DEMO_CSV_GZ = 1.7  # bytes of the demo's CSV.gz for one of its Parquet


@dataclass(frozen=True)
class Cloud:
    """Bytes, of one part or of all, that are kept elsewhere and may be billed.

    `uploaded` goes to the store, `stored` to the warehouse; `billed` is the most that its queries are billed for.
    """

    uploaded: int = 0
    stored: int = 0
    billed: int = 0

    def __add__(self, other: Cloud) -> Cloud:
        return Cloud(self.uploaded + other.uploaded, self.stored + other.stored, self.billed + other.billed)


@dataclass(frozen=True)
class PlannedPart:
    """One part: what its steps will do, about how many rows it has, and the bytes that will be moved and written.

    `certain`: the bytes are more than a guess. Of a user's own file that was never read, nobody knows the size.
    """

    part: Part
    source: str
    steps: Mapping[Step, Foreseen]
    rows: int
    download_bytes: int
    writes: Writes
    certain: bool
    cloud: Cloud

    @property
    def disk_bytes(self) -> int:
        """Bytes that will be written and stay on disks of this machine."""
        return sum(self.writes.adds.values())

    @property
    def loads(self) -> bool:
        """Whether its month will be loaded, or may be."""
        return "load" in self.steps and self.steps["load"].action != "up_to_date"

    @property
    def idle(self) -> bool:
        """Whether nothing of it will run."""
        return all(step.action == "up_to_date" for step in self.steps.values())


@dataclass(frozen=True)
class Plan:
    """All parts, the disks that they will write to, that of the data directory first, and what publishers said.

    `refusals` are the sentences with which the warehouse would refuse the loads, `costs` are sentences on what loads
    cost beside the usual.
    """

    parts: tuple[PlannedPart, ...]
    disks: tuple[Disk, ...]
    refreshed: Refreshed
    refusals: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()

    @property
    def disk_free(self) -> int:
        """Bytes that are free on the disk of the data directory."""
        return self.disks[0].free

    @property
    def rows(self) -> int:
        """Rows of the parts that will be worked on."""
        return sum(part.rows for part in self.parts if not part.idle)

    @property
    def download_bytes(self) -> int:
        """Bytes to be downloaded."""
        return sum(part.download_bytes for part in self.parts)

    @property
    def disk_bytes(self) -> int:
        """Bytes that will be written and stay."""
        return sum(part.disk_bytes for part in self.parts)

    @property
    def cloud(self) -> Cloud:
        """What all parts together cost in the cloud."""
        return sum((part.cloud for part in self.parts), Cloud())

    @property
    def fits(self) -> bool:
        """Whether the disks have room for it."""
        return all(disk.fits for disk in self.disks)


def make_plan(job: Job) -> Plan:
    """What running `job` would do."""
    observer = Observer.impatient(job, "everything")
    publisher = publishers.Publisher(job.source)
    refreshed = refresh(job, job.parts, observer.receipts_of, publisher, lambda sentence: None)
    observer.note_republished(refreshed.reasons)
    parts = _planned_parts(job, observer, refreshed.sizes)
    refusals, costs = _refusals_and_costs(job, observer, parts)
    return Plan(parts, disks(job, (one.writes for one in parts)), refreshed, tuple(refusals), tuple(costs))


def _refusals_and_costs(job: Job, observer: Observer, parts: Iterable[PlannedPart]) -> tuple[list[str], list[str]]:
    """Why loads would be refused, and what they cost; nothing while another program has the warehouse open."""
    names = {one.part.dataset for one in parts if one.loads}
    if not names:
        return [], []
    tables = [warehouses.table_of(dataset_named(name)) for name in sorted(names)]
    try:
        refusals = warehouses.foreseen_refusals(observer.warehouse, tables)
        return refusals, warehouses.foresee(observer.warehouse, job.store)
    except InUseError:
        return [], []
    except WarehouseError as error:
        return [str(error)], []


def check_disks(job: Job, observer: Observer, sizes: Mapping[Part, int]) -> str:
    """A doubt whether the disks have room for what `job` would do; "" if there is none.

    Raises SpaceError where there is too little room as far as sizes are known. `sizes`: bytes of the files that were
    republished, where told.
    """
    try:
        parts = _planned_parts(job, observer, sizes)
    except (TaxiError, OSError):  # the steps will tell, each for itself
        return ""
    check_room(disks(job, [one.writes for one in parts if one.certain]))
    return doubt_about_room(disks(job, [one.writes for one in parts]))


def _planned_parts(job: Job, observer: Observer, sizes: Mapping[Part, int]) -> tuple[PlannedPart, ...]:
    linked = shares_disk(job)
    parts = [_planned(job, observer, part, sizes.get(part), linked=linked) for part in job.parts]
    for dataset in dict.fromkeys(part.dataset for part in job.parts):
        first = next((i for i, one in enumerate(parts) if one.part.dataset == dataset and one.loads), None)
        if first is not None and (more := _copied_along(job, observer, dataset)):
            parts[first] = dataclasses.replace(parts[first], writes=parts[first].writes.and_table(more))
    return tuple(parts)


def _copied_along(job: Job, observer: Observer, dataset: str) -> int:
    """Bytes of table for months that nobody asked for: a load that turns a view into a table copies all its months."""
    share = observer.warehouse.traits.disk_per_parquet
    asked_for = {part.month for part in job.parts if part.dataset == dataset}
    with contextlib.suppress(InUseError):
        months = observer.held_months(dataset).items()
        files = [Path(held.file) for month, held in months if held.file and month not in asked_for]
        return round(share * sum(file.stat().st_size for file in files if file.exists()))
    return 0


def _planned(job: Job, observer: Observer, part: Part, published: int | None, *, linked: bool) -> PlannedPart:
    """What will come of `part`, whose file has `published` bytes now, if its publisher said so.

    `linked`: an object in the store has its bytes in common with the Parquet file.
    """
    now, want = observer.observe(part), wanted(job, part)
    steps = foresee(now, want, job.steps)
    if not observer.answers(part):
        steps["load"] = Foreseen("maybe", IN_USE)
    had = now.receipts.download
    source = source_of(job, part, had)
    rows, parquet = _size(job, now.receipts, part)
    raw = published or (had.bytes if had else round(parquet * _raw_share(source, part)))
    will_run = {step for step, foreseen in steps.items() if foreseen.action != "up_to_date"}
    return PlannedPart(
        part=part,
        source=source,
        steps=steps,
        rows=rows,
        download_bytes=raw if "download" in will_run else 0,
        writes=_writes(job, now, will_run, _Sizes(raw, parquet, observer.warehouse.traits.disk_per_parquet), linked),
        certain=now.receipts.parquetize is not None or not _is_template(source),
        cloud=_cloud(job, observer, part, will_run, rows=rows, parquet=parquet),
    )


def _cloud(job: Job, observer: Observer, part: Part, will_run: Set[Step], *, rows: int, parquet: int) -> Cloud:
    """What a part will cost where store or warehouse are somebody else's."""
    bill = warehouses.bill(observer.warehouse, warehouses.table_of(dataset_named(part.dataset)), rows)
    cost = bill if bill and "load" in will_run else None
    return Cloud(
        uploaded=parquet if "upload" in will_run and job.store.has_host else 0,
        stored=cost.stored if cost else 0,
        billed=cost.billed if cost else 0,
    )


class _Sizes(NamedTuple):
    """Bytes of a part's published file and of its Parquet, and bytes of table for each of its Parquet."""

    raw: int
    parquet: int
    table_share: float


def _writes(job: Job, now: Observed, will_run: Set[Step], sizes: _Sizes, linked: bool) -> Writes:
    """What the steps that will run add to the disks of this machine, beyond what they replace.

    `linked`: an object in the store has its bytes in common with the Parquet file.
    """
    had_raw = now.receipts.download.bytes if now.receipts.download and now.raw_present else 0
    raw = max(0, sizes.raw - had_raw) if "download" in will_run else 0
    parquet = max(0, sizes.parquet - (now.parquet.bytes if now.parquet else 0)) if "parquetize" in will_run else 0
    stored = max(0, sizes.parquet - (now.stored.bytes if now.stored else 0)) if "upload" in will_run else 0
    keeps_raw = "raw" in job.kept or "download" in job.targets
    keeps_parquet = "parquet" in job.kept or "load" not in job.targets or linked
    writes_rows = "load" in will_run and (now.month is None or bool(now.month_stale))
    adds: dict[Home, int] = {
        "data_dir": raw * keeps_raw + parquet * keeps_parquet,
        "store": 0 if linked or not job.store.path else stored,
        "warehouse": round(sizes.parquet * sizes.table_share) if writes_rows else 0,
    }
    return Writes(adds, passing=raw * (not keeps_raw) + parquet * (not keeps_parquet))


def _size(job: Job, receipts: PartReceipts, part: Part) -> tuple[int, int]:
    """Rows of a part, and bytes as Parquet: as its receipt says, else about as many as the catalog knows."""
    if receipts.parquetize is not None:
        return receipts.parquetize.rows, receipts.parquetize.bytes
    if str(job.source) == publishers.DEMO:
        return job.demo.rows, job.demo.rows * _DEMO_ROW
    return estimated_size(part.dataset, part.month)


def _raw_share(source: str, part: Part) -> float:
    """Bytes of the published file for one of its Parquet."""
    if publishers.is_demo(source):
        return _DEMO_CSV_GZ
    named = auto_source(part) if _is_template(source) else source
    return _CSV_GZ if sources()[named].format_of(part) == "csv" else 1.0


def _is_template(source: str) -> bool:
    return not publishers.is_named(source) and not publishers.is_demo(source)
