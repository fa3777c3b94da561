"""What is there: receipts, files on this disk, and what store and warehouse hold."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, Self

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import InUseError, TaxiError
from taxi_ingest.graph import Artefact, Step
from taxi_ingest.job import Job
from taxi_ingest.layout import object_name
from taxi_ingest.state.carried import carried
from taxi_ingest.state.decide import Observed
from taxi_ingest.state.on_disk import is_raw_present, may_be_replaced, parquet_file, without_deleted_raw
from taxi_ingest.state.receipts import Downloaded, Loaded, PartReceipts, Receipt, Receipts, Uploaded
from taxi_ingest.stores import Held, open_store
from taxi_ingest.warehouses import HeldMonth, Months, Options, open_warehouse

Scope = Literal["receipts", "this disk", "everything"]
"""Whom to ask: nobody, only what needs no network, or every far side. Those not asked are believed to hold what our
receipts say."""


class Observer:
    """Looks at the parts of one job. Each far side is asked once, when its answer is first needed.

    Methods may be called from several threads. While another program has the warehouse open, receipts are believed
    in its place; `answers` asks once more.
    """

    def __init__(self, job: Job, scope: Scope, options: Options | None = None) -> None:
        self.receipts = Receipts(job.layout)
        self.store = open_store(job.store)
        self.warehouse = open_warehouse(job.warehouse, options or job.warehouse_options)
        self._job = job
        self._asks_store = _is_asked(scope, needs_network=self.store.needs_network)
        self._asks_warehouse = _is_asked(scope, needs_network=self.warehouse.traits.needs_network)
        self._asking = threading.Lock()
        self._objects: dict[str, Mapping[str, Held]] = {}
        self._months: dict[str, Months] = {}
        self._observed: dict[Part, Observed] = {}
        self._republished: Mapping[Part, str] = {}
        self._unanswered: set[Part] = set()

    @classmethod
    def impatient(cls, job: Job, scope: Scope) -> Self:
        """An observer that does not wait for a warehouse which another program has open, but believes receipts."""
        return cls(job, scope, replace(job.warehouse_options, lock_timeout=0.0))

    def note_republished(self, reasons: Mapping[Part, str]) -> None:
        """Note which published files are taken for others than ours, and why; also for parts observed before."""
        self._republished = reasons
        self._observed = {part: replace(now, republished=reasons.get(part, "")) for part, now in self._observed.items()}

    def observe(self, part: Part) -> Observed:
        """What is known of `part`; looked at once, and kept up to date by `finished`."""
        if part not in self._observed:
            self._observed[part] = self._look(part)
        return self._observed[part]

    def answers(self, part: Part) -> bool:
        """Whether the warehouse has answered for `part`; if another program had it open, it is asked again."""
        now = self.observe(part)
        if part not in self._unanswered:
            return True
        try:
            self._observed[part] = self._with_month(now)
        except InUseError:
            return False
        self._unanswered.discard(part)
        return True

    def finished(self, part: Part, step: Step, receipt: Receipt) -> None:
        """Keep the receipt of a step that ended, on disk and in what is known of `part`."""
        before = self.observe(part)
        self.receipts.put(part, step, receipt)
        self._observed[part] = before.after(receipt)
        if step == "load":
            self._ask_again_if_stale(part.dataset)

    def _ask_again_if_stale(self, dataset: str) -> None:
        """Ask again about a table that the load of one month may have changed for all of its months."""
        if not any(held.stale for held in self._months.get(dataset, {}).values()):
            return
        del self._months[dataset]
        stale = [part for part, now in self._observed.items() if part.dataset == dataset and now.month_stale]
        with contextlib.suppress(InUseError):  # then they are loaded once more, which changes nothing
            for part in stale:
                self._observed[part] = self._with_month(self._observed[part])

    def note_damaged_object(self, part: Part) -> None:
        """Keep in the receipt that the object of `part` is not what was uploaded: the next run makes it anew."""
        now = self.observe(part)
        if now.receipts.upload is None:
            return
        noted = replace(now.receipts.upload, distrusted=True)
        self.receipts.put(part, "upload", noted)
        self._observed[part] = replace(now, receipts=replace(now.receipts, upload=noted))

    def note_refusal(self, part: Part, downloaded: Downloaded, *, refused: bool) -> None:
        """Keep in the receipt whether the file of `part` was refused, so that the next run may fetch it again."""
        if downloaded.refused == refused:
            return
        now, noted = self.observe(part), replace(downloaded, refused=refused)
        self.receipts.put(part, "download", noted)
        self._observed[part] = replace(now, receipts=replace(now.receipts, download=noted))

    def removed(self, part: Part, artefact: Artefact) -> None:
        """Note that a file of `part` was removed from this disk."""
        now = self.observe(part)
        gone = replace(now, raw_present=False) if artefact == "raw" else replace(now, parquet=None)
        self._observed[part] = gone

    def held_months(self, dataset: str) -> Months:
        """What the warehouse holds of `dataset`; it is asked once, for all datasets of the job."""
        with self._asking:
            if dataset not in self._months:
                names = {dataset, *(part.dataset for part in self._job.parts)}
                tables = {name: dataset_named(name).table for name in names}
                held = self.warehouse.held(*tables.values())
                self._months |= {name: held[table] for name, table in tables.items()}
            return self._months[dataset]

    def held_objects(self, dataset: str) -> Mapping[str, Held]:
        """What the store holds of `dataset`, by object name; it is asked once."""
        with self._asking:
            if dataset not in self._objects:
                self._objects[dataset] = self.store.held(f"{dataset}/")
            return self._objects[dataset]

    def _look(self, part: Part) -> Observed:
        remembered = without_deleted_raw(self._job.layout.data_dir, self.receipts.of(part))
        parquet, damaged = parquet_file(self._job.layout.parquet(part), remembered.parquetize)
        held = self._held(part)
        told = self._lacking(part, remembered, held)
        if parquet or damaged:  # the file on this disk tells by itself
            told = replace(told, parquetize=None)
        receipts = _with(remembered, told)
        now = Observed(
            part=part,
            receipts=receipts,
            carried=told,
            raw_present=is_raw_present(self._job.layout.data_dir, receipts.download),
            may_be_replaced=may_be_replaced(receipts.download),
            republished=self._republished.get(part, ""),
            parquet=parquet,
            parquet_damaged=damaged,
            stored=self._stored(part, held, receipts) if "upload" in self._job.steps else None,
        )
        return self._with_month_or_receipt(now) if "load" in self._job.steps else now

    def receipts_of(self, part: Part) -> PartReceipts:
        """The receipts of `part`, also those that its object carries; a store that cannot be asked tells none."""
        remembered = self.receipts.of(part)
        if remembered.download is None:
            with contextlib.suppress(TaxiError):  # the steps will tell
                return _with(remembered, self._lacking(part, remembered, self._held(part)))
        return remembered

    def _lacking(self, part: Part, remembered: PartReceipts, held: Held | None) -> PartReceipts:
        """The receipts that this machine lacks and the object carries: none as long as it has that of the download."""
        if held is None or remembered.download is not None:
            return PartReceipts()
        told = carried(part, held, self._job.layout)
        return replace(told, parquetize=None) if remembered.parquetize else told

    def _held(self, part: Part) -> Held | None:
        """The object of `part`, if the job has to do with the store and the store is asked."""
        if "upload" not in self._job.steps or not self._asks_store:
            return None
        return self.held_objects(part.dataset).get(object_name(part))

    def _stored(self, part: Part, held: Held | None, receipts: PartReceipts) -> Uploaded | None:
        at, name = str(self.store.place), object_name(part)
        if not self._asks_store:
            return receipts.upload if receipts.upload and receipts.upload.at == at else None
        return Uploaded(at=at, object=name, mark=held.mark, crc32c=held.crc32c, bytes=held.size) if held else None

    def _with_month_or_receipt(self, now: Observed) -> Observed:
        """As `_with_month`; as the receipt says while another program has the warehouse open."""
        if self._asks_warehouse:
            try:
                return self._with_month(now)
            except InUseError:
                self._unanswered.add(now.part)
        receipt = now.receipts.load
        return replace(now, month=receipt if receipt and receipt.at == str(self.warehouse.place) else None)

    def _with_month(self, now: Observed) -> Observed:
        """What is known of a part, with its month as the warehouse holds it."""
        held = self.held_months(now.part.dataset).get(now.part.month)
        if held is None:
            return replace(now, month=None, month_whole=True, month_stale="")
        at, table = str(self.warehouse.place), dataset_named(now.part.dataset).table
        month = Loaded(at=at, table=table, mark=held.mark, rows=held.rows)
        stale = held.stale or self.shown_from_elsewhere(now.part, held)
        return replace(now, month=month, month_whole=held.rows == held.loaded, month_stale=stale)

    def shown_from_elsewhere(self, part: Part, held: HeldMonth) -> str:
        """Why a month that a view shows must be loaded again; "" if its file is the part's object, or in a table."""
        if not held.file or _is_same_path(held.file, self.store.url(object_name(part))):
            return ""
        return f"the view shows a file of another store: {held.file}"


def known_parts(job: Job, attempted: Iterable[Part]) -> list[Part]:
    """Every part that was ever worked on, by dataset and month: those with receipts and those `attempted`."""
    found = {*job.layout.parts_with_receipts(), *attempted}
    return sorted(found, key=lambda part: (part.dataset, part.month or ""))


def _with(remembered: PartReceipts, told: PartReceipts) -> PartReceipts:
    return replace(
        remembered,
        download=remembered.download or told.download,
        parquetize=remembered.parquetize or told.parquetize,
    )


def _is_asked(scope: Scope, *, needs_network: bool) -> bool:
    return scope == "everything" or (scope == "this disk" and not needs_network)


def _is_same_path(one: str, another: str) -> bool:
    """Whether two paths lead to one place, through whatever links; neither need exist."""
    return one == another or os.path.realpath(one) == os.path.realpath(another)
