"""What a run would do and why, with rows, bytes and disk, from what is there and from the catalog; does nothing.

Store and warehouse are asked as a run asks them; the publisher is not. So a step whose answer hangs on bytes still
to come reads `maybe`.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from taxi_ingest import sources as publishers
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import auto_source, estimated_size, sources
from taxi_ingest.pipeline import STEPS, Pipeline
from taxi_ingest.state.observe import Situations
from taxi_ingest.state.receipts import RAW_GONE, Receipt, Situation, Wish, decide, wanted_mark

DEPENDS = "depends on the file that is downloaded"

_CSV_GZ = 1.2  # bytes of the archive's CSV.gz for one of TLC's Parquet (yellow 2021-01: 25 MB, 21.7 MB)
_DUCKDB = 3.1  # bytes of a DuckDB file for one of Parquet (7.7 M yellow rows: 316 MB, 104 MB)
_DEMO_ROW = 30  # bytes of a made-up row, compressed

Action = Literal["run", "maybe", "up_to_date"]


@dataclass(frozen=True)
class Foreseen:
    """What will come of a step, and why; no reason is needed for `up_to_date`."""

    action: Action
    why: str = ""


@dataclass(frozen=True)
class PlannedPart:
    """One part: about how many rows it has, and what its steps will write, in bytes, where they will run."""

    part: Part
    source: str
    steps: Mapping[str, Foreseen]
    rows: int
    download_bytes: int
    disk_bytes: int

    @property
    def idle(self) -> bool:
        """Whether nothing of it will run."""
        return all(step.action == "up_to_date" for step in self.steps.values())


@dataclass(frozen=True)
class Plan:
    """All parts, and the bytes free on the disk of the data directory."""

    parts: tuple[PlannedPart, ...]
    disk_free: int

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
    def fits(self) -> bool:
        """Whether the disk has room for it."""
        return self.disk_bytes <= self.disk_free


def plan(pipeline: Pipeline) -> Plan:
    """What running `pipeline` would do."""
    there = Situations(pipeline, asks="all")
    parts = tuple(_planned(there, part) for part in pipeline.parts)
    return Plan(parts, shutil.disk_usage(_nearest_folder(pipeline.data_dir)).free)


def foresee(now: Situation, wish: Wish, steps: tuple[str, ...]) -> dict[str, Foreseen]:
    """What will come of each of `steps`, in their order, when they run one after the other."""
    if _brings_news(now, wish):
        return _after_news(now, wish, steps)
    foreseen = {}
    for step in steps:
        decision = decide(step, now, wish)
        foreseen[step] = Foreseen("run", decision.why) if decision.action == "run" else Foreseen("up_to_date")
        if step == "parquetize" and decision.action == "run":
            now = dataclasses.replace(now, parquet=_written(now, wish))
    return foreseen


def _brings_news(now: Situation, wish: Wish) -> bool:
    """Whether the download will bring a file that nothing is known of."""
    decision = decide("download", now, wish)
    return decision.action == "run" and decision.why != RAW_GONE


def _after_news(now: Situation, wish: Wish, steps: tuple[str, ...]) -> dict[str, Foreseen]:
    made = {"parquetize": now.parquet, "upload": now.held_object, "load": now.held_month}
    foreseen = {}
    for step in steps:
        decision = decide(step, now, wish)
        certain = step in wish.forced or step == "download" or made[step] is None
        if decision.action == "run" and certain:
            foreseen[step] = Foreseen("run", decision.why)
        else:
            foreseen[step] = Foreseen("maybe", DEPENDS)
    return foreseen


def _written(now: Situation, wish: Wish) -> Receipt:
    """What the Parquet file will be: the same bytes as before, where published file and settings are the same."""
    want, before = wanted_mark(now.receipts["download"], now.part), now.receipts["parquetize"]
    if before and before["mark"] == want and before["writer"] == wish.writer:
        return before
    return {"mark": want, "writer": wish.writer, "crc32c": "not known before it is written"}


def _planned(there: Situations, part: Part) -> PlannedPart:
    pipeline = there.pipeline
    steps = foresee(there.situation(part), there.wish(part), pipeline.steps())
    receipts = {step: there.receipts.get(part, step) or {} for step in STEPS}
    source = there.wish(part).source or receipts["download"].get("source") or there.publisher.identity(part)
    rows, size = _size(pipeline, part)
    parquet = receipts["parquetize"].get("bytes", size)
    raw = receipts["download"].get("bytes", round(parquet * _raw_share(source, part)))
    writes = {
        "download": raw,
        "parquetize": parquet if "parquet" in pipeline.kept or "parquetize" in pipeline.targets else 0,
        "upload": 0,  # a hard link, or bytes on another disk or machine
        "load": round(parquet * _DUCKDB) if there.warehouse.on_this_disk else 0,
    }
    will = [step for step, foreseen in steps.items() if foreseen.action != "up_to_date"]
    return PlannedPart(
        part=part,
        source=source,
        steps=steps,
        rows=receipts["parquetize"].get("rows", rows),
        download_bytes=raw if "download" in will else 0,
        disk_bytes=sum(writes[step] for step in will),
    )


def _size(pipeline: Pipeline, part: Part) -> tuple[int, int]:
    """About how many rows a part has, and bytes as Parquet."""
    if pipeline.source == publishers.DEMO:
        return pipeline.demo["rows"], pipeline.demo["rows"] * _DEMO_ROW
    return estimated_size(part.dataset, part.month)


def _raw_share(source: str, part: Part) -> float:
    """Bytes of the published file for one of its Parquet."""
    named = source if publishers.is_named(source) else auto_source(part)
    return _CSV_GZ if sources()[named].format_of(part) == "csv" else 1.0


def _nearest_folder(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
