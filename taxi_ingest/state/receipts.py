"""Receipts, and the decision whether a step must run: pure functions, apart from doing.

A receipt is the small JSON file a finished step leaves: what went in, what came out. `Situation` is what is known
of one part: its receipts (want and have), its files, and what the far sides hold. `decide()` says of a step whether
it must run, may be adopted (the work is there, only our receipt is not) or is up to date, and why.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from taxi_ingest.catalog import Part, fit, mark
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import SchemaError
from taxi_ingest.files import write_text
from taxi_ingest.pipeline import STEPS

RAW_GONE = "the raw file is gone and parquetize needs it"

_NO_MONTH = "all"

Receipt = Mapping[str, Any]
Action = Literal["run", "adopt", "up_to_date"]


@dataclass(frozen=True)
class Decision:
    """What to do about a step, and why in a few words for people."""

    action: Action
    why: str = ""


@dataclass(frozen=True)
class Wish:
    """What a run wants of a part.

    `source` is "" when the part may keep the source it has; `targets` are the steps asked for (each with what it
    needs); `kept` the artefacts to be made again when missing; `forced` the steps to be redone whatever is known.
    """

    source: str
    writer: Mapping[str, Any]
    targets: frozenset[str]
    kept: frozenset[str]
    forced: frozenset[str] = frozenset()
    strict: bool = False


@dataclass(frozen=True)
class Situation:
    """What is known of a part. Absent receipts are None; `parquet` is the state of the Parquet file.

    `held_object` is (mark, crc32c) of the store's object and `held_month` (mark, whole) of the warehouse's month;
    None where there is none.
    """

    part: Part
    receipts: Mapping[str, Receipt | None]
    raw_there: bool
    parquet: Receipt | None
    held_object: tuple[str, str] | None
    held_month: tuple[str, bool] | None
    agrees: Mapping[str, bool] = field(default_factory=dict)


class Receipts:
    """The receipts of one data directory, read once and then kept in memory by the run that holds the lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[tuple[Part, str], Receipt | None] = {}

    def path(self, part: Part, step: str) -> str:
        """Where the receipt of a step of a part lies; a text, for there are thousands of them."""
        return f"{self._folder}/{part.dataset}/{part.month or _NO_MONTH}/{step}.json"

    def parts(self) -> list[Part]:
        """The parts that have a receipt, by dataset and month."""
        folders = sorted({path.parent for path in self._folder.glob("*/*/*.json")})
        return [Part(at.parent.name, None if at.name == _NO_MONTH else at.name) for at in folders]

    def get(self, part: Part, step: str) -> Receipt | None:
        """The receipt, or None when there is none or it is damaged (the work is then judged by what is there)."""
        key = (part, step)
        if key not in self._read:
            self._read[key] = _read_json(self.path(part, step))
        return self._read[key]

    def must_get(self, part: Part, step: str) -> Receipt:
        """The receipt of a step that must have ended before; a missing one is a bug."""
        receipt = self.get(part, step)
        if receipt is None:
            raise RuntimeError(f"{part} has no receipt of {step}, which runs before")
        return receipt

    def put(self, part: Part, step: str, facts: Mapping[str, Any]) -> None:
        """Leave the receipt of a finished step."""
        write_text(Path(self.path(part, step)), json.dumps(facts, indent=1, sort_keys=True) + "\n")
        self._read[part, step] = dict(facts)


def _read_json(path: str) -> Receipt | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - making a Path takes longer than reading the file
            found = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def wanted_mark(download: Receipt | None, part: Part) -> str:
    """The mark that the published file of `part` leads to; "" while that is not known or fits no vintage."""
    if download is None:
        return ""
    return _mark(part, download["sha256"], download["bytes"], download["format"], tuple(download["columns"]))


@functools.cache
def _mark(part: Part, sha256: str, size: int, file_format: str, columns: tuple[str, ...]) -> str:
    known = dataset_named(part.dataset)
    try:
        return mark(sha256, size, known, fit(known, file_format, columns, part.month).vintage)
    except SchemaError:
        return ""


def decide(step: str, now: Situation, wish: Wish) -> Decision:
    """Whether `step` must run for this part, may be adopted, or is up to date; and why."""
    if step in wish.forced:
        return Decision("run", "forced")
    return _DECIDE[step](now, wish)


def _download(now: Situation, wish: Wish) -> Decision:
    receipt = now.receipts["download"]
    if receipt is None:
        return Decision("run", "not downloaded yet")
    if wish.source and receipt["source"] != wish.source:
        return Decision("run", f"another source: {wish.source}, before {receipt['source']}")
    if not now.raw_there and _wants(wish, "parquetize") and decide("parquetize", now, wish).action == "run":
        return Decision("run", RAW_GONE)
    return Decision("up_to_date")


def _parquetize(now: Situation, wish: Wish) -> Decision:
    want = wanted_mark(now.receipts["download"], now.part)
    have = now.parquet
    if have is None:
        return _missing_parquet(now, wish)
    if have.get("damaged"):
        return Decision("run", "the Parquet file was changed by someone else")
    if not want or have["mark"] != want:
        return Decision("run", "the published file or its layout changed")
    if have["writer"] != wish.writer:
        return Decision("run", "the writer settings changed")
    if wish.strict and (have.get("unknown_columns") or have.get("unknown_codes")):
        return Decision("run", "strict: the file has unknown columns or codes")
    return Decision("up_to_date") if now.agrees.get("parquetize") else Decision("adopt", "the footer proves it")


def _missing_parquet(now: Situation, wish: Wish) -> Decision:
    if "parquet" in wish.kept or "parquetize" in wish.targets:
        return Decision("run", "the Parquet file is missing" if now.receipts["parquetize"] else "not converted yet")
    for step in ("upload", "load"):
        if _wants(wish, step) and decide(step, now, wish).action == "run":
            return Decision("run", f"the Parquet file is missing and {step} needs it")
    return Decision("up_to_date", "not kept, and no later step needs it")


def _upload(now: Situation, wish: Wish) -> Decision:
    if now.held_object is None:
        return Decision("run", "the store has no such object")
    mark_there, crc32c_there = now.held_object
    if mark_there != wanted_mark(now.receipts["download"], now.part):
        return Decision("run", "the object in the store is of other rows")
    ours = now.parquet or now.receipts["upload"]
    if ours is not None and ours["crc32c"] != crc32c_there:
        return Decision("run", "the object's bytes are not those of the Parquet file")
    return Decision("up_to_date") if now.agrees.get("upload") else Decision("adopt", "the store proves it")


def _load(now: Situation, wish: Wish) -> Decision:
    if now.held_month is None:
        return Decision("run", "the table lacks the month")
    mark_there, whole = now.held_month
    if mark_there != wanted_mark(now.receipts["download"], now.part):
        return Decision("run", "the table holds the month from another file")
    if not whole:
        return Decision("run", "rows of the month are missing from the table, or too many")
    return Decision("up_to_date") if now.agrees.get("load") else Decision("adopt", "the table proves it")


_DECIDE = {"download": _download, "parquetize": _parquetize, "upload": _upload, "load": _load}


def _wants(wish: Wish, step: str) -> bool:
    """Whether `step` is asked for, or needed by a step that is."""
    return any(STEPS.index(step) <= STEPS.index(target) for target in wish.targets)
