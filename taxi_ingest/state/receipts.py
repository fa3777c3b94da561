"""Receipts: the small JSON file that a finished step leaves, saying what went in and what came out.

A step takes the receipt of the step before it and returns its own, so receipts are also what an engine hands from one
worker to another. They can be pickled, and turned into JSON and back. `distrusted` is written into one by `verify`:
what is there is not what the receipt says, so the step is to be done again.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from taxi_ingest.catalog import Part
from taxi_ingest.files import write_text
from taxi_ingest.graph import Step
from taxi_ingest.layout import Layout
from taxi_ingest.sources.versions import Version
from taxi_ingest.writers.findings import Findings
from taxi_ingest.writers.provenance import Provenance


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """A published file that was fetched.

    `source` is the identity recorded with the part, `url` where the file came from (without secrets), `file` its path
    below the data directory, `format` "csv" or "parquet", `columns` their names as published. `sha256` identifies the
    bytes; `crc32c`, four times as fast, is compared whenever they are read ("" in receipts of 0.1). `etag` and
    `last_modified` are the publisher's own words, "" where it said nothing. `earlier_copies` are raw files of earlier
    sources, paths below the data directory, that were copied from this disk: nobody else may have them. `refused`
    tells that no Parquet could be made of the file, `temporary` that the run which fetched it was told not to keep it.
    """

    source: str
    url: str
    file: str
    bytes: int
    mtime_ns: int
    sha256: str
    format: str
    columns: tuple[str, ...]
    crc32c: str = ""
    etag: str = ""
    last_modified: str = ""
    earlier_copies: tuple[str, ...] = ()
    refused: bool = False
    temporary: bool = False
    distrusted: bool = False

    @property
    def in_words(self) -> str:
        """What a log says of it."""
        return f"{self.bytes:,} bytes of {self.format} from {self.url} in {self.file}, sha256 {self.sha256}"

    @property
    def version(self) -> Version:
        """Which version of the published file it was."""
        return Version(self.etag, self.last_modified, self.bytes)


@dataclass(frozen=True, kw_only=True)
class Parquetized(Findings, Provenance):
    """A Parquet file that was written, with what its footer says of it.

    `temporary` tells that the run which wrote the file was told not to keep it, `pruned` that it was removed on
    purpose.
    """

    bytes: int
    mtime_ns: int
    crc32c: str
    temporary: bool = False
    pruned: bool = False
    distrusted: bool = False

    @property
    def in_words(self) -> str:
        """What a log says of it."""
        of = f" of {self.lines:,} lines" if self.lines is not None else ""
        return (
            f"{self.rows:,} rows, {self.rejects:,} rejects{of}, read as {self.vintage}; {self.bytes:,} bytes of "
            f"Parquet, mark {self.mark}"
        )

    @property
    def was_removed(self) -> bool:
        """Whether a file that is missing was removed on purpose: by `clean`, or by a run that was not to keep it."""
        return self.pruned or self.temporary

    @property
    def passes_strict(self) -> bool:
        """Whether it is known that --strict has nothing against it."""
        oddities = self.unknown_columns or self.unknown_codes or (self.shares and not self.shares.are_usual)
        return self.lines is not None and not oddities


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """An object in a store: `at` is the store, `object` the name in it, `crc32c` and `bytes` as the store says."""

    at: str
    object: str
    mark: str
    crc32c: str
    bytes: int
    distrusted: bool = False

    @property
    def in_words(self) -> str:
        """What a log says of it."""
        return f"{self.bytes:,} bytes as {self.object} in {self.at}, crc32c {self.crc32c}, mark {self.mark}"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A month in a warehouse: `at` is the warehouse, `rows` were counted in the table."""

    at: str
    table: str
    mark: str
    rows: int
    distrusted: bool = False

    @property
    def in_words(self) -> str:
        """What a log says of it."""
        return f"{self.rows:,} rows in {self.table} of {self.at}, mark {self.mark}"


Receipt = Downloaded | Parquetized | Uploaded | Loaded

TYPES: Mapping[Step, type[Receipt]] = {
    "download": Downloaded,
    "parquetize": Parquetized,
    "upload": Uploaded,
    "load": Loaded,
}
"""The receipt that each step returns."""

_DECODERS = {step: msgspec.json.Decoder(kind) for step, kind in TYPES.items()}

_CHECKSUM = b',\n "checksum": "'
_ONLY_IN_0_1 = {"size"}
"""Fields that receipts had, and have no more."""

_LARGEST = 2**63 - 1
"""No count, size or time is larger; a receipt that says so is damaged."""

_Kind = TypeVar("_Kind", bound=Receipt)


@dataclass(frozen=True)
class PartReceipts:
    """The receipts of one part; None where there is none."""

    download: Downloaded | None = None
    parquetize: Parquetized | None = None
    upload: Uploaded | None = None
    load: Loaded | None = None

    def of(self, step: Step) -> Receipt | None:
        """The receipt of `step`."""
        return cast("Receipt | None", getattr(self, step))


def to_json(receipt: Receipt) -> str:
    """A receipt as text: a JSON object whose last field is the checksum of all the text before it."""
    body = msgspec.json.format(msgspec.json.encode(receipt), indent=1).removesuffix(b"\n}")
    return f'{body.decode()}{_CHECKSUM.decode()}{zlib.crc32(body):08x}"\n}}\n'


def from_json(step: Step, text: bytes | str) -> Receipt | None:
    """The receipt of `step` that `text` holds; None when it is damaged or of another shape.

    Fields that are not known here, as a later version may write them, are passed over. A receipt without a checksum is
    of version 0.1.
    """
    text = text.encode() if isinstance(text, str) else text
    body, found, checksum = text.rpartition(_CHECKSUM)
    if found and checksum[:8] != b"%08x" % zlib.crc32(body):
        return None
    try:
        receipt = _DECODERS[step].decode(text)
        if not found and not _may_be_of_0_1(step, text):
            return None  # the name of the checksum is damaged
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    numbers = (value for value in vars(receipt).values() if isinstance(value, int))
    return receipt if all(0 <= number <= _LARGEST for number in numbers) else None


def _may_be_of_0_1(step: Step, text: bytes) -> bool:
    """Whether `text`, a JSON object, has only fields of version 0.1, whose receipts have no checksum."""
    known = {field.name for field in fields(TYPES[step])} - {"distrusted"} | _ONLY_IN_0_1
    return msgspec.json.decode(text, type=dict[str, object]).keys() <= known


class Receipts:
    """The receipts of one data directory, each read from disk once: only the run that holds the lock writes them."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._known: dict[tuple[Part, Step], Receipt | None] = {}

    def of(self, part: Part) -> PartReceipts:
        """All receipts of a part."""
        return PartReceipts(
            download=self._download(part),
            parquetize=self._get(part, "parquetize", Parquetized),
            upload=self._get(part, "upload", Uploaded),
            load=self._get(part, "load", Loaded),
        )

    def _download(self, part: Part) -> Downloaded | None:
        """The receipt of the download; one that names the file of another part was put in the wrong place."""
        found = self._get(part, "download", Downloaded)
        return found if found and self._layout.is_raw_of(part, found.file) else None

    def put(self, part: Part, step: Step, receipt: Receipt) -> None:
        """Leave the receipt of a finished step, on disk before this returns."""
        write_text(Path(self._layout.receipt(part, step)), to_json(receipt))
        self._known[part, step] = receipt

    def _get(self, part: Part, step: Step, kind: type[_Kind]) -> _Kind | None:
        if (part, step) not in self._known:
            self._known[part, step] = read(self._layout.receipt(part, step), step)
        found = self._known[part, step]
        return found if isinstance(found, kind) else None


def read(path: str, step: Step) -> Receipt | None:
    """The receipt of `step` in the file `path`; None when there is none, or a damaged one."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - making a Path takes longer than reading the file
            return from_json(step, file.read())
    except OSError:
        return None
