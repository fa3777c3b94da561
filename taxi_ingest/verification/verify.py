"""Many parts side by side: each copy is looked at, and what was found goes into the receipts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import WarehouseError
from taxi_ingest.job import Job
from taxi_ingest.layout import object_name
from taxi_ingest.state.decide import Observed, decide
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.receipts import Loaded, PartReceipts, Uploaded
from taxi_ingest.state.wanted import wanted
from taxi_ingest.stores import ReadsBack
from taxi_ingest.verification import MADE_BY, Checked, Verdict, Watcher
from taxi_ingest.verification.content import Original, check_month, comparison, stray_rows, table_in, unusable
from taxi_ingest.verification.copies import check_object, check_parquet, check_raw, check_receipts
from taxi_ingest.verification.expected import expected_of


def verify(job: Job, watcher: Watcher, most_bytes: Mapping[Part, int] | None = None) -> list[Verdict]:
    """Look at every copy of the job's parts, `job.jobs` parts at once, and keep what was found in the receipts.

    `most_bytes` are the parts whose values are compared where that costs something, each with what may be billed.

    A step whose copy was found changed is distrusted, which makes the next run redo it; one whose copy is intact is
    trusted again. Nothing else is changed. Right only while nobody else changes the data directory: hold its lock.
    Raises StoreError or TransientError when the store cannot be asked.
    """
    looking = _Looking(job, most_bytes or {})
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


_SHOWS_OBJECT = "the view shows the object in the store as it is"


class _Looking:
    """Looks at the parts of one job; store and warehouse are asked once for what they hold."""

    def __init__(self, job: Job, most_bytes: Mapping[Part, int]) -> None:
        self._job = job
        self._most_bytes = most_bytes
        self._observer = Observer(job, "receipts")

    def at(self, part: Part) -> Verdict:
        """Look at one part."""
        job, now, expected = self._job, self._observer.observe(part), self._expected(part)
        raw = check_raw(job.layout, expected.download)
        parquet = check_parquet(job.layout.parquet(part), part, expected.parquetize, must_exist=False)
        stored = self._object(part, expected.upload, must_exist=now.stored is not None)
        original = _original(expected, parquet, stored, is_file=isinstance(self._observer.store, ReadsBack))
        month = self._month(part, expected.load, original, stored, must_exist=now.month is not None)
        if parquet.state == "absent" and self._needs_parquet(now, expected, stored, month):
            parquet = Checked.absent("parquet", str(job.layout.parquet(part)), must_exist=True)
        copies = (raw, parquet, stored, month)
        there = {MADE_BY[copy.copy] for copy in copies if copy.state != "absent"}
        return Verdict(part, (*check_receipts(job.layout, part, now.receipts, there), *copies))

    def _needs_parquet(self, now: Observed, expected: PartReceipts, stored: Checked, month: Checked) -> bool:
        """Whether a run would make the Parquet file again, as it decides that where object and month are there."""
        if now.receipts.parquetize is None:
            return False
        held = replace(
            now,
            stored=now.stored or (expected.upload if stored.state != "absent" else None),
            month=now.month or (expected.load if month.state != "absent" else None),
        )
        return decide("parquetize", held, wanted(self._job, now.part)).action == "run"

    def keep(self, verdict: Verdict) -> None:
        """Distrust the steps whose copies were found changed, and trust those whose copies are intact, or gone."""
        expected = self._expected(verdict.part)
        for one in verdict.checked:
            if one.copy == "receipt" or one.step is None or one.state in {"counted", "unrecorded"}:
                continue
            receipt, distrusted = expected.of(one.step), one.state == "changed"
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

    def _expected(self, part: Part) -> PartReceipts:
        there = self._observer
        return expected_of(there.observe(part), store=str(there.store.place), warehouse=str(there.warehouse.place))

    def _object(self, part: Part, expected: Uploaded | None, *, must_exist: bool) -> Checked:
        store, name = self._observer.store, object_name(part)
        listed = self._observer.held_objects(part.dataset).get(name)
        return check_object(store, name, listed, expected, must_exist=must_exist)

    def _month(
        self, part: Part, expected: Loaded | None, original: Original, stored: Checked, *, must_exist: bool
    ) -> Checked:
        warehouse = self._observer.warehouse
        compare = comparison(warehouse, part, original, most_bytes=self._most_bytes.get(part))
        try:
            held = self._observer.held_months(part.dataset).get(part.month)
            if held and (elsewhere := self._observer.shown_from_elsewhere(part, held)):
                return Checked.present("table", table_in(warehouse, part), elsewhere)
            if held and held.file and stored.wrong:
                return Checked("table", "counted", "load", table_in(warehouse, part), note=_SHOWS_OBJECT)
            return check_month(warehouse, part, held, expected, compare, must_exist=must_exist)
        except WarehouseError as error:
            return unusable(warehouse, part, error)


def _original(expected: PartReceipts, parquet: Checked, stored: Checked, *, is_file: bool) -> Original:
    """Where the Parquet that the month was loaded from is intact. `is_file`: whether the object, too, is a file."""
    mark = expected.load.mark if expected.load else ""
    file = url = ""
    if stored.state == "intact" and expected.upload and expected.upload.mark == mark:
        url = stored.where
        file = url if is_file else ""
    if parquet.state == "intact" and expected.parquetize and expected.parquetize.mark == mark:
        file = parquet.where
    return Original(file, url)
