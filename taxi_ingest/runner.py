"""One step of one part: look at what is there, decide, do the work, leave a receipt.

`Pipeline` is everything a run needs to know, as plain values. `Runner` holds what a run keeps in memory: receipts,
the one answer of each far side, limits, history. It knows nothing of the task engine that calls it.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from taxi_ingest import publishers, stores, warehouses
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import TransientError
from taxi_ingest.files import crc32c
from taxi_ingest.history import Attempt, History, Outcome
from taxi_ingest.receipts import STEPS, Decision, Receipts, Situation, Wish, decide, wanted_mark
from taxi_ingest.stores import Held
from taxi_ingest.warehouses import HeldMonth

log = logging.getLogger("taxi_ingest")


@dataclass(frozen=True)
class Retries:
    """How often a passing fault is tried again: `tries` in all, the first wait in seconds, doubling."""

    tries: int
    backoff_seconds: float


@dataclass(frozen=True)
class Pipeline:
    """One request, as plain values: which parts, how far, from where, to where, and how.

    `targets` are the steps asked for, `forced` those to be redone whatever is known; `source` is a source's name or
    a URL template, and counts for parts that have a source already only when `source_given`. `at_once` limits how
    many parts may be in a step at the same time.
    """

    parts: tuple[Part, ...]
    targets: frozenset[str]
    data_dir: Path
    source: str
    source_given: bool
    store: str
    warehouse: str
    kept: frozenset[str]
    forced: frozenset[str]
    strict: bool
    jobs: int
    at_once: Mapping[str, int]
    retries: Mapping[str, Retries]
    timeout_seconds: float
    grace_days: int
    writer: Mapping[str, Any]
    max_rejects: float
    demo: Mapping[str, int]

    @property
    def state(self) -> Path:
        """The folder of receipts, history and lock."""
        return self.data_dir / "state"

    def steps(self) -> tuple[str, ...]:
        """The steps asked for and those they need, in order."""
        return STEPS[: 1 + max(STEPS.index(step) for step in self.targets)]


class View(Protocol):
    """Someone who watches a run. Called from several threads."""

    def started(self, part: Part, step: str, why: str) -> None:
        """A step is at work."""
        ...

    def moved(self, part: Part, step: str, amount: int) -> None:
        """So many more bytes (download, upload) or rows (parquetize) have gone by."""
        ...

    def ended(self, part: Part, step: str, outcome: Outcome, message: str) -> None:
        """A step is over; `message` is for people, "" when there is nothing to say."""
        ...

    def retrying(self, part: Part, step: str, message: str, seconds: float) -> None:
        """A passing fault; the step is tried again after a wait."""
        ...


class Runner:
    """Does the steps of one pipeline. Methods that do or decide may be called from several threads."""

    def __init__(self, pipeline: Pipeline, *, online: bool = False) -> None:
        self.pipeline = pipeline
        self.online = online
        self.receipts = Receipts(pipeline.state / "receipts")
        self.stop = threading.Event()
        self._store = stores.connect(pipeline.store)
        self._warehouse = warehouses.connect(pipeline.warehouse)
        self._publisher = publishers.Publisher(pipeline.source, pipeline.demo)
        self._limits = {step: threading.BoundedSemaphore(n) for step, n in pipeline.at_once.items()}
        self._asking = threading.Lock()
        self._objects: dict[str, dict[str, Held]] = {}
        self._months: dict[str, dict[str | None, HeldMonth]] = {}

    def close(self) -> None:
        """Stop waiting and let go of what was opened."""
        self.stop.set()
        self._publisher.close()

    # ---- where things lie

    def parquet_path(self, part: Part) -> Path:
        """The Parquet file of a part."""
        return self.pipeline.data_dir / "parquet" / part.dataset / f"{_stem(part)}.parquet"

    def object_name(self, part: Part) -> str:
        """The object of a part within the store."""
        return f"{part.dataset}/{_stem(part)}.parquet"

    def rejects_path(self, part: Part) -> Path:
        """The rejects of a part."""
        return self.pipeline.data_dir / "rejects" / part.dataset / f"{_stem(part)}.csv"

    def raw_path(self, part: Part) -> Path | None:
        """The raw file of a part, None before it was downloaded once."""
        receipt = self.receipts.get(part, "download")
        return self.pipeline.data_dir / receipt["file"] if receipt else None

    # ---- deciding

    def decision(self, part: Part, step: str) -> Decision:
        """Whether `step` must run for `part`, and why."""
        return decide(step, self._situation(part), self._wish(part))

    def _wish(self, part: Part) -> Wish:
        asked = self.pipeline
        source = self._publisher.identity(part) if asked.source_given or "download" in asked.forced else ""
        return Wish(source, asked.writer, asked.targets, asked.kept, asked.forced, asked.strict)

    def _situation(self, part: Part) -> Situation:
        got = {step: self.receipts.get(part, step) for step in STEPS}
        raw = self.raw_path(part)
        parquet, agrees = self._parquet(part)
        steps = self.pipeline.steps()
        held_object = self._held_object(part) if "upload" in steps else None
        held_month = self._held_month(part) if "load" in steps else None
        return Situation(
            part=part,
            receipts=got,
            raw_there=raw is not None and raw.exists(),
            parquet=parquet,
            held_object=held_object,
            held_month=held_month,
            agrees={
                "parquetize": agrees,
                "upload": _agree(got["upload"], self.pipeline.store, held_object),
                "load": _agree(got["load"], self.pipeline.warehouse, held_month),
            },
        )

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

    def _parquet_by_content(
        self, path: Path, receipt: Mapping[str, Any] | None, mtime_ns: int
    ) -> Mapping[str, Any]:
        from taxi_ingest.steps.parquetize import footer

        found, checksum = footer(path), crc32c(path)
        if found is None or (receipt is not None and receipt["crc32c"] != checksum):
            return {"damaged": True, "crc32c": checksum}
        return {**(receipt or found), "bytes": path.stat().st_size, "crc32c": checksum, "mtime_ns": mtime_ns}

    def _held_object(self, part: Part) -> tuple[str, str] | None:
        if not (self.online or self._store.on_this_disk):
            receipt = self.receipts.get(part, "upload")
            return (receipt["mark"], receipt["crc32c"]) if receipt and receipt["at"] == self.pipeline.store else None
        with self._asking:
            if part.dataset not in self._objects:
                self._objects[part.dataset] = self._store.held(f"{part.dataset}/")
            held = self._objects[part.dataset].get(self.object_name(part))
        return (held.mark, held.crc32c) if held else None

    def _held_month(self, part: Part) -> tuple[str, bool] | None:
        if not (self.online or self._warehouse.on_this_disk):
            receipt = self.receipts.get(part, "load")
            return (receipt["mark"], True) if receipt and receipt["at"] == self.pipeline.warehouse else None
        held = self.held_months(part.dataset).get(part.month)
        return (held.mark, held.rows == held.loaded) if held else None

    def held_months(self, dataset: str) -> Mapping[str | None, HeldMonth]:
        """What the warehouse holds of `dataset`, asked once a run."""
        with self._asking:
            if dataset not in self._months:
                self._months[dataset] = self._warehouse.held(dataset_named(dataset).table)
            return self._months[dataset]

    # ---- doing

    def run(self, part: Part, step: str, history: History, view: View) -> Outcome:
        """Do `step` for `part` if it must be done, with retries, and leave its receipt.

        Raises what made the last try fail.
        """
        decision = self.decision(part, step)
        if decision.action == "up_to_date":
            return "up_to_date"
        if decision.action == "adopt":
            self._adopt(part, step)
            return "up_to_date"
        with self._limits[step]:
            view.started(part, step, decision.why)
            self._tries(part, step, decision.why, history, view)
        return "done"

    def _tries(self, part: Part, step: str, why: str, history: History, view: View) -> None:
        retries = self.pipeline.retries[step]
        for number in range(1, retries.tries + 1):
            try:
                with history.attempt(Attempt(part, step, number, why)) as result:
                    log.info("%s %s begins: %s", part, step, why)
                    facts = self._do(part, step, lambda n: view.moved(part, step, n))
                    result |= {"rows": facts.get("rows"), "bytes": facts.get("bytes")}
                    log.info("%s %s is done: %s", part, step, facts)
                self.receipts.put(part, step, facts)
            except TransientError as error:
                if number == retries.tries or self.stop.is_set():
                    raise
                seconds = _wait_seconds(retries, number, error)
                view.retrying(part, step, str(error), seconds)
                self.stop.wait(seconds)
            else:
                return

    def _do(self, part: Part, step: str, progress: Callable[[int], None]) -> dict[str, Any]:
        doing = {"download": self._download, "parquetize": self._parquetize, "upload": self._upload, "load": self._load}
        return doing[step](part, progress)

    def _download(self, part: Part, progress: Callable[[int], None]) -> dict[str, Any]:
        from taxi_ingest.steps.download import download, public_url

        wish, receipt = self._wish(part), self.receipts.get(part, "download")
        source = wish.source or (receipt["source"] if receipt else self._publisher.identity(part))
        url = self._publisher.url(part, source)
        name = f"{_stem(part)}{''.join(Path(urlsplit(url).path).suffixes[-2:]) or '.csv'}"
        target = self.pipeline.data_dir / "raw" / part.dataset / name
        facts = download(
            url,
            target,
            month=part.month,
            grace_days=self.pipeline.grace_days,
            timeout_seconds=self.pipeline.timeout_seconds,
            progress=progress,
        )
        shown = source if source.startswith("demo:") else public_url(url)
        return facts | {"source": source, "url": shown, "file": str(target.relative_to(self.pipeline.data_dir))}

    def _parquetize(self, part: Part, progress: Callable[[int], None]) -> dict[str, Any]:
        from taxi_ingest.steps.parquetize import Raw, Writer, parquetize

        got = self.receipts.get(part, "download")
        assert got is not None, "parquetize runs behind download"
        path = self.parquet_path(part)
        facts = parquetize(
            Raw(
                self.pipeline.data_dir / got["file"],
                publishers.without_port(got["url"]),
                got["sha256"],
                got["bytes"],
                got["format"],
                tuple(got["columns"]),
            ),
            path,
            self.rejects_path(part),
            dataset=part.dataset,
            month=part.month,
            writer=Writer(**self.pipeline.writer),
            max_rejects=self.pipeline.max_rejects,
            strict=self.pipeline.strict,
            progress=progress,
        )
        return facts | {"mtime_ns": path.stat().st_mtime_ns}

    def _upload(self, part: Part, progress: Callable[[int], None]) -> dict[str, Any]:
        from taxi_ingest.steps.upload import upload

        made = self._made(part)
        provenance = {k: str(made[k]) for k in ("source", "raw_sha256", "raw_bytes", "vintage", "rows", "rejects")}
        facts = upload(
            self.parquet_path(part),
            self.pipeline.store,
            self.object_name(part),
            mark=made["mark"],
            facts=provenance,
            progress=progress,
        )
        return facts | {"at": self.pipeline.store}

    def _load(self, part: Part, _progress: Callable[[int], None]) -> dict[str, Any]:
        from taxi_ingest.steps.load import load

        made = self._made(part)
        reads_disk = "" in self._warehouse.reads
        file = str(self.parquet_path(part)) if reads_disk else self._store.object_url(self.object_name(part))
        facts = load(
            file,
            self.pipeline.warehouse,
            dataset=part.dataset,
            month=part.month,
            mark=made["mark"],
            source=made["source"],
            rows=made["rows"],
        )
        return facts | {"at": self.pipeline.warehouse}

    def _made(self, part: Part) -> Mapping[str, Any]:
        made = self.receipts.get(part, "parquetize")
        assert made is not None, "upload and load run behind parquetize"
        return made

    def _adopt(self, part: Part, step: str) -> None:
        """Leave the receipt of work that is there already."""
        log.info("%s %s is adopted", part, step)
        if step == "parquetize":
            found, _ = self._parquet(part)
            self.receipts.put(part, step, dict(found or {}))
            return
        at = {"upload": self.pipeline.store, "load": self.pipeline.warehouse}[step]
        facts: dict[str, Any] = {"at": at, "mark": wanted_mark(self.receipts.get(part, "download"), part)}
        if step == "upload":
            held = self._objects[part.dataset][self.object_name(part)]
            facts |= asdict(held) | {"object": self.object_name(part), "bytes": held.size}
        else:
            facts |= {"table": dataset_named(part.dataset).table, "rows": self.held_months(part.dataset)[part.month].rows}
        self.receipts.put(part, step, facts)


def _stem(part: Part) -> str:
    table = dataset_named(part.dataset).table
    return f"{table}_{part.month}" if part.month else table


def _agree(receipt: Mapping[str, Any] | None, at: str, held: tuple[str, object] | None) -> bool:
    """Whether a receipt says what the far side holds."""
    return bool(receipt and held and receipt["at"] == at and receipt["mark"] == held[0])


def _wait_seconds(retries: Retries, number: int, error: TransientError) -> float:
    """Seconds before the next try: what the far side asked for, else doubling, spread by up to a quarter."""
    if error.retry_after is not None:
        return error.retry_after
    return retries.backoff_seconds * 2 ** (number - 1) * random.uniform(1, 1.25)  # noqa: S311 - no secret
