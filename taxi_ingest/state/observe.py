"""What is there: receipts, files, and what store and warehouse hold; and the decision that follows for a step."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from taxi_ingest import sources as publishers
from taxi_ingest import stores, warehouses
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.files import crc32c, sha256
from taxi_ingest.pipeline import STEPS, Pipeline
from taxi_ingest.state.receipts import Decision, Receipts, Situation, Wish, decide, wanted_mark
from taxi_ingest.stores import Held, Store
from taxi_ingest.warehouses import Months, Warehouse

log = logging.getLogger("taxi_ingest")


Asks = Literal["nobody", "this disk", "all"]


class Situations:
    """Looks at the parts of one pipeline. Each far side is asked once, when its answer is first needed.

    A far side that `asks` leaves out is believed to hold what our receipts say: "this disk" needs no network,
    "nobody" not even a database that another program may hold. Methods may be called from several threads.
    """

    def __init__(self, pipeline: Pipeline, *, asks: Asks = "this disk") -> None:
        self.pipeline = pipeline
        self.asks: Asks = asks
        self.receipts = Receipts(pipeline.state / "receipts")
        self.publisher = publishers.Publisher(pipeline.source, pipeline.demo)
        self.store = stores.connect(pipeline.store)
        self.warehouse = warehouses.connect(pipeline.warehouse)
        self._asking = threading.Lock()
        self._objects: dict[str, Mapping[str, Held]] = {}
        self._months: dict[str, Months] = {}
        self._seen: dict[Part, Situation] = {}

    # ---- where things lie

    def parquet_path(self, part: Part) -> Path:
        """The Parquet file of a part."""
        return Path(f"{self.pipeline.data_dir}/parquet/{part.dataset}/{stem(part)}.parquet")

    def object_name(self, part: Part) -> str:
        """The object of a part within the store."""
        return f"{part.dataset}/{stem(part)}.parquet"

    def rejects_path(self, part: Part) -> Path:
        """The rejects of a part."""
        return self.pipeline.data_dir / "rejects" / part.dataset / f"{stem(part)}.csv"

    def raw_path(self, part: Part) -> Path | None:
        """The raw file of a part, None before it was downloaded once."""
        receipt = self.receipts.get(part, "download")
        return Path(f"{self.pipeline.data_dir}/{receipt['file']}") if receipt else None

    # ---- deciding

    def decision(self, part: Part, step: str) -> Decision:
        """Whether `step` must run for `part`, and why."""
        return decide(step, self.situation(part), self.wish(part))

    def wish(self, part: Part) -> Wish:
        """What the run wants of `part`."""
        asked = self.pipeline
        source = self.publisher.identity(part) if asked.source_given or "download" in asked.forced else ""
        return Wish(source, asked.writer, asked.targets, asked.kept, asked.forced, asked.strict)

    def situation(self, part: Part) -> Situation:
        """What is known of `part`; looked at once, and again after each step that did something."""
        if part not in self._seen:
            self._seen[part] = self._look(part)
        return self._seen[part]

    def finished(self, part: Part, step: str, facts: Mapping[str, Any]) -> None:
        """Leave the receipt of a step that did something."""
        self.receipts.put(part, step, facts)
        self._seen.pop(part, None)

    def _look(self, part: Part) -> Situation:
        got = {step: self.receipts.get(part, step) for step in STEPS}
        parquet, agrees = self._parquet(part)
        steps = self.pipeline.steps()
        held_object = self._held_object(part) if "upload" in steps else None
        held_month = self._held_month(part) if "load" in steps else None
        return Situation(
            part=part,
            receipts=got,
            raw_there=self._raw_there(part),
            parquet=parquet,
            held_object=held_object,
            held_month=held_month,
            agrees={
                "parquetize": agrees,
                "upload": _agree(got["upload"], self.pipeline.store, held_object),
                "load": _agree(got["load"], self.pipeline.warehouse, held_month),
            },
        )

    def _raw_there(self, part: Part) -> bool:
        """Whether the raw file is there as its receipt says; hashed only when it was touched since."""
        path, receipt = self.raw_path(part), self.receipts.get(part, "download")
        if path is None or receipt is None:
            return False
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if stat.st_size != receipt["bytes"]:
            return False
        return bool(stat.st_mtime_ns == receipt["mtime_ns"] or sha256(path) == receipt["sha256"])

    def _parquet(self, part: Part) -> tuple[Mapping[str, Any] | None, bool]:
        """What the Parquet file of `part` is (None when missing), and whether its receipt says so already."""
        path = self.parquet_path(part)
        receipt = self.receipts.get(part, "parquetize")
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None, False
        if receipt and (receipt["bytes"], receipt["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
            return receipt, True
        return self._parquet_by_content(path, receipt, stat.st_mtime_ns), False

    def _parquet_by_content(self, path: Path, receipt: Mapping[str, Any] | None, mtime_ns: int) -> Mapping[str, Any]:
        from taxi_ingest.steps.parquetize import footer

        found, checksum = footer(path), crc32c(path)
        if found is None or (receipt is not None and receipt["crc32c"] != checksum):
            return {"damaged": True, "crc32c": checksum}
        return {**(receipt or found), "bytes": path.stat().st_size, "crc32c": checksum, "mtime_ns": mtime_ns}

    def _held_object(self, part: Part) -> tuple[str, str] | None:
        if not self._is_asked(self.store):
            receipt = self.receipts.get(part, "upload")
            return (receipt["mark"], receipt["crc32c"]) if receipt and receipt["at"] == self.pipeline.store else None
        with self._asking:
            if part.dataset not in self._objects:
                self._objects[part.dataset] = self.store.held(f"{part.dataset}/")
            held = self._objects[part.dataset].get(self.object_name(part))
        return (held.mark, held.crc32c) if held else None

    def _held_month(self, part: Part) -> tuple[str, bool] | None:
        if not self._is_asked(self.warehouse):
            receipt = self.receipts.get(part, "load")
            return (receipt["mark"], True) if receipt and receipt["at"] == self.pipeline.warehouse else None
        held = self.held_months(part.dataset).get(part.month)
        return (held.mark, held.rows == held.loaded) if held else None

    def _is_asked(self, far_side: Store | Warehouse) -> bool:
        return self.asks == "all" or (self.asks == "this disk" and far_side.on_this_disk)

    def held_months(self, dataset: str) -> Months:
        """What the warehouse holds of `dataset`, asked once a run."""
        with self._asking:
            if dataset not in self._months:
                asked = {dataset, *(part.dataset for part in self.pipeline.parts)}
                tables = {name: dataset_named(name).table for name in asked}
                held = self.warehouse.held(*tables.values())
                self._months |= {name: held[table] for name, table in tables.items()}
            return self._months[dataset]

    def adopt(self, part: Part, step: str) -> None:
        """Leave the receipt of work that `decision` found to be there already."""
        log.info("%s %s is adopted", part, step)
        if step == "parquetize":
            found, _ = self._parquet(part)
            self.finished(part, step, dict(found or {}))
            return
        at = {"upload": self.pipeline.store, "load": self.pipeline.warehouse}[step]
        facts: dict[str, Any] = {"at": at, "mark": wanted_mark(self.receipts.get(part, "download"), part)}
        if step == "upload":
            held = self._objects[part.dataset][self.object_name(part)]
            facts |= asdict(held) | {"object": self.object_name(part), "bytes": held.size}
        else:
            facts |= {
                "table": dataset_named(part.dataset).table,
                "rows": self.held_months(part.dataset)[part.month].rows,
            }
        self.finished(part, step, facts)


def stem(part: Part) -> str:
    """The name that a part's files share, without suffix."""
    table = dataset_named(part.dataset).table
    return f"{table}_{part.month}" if part.month else table


def _agree(receipt: Mapping[str, Any] | None, at: str, held: tuple[str, object] | None) -> bool:
    """Whether a receipt says what the far side holds."""
    return bool(receipt and held and receipt["at"] == at and receipt["mark"] == held[0])
