"""Many parts side by side: each copy is looked at, and what was found goes into the receipts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import WarehouseError
from taxi_ingest.graph import Step
from taxi_ingest.job import Job
from taxi_ingest.layout import object_name
from taxi_ingest.state.decide import Observed, decide
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.receipts import Loaded, Parquetized, Receipt, Uploaded
from taxi_ingest.state.wanted import wanted
from taxi_ingest.stores import Held, ReadsBack
from taxi_ingest.verification import MADE_BY, Checked, Verdict, Watcher
from taxi_ingest.verification.content import check_month, stray_rows, unusable
from taxi_ingest.verification.copies import check_object, check_parquet, check_raw, check_receipts


def verify(job: Job, watcher: Watcher) -> list[Verdict]:
    """Look at every copy of the job's parts, `job.jobs` parts at once, and keep what was found in the receipts.

    A step whose copy was found changed is distrusted, which makes the next run redo it; one whose copy is intact is
    trusted again. Nothing else is changed. Right only while nobody else changes the data directory: hold its lock.
    Raises StoreError or TransientError when the store cannot be asked.
    """
    looking = _Looking(job)
    verdicts: list[Verdict] = []
    watcher.begun(len(job.parts))
    pool = ThreadPoolExecutor(job.jobs, "verify")
    try:
        for verdict in pool.map(looking.at, job.parts):
            looking.keep(verdict)
            watcher.ended(verdict)
            verdicts.append(verdict)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for verdict in looking.strays():
        watcher.ended(verdict)
        verdicts.append(verdict)
    return verdicts


class _Looking:
    """Looks at the parts of one job; store and warehouse are asked once for what they hold."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._observer = Observer(job, "receipts")
        self._listing = threading.Lock()
        self._objects: dict[str, Mapping[str, Held]] = {}

    def at(self, part: Part) -> Verdict:
        """Look at one part."""
        job, now = self._job, self._observer.observe(part)
        receipts = now.receipts
        want = wanted(job, part)
        raw = check_raw(job.layout, receipts.download, wanted="raw" in job.kept)
        parquet = check_parquet(
            job.layout.parquet(part),
            part,
            self._expected_parquet(now),
            wanted=receipts.parquetize is not None and decide("parquetize", now, want).action == "run",
        )
        stored = self._object(part, now)
        month = self._month(part, now, self._readable(part, now, parquet, stored))
        copies = (raw, parquet, stored, month)
        there = {MADE_BY[copy.copy] for copy in copies if copy.state != "absent"}
        return Verdict(part, (*check_receipts(job.layout, part, receipts, there), *copies))

    def keep(self, verdict: Verdict) -> None:
        """Distrust the steps whose copies were found changed, and trust those whose copies are intact, or gone."""
        now = self._observer.observe(verdict.part)
        for one in verdict.checked:
            if one.copy == "receipt" or one.step is None or one.state == "counted":
                continue
            receipt = self._expected(now, one.step)
            distrusted = one.state == "changed"
            if receipt is not None and receipt.distrusted != distrusted:
                self._observer.receipts.put(verdict.part, one.step, replace(receipt, distrusted=distrusted))

    def strays(self) -> Iterator[Verdict]:
        """Rows that are of no part, dataset by dataset."""
        for name in sorted({part.dataset for part in self._job.parts}):
            try:
                found = stray_rows(self._observer.warehouse, dataset_named(name), self._job.parts)
            except WarehouseError:
                continue  # told of each part
            if found:
                yield found

    def _object(self, part: Part, now: Observed) -> Checked:
        store, name = self._observer.store, object_name(part)
        with self._listing:
            if part.dataset not in self._objects:
                self._objects[part.dataset] = store.held(f"{part.dataset}/")
        listed = self._objects[part.dataset].get(name)
        return check_object(store, name, listed, self._expected_object(now), wanted=now.stored is not None)

    def _month(self, part: Part, now: Observed, file: str) -> Checked:
        warehouse = self._observer.warehouse
        try:
            held = self._observer.held_months(part.dataset).get(part.month)
            return check_month(warehouse, part, held, self._expected_month(now), file, wanted=now.month is not None)
        except WarehouseError as error:
            return unusable(warehouse, part, error)

    def _readable(self, part: Part, now: Observed, parquet: Checked, stored: Checked) -> str:
        """A path of the Parquet that the month was loaded from, if an intact copy is on this disk; else ""."""
        month, file, held = self._expected_month(now), self._expected_parquet(now), self._expected_object(now)
        if month and file and parquet.state == "intact" and file.mark == month.mark:
            return str(self._job.layout.parquet(part))
        is_file = isinstance(self._observer.store, ReadsBack)
        return (
            stored.where if month and held and is_file and stored.state == "intact" and held.mark == month.mark else ""
        )

    def _expected(self, now: Observed, step: Step) -> Receipt | None:
        """What the copy that `step` makes is compared with."""
        match step:
            case "download":
                return now.receipts.download
            case "parquetize":
                return self._expected_parquet(now)
            case "upload":
                return self._expected_object(now)
            case "load":
                return self._expected_month(now)

    def _expected_parquet(self, now: Observed) -> Parquetized | None:
        """The receipt, or what the footer says when that is gone."""
        return now.receipts.parquetize or now.parquet

    def _expected_object(self, now: Observed) -> Uploaded | None:
        """The receipt of the upload to this store, or what it would be."""
        at, file = str(self._observer.store.place), now.receipts.parquetize
        if now.stored or file is None:
            return now.stored
        return Uploaded(at=at, object=object_name(now.part), mark=file.mark, crc32c=file.crc32c, bytes=file.bytes)

    def _expected_month(self, now: Observed) -> Loaded | None:
        """The receipt of the load into this warehouse, or what it would be."""
        at, file = str(self._observer.warehouse.place), now.receipts.parquetize
        if now.month or file is None:
            return now.month
        return Loaded(at=at, table=dataset_named(now.part.dataset).table, mark=file.mark, rows=file.rows)
