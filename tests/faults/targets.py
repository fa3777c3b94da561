"""What the campaign of bad inputs feeds, and what must come of each input: the right answer, or a TaxiError.

An input begins with the name of the file or receipt that it was made from, where there are several, so that one which
was kept means the same in a later campaign.
"""

from __future__ import annotations

import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

sys.path.insert(0, str(Path(__file__).parents[1] / "readers"))
from whole_file import read_whole

from taxi_ingest import redaction, settings
from taxi_ingest.catalog import Part, fit
from taxi_ingest.catalog.months import is_month, parse_months
from taxi_ingest.catalog.reading import dataset
from taxi_ingest.engine.conversion import Conversion, Converters
from taxi_ingest.errors import TaxiError
from taxi_ingest.graph import Step
from taxi_ingest.layout import Layout
from taxi_ingest.place import Place
from taxi_ingest.readers import Batch
from taxi_ingest.readers import csv as csv_reader
from taxi_ingest.readers.batches import BlockReader
from taxi_ingest.readers.blocks import header_names
from taxi_ingest.readers.parsing import RowShape
from taxi_ingest.state.receipts import (
    Downloaded,
    Loaded,
    Parquetized,
    Receipt,
    Uploaded,
    from_json,
    to_json,
)
from taxi_ingest.steps.download import Origin, download
from taxi_ingest.steps.parquetize import Limits
from taxi_ingest.writers.findings import UnknownCode
from taxi_ingest.writers.provenance import Writer

REPOSITORY = Path(__file__).parents[2]
SAMPLES = REPOSITORY / "tests" / "data" / "tlc"

_BLOCK_BYTES = 1 << 16
"""Small blocks: to clear the memory of a usual one takes longer than to read a sample."""


class Target(Protocol):
    """Something that takes input from outside."""

    def make(self, chance: random.Random) -> bytes:
        """An input, mostly a bad one."""
        ...

    def wrong(self, content: bytes) -> str:
        """What is wrong with what came of an input; "" when nothing is. A TaxiError is right, others are not."""
        ...


def mutated(content: bytes, chance: random.Random, *, most: int = 4) -> bytes:
    """`content` with a few of its bytes changed, left out, doubled or cut off."""
    data = bytearray(content)
    for _ in range(chance.randint(1, most)):
        at = chance.randrange(len(data) + 1)
        length = min(chance.choice((1, 1, 2, 8, 64)), len(data) - at)
        match chance.randrange(6):
            case 0:
                data[at : at + length] = chance.randbytes(length)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = chance.choice((b"\0", b'"', b",", b"\n", b"\r", b"\xff", b"9" * 40, b"{" * 9, b"[" * 9))
            case 4:
                del data[at:]
            case _ if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case _:
                pass
    return bytes(data)


def overwritten(content: bytes, chance: random.Random, start: int, end: int) -> bytes:
    """`content`, as long as before, with a few bytes between `start` and `end` changed."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(start, end)
        length = min(chance.choice((1, 1, 2, 8)), end - at)
        data[at : at + length] = chance.randbytes(length)
    return bytes(data)


def _named(name: str, content: bytes) -> bytes:
    """An input made from the file or receipt `name`."""
    return name.encode() + b"\n" + content


def _taken_apart(content: bytes) -> tuple[str, bytes]:
    name, _, rest = content.partition(b"\n")
    return name.decode(), rest


class Months:
    """The grammar of `--month`."""

    _PIECES = (
        "2021-01", "2021-12", "1999-13", "0000-00", "9999-12", "latest", "..", ",", " ", "-", "2021", "\0", "\u00b2",
        "\u0662\u0660\u0662\u0661-\u0660\u0661", "2021-1", "2020-02..2021-01", "2021-01..latest", "\n", "LATEST",
        "20211-01", "ab", "..2021-01", "2021-01..", ";",
    )  # fmt: skip

    def make(self, chance: random.Random) -> bytes:
        return "".join(chance.choices(self._PIECES, k=chance.randint(1, 6))).encode()

    def wrong(self, content: bytes) -> str:
        months = parse_months([os.fsdecode(content)], lambda: "2024-06")
        if not months and b"latest" not in content:
            return "no month at all"
        if any(not is_month(month) or not re.fullmatch("[0-9]{4}-(0[1-9]|1[0-2])", month) for month in months):
            return f"not months: {months}"
        return "months twice" if len(set(months)) < len(months) else ""


class Places:
    """Addresses and paths; what is shown of them has no password."""

    _SECRET = "s3cr3t-word"
    _PIECES = (
        "https://", "gs://", "bigquery://", "postgresql://", "duckdb:", "file://", "user:", f":{_SECRET}@", "host",
        ":80", "/a/b", "?x=1", f"?password={_SECRET}", "#f", ";p", "@", "//", "[::1]", "[", "]", "%40", " ", "\\",
        "{month}", "{", "..", "\0", "\n", "é", "data", ".duckdb", "HTTP://", "a" * 50, ":",
    )  # fmt: skip

    def make(self, chance: random.Random) -> bytes:
        return "".join(chance.choices(self._PIECES, k=chance.randint(1, 7))).encode()

    def wrong(self, content: bytes) -> str:
        text = os.fsdecode(content)
        is_address = "://" in text  # whose parts may be secret; a path is shown as it is
        try:
            place = Place.parse(text)
        except TaxiError as error:
            if is_address and self._SECRET in str(error):
                return "the error shows the password"
            raise
        return "the password is shown" if is_address and self._SECRET in place.shown else ""


RECEIPTS: dict[Step, Receipt] = {
    "download": Downloaded(
        source="csv", url="https://host/yellow_tripdata_2021-01.csv.gz", file="raw/yellow/2021-01.csv.gz",
        bytes=25_031_880, mtime_ns=1_790_000_000_123_456_789, sha256="5f" * 32, format="csv",
        columns=("VendorID", "tpep_pickup_datetime", "Größe"), crc32c="00c0ffee", etag='"0x8D9"',
        last_modified="Thu, 26 Nov 2026 02:00:00 GMT", earlier_copies=("raw/yellow/2021-01.parquet",),
    ),
    "parquetize": Parquetized(
        mark="ab" * 32, source="https://host/yellow_tripdata_2021-01.csv.gz", raw_sha256="5f" * 32,
        raw_bytes=25_031_880, vintage="csv_2019", rows=1_369_765, rejects=1, writer=Writer(), bytes=21_000_000,
        mtime_ns=1_790_000_000_987_654_321, crc32c="0000aaaa", lines=1_369_766, unknown_columns=("new",),
        unknown_codes=(UnknownCode("VendorID", "XYZ", 2),), temporary=True,
    ),
    "upload": Uploaded(at="gs://bucket/lake", object="yellow/a.parquet", mark="ab" * 32, crc32c="0000aaaa", bytes=9),
    "load": Loaded(at="bigquery://project/trips", table="yellow_tripdata", mark="ab" * 32, rows=1_369_765),
}  # fmt: skip


class ReceiptFiles:
    """Receipts: what is read of a damaged one is nothing, or what was written."""

    def __init__(self) -> None:
        self._texts = {step: to_json(receipt).encode() for step, receipt in RECEIPTS.items()}

    def make(self, chance: random.Random) -> bytes:
        step = chance.choice(list(self._texts))
        return _named(step, mutated(self._texts[step], chance))

    def wrong(self, content: bytes) -> str:
        name, text = _taken_apart(content)
        (step,) = (step for step in RECEIPTS if step == name)
        found = from_json(step, text)
        if found is None:
            raise TaxiError("no receipt")
        return "" if found == RECEIPTS[step] else f"a damaged receipt of {step} was believed: {found}"


class Config:
    """The config file, a few of its sections at a time."""

    def __init__(self) -> None:
        text = (REPOSITORY / "config.toml").read_text()
        self._sections = [self._with_every_setting(section) for section in re.split(r"\n(?=\[)", text)[1:]]
        self._path = Path(f"fuzzed-{os.getpid()}.toml").absolute()

    @staticmethod
    def _with_every_setting(section: str) -> bytes:
        """The header of a section and its settings, also those that are commented out, without comments."""
        wanted = (re.match(r"(\[\w+\]|(?:# )?(\w+ = .*))$", line) for line in section.splitlines())
        settings_ = (re.sub(" +#.*", "", found[2] or found[1]) for found in wanted if found)
        return "".join(f"{setting}\n" for setting in settings_).encode()

    def make(self, chance: random.Random) -> bytes:
        return mutated(b"".join(chance.sample(self._sections, chance.randint(1, 2))), chance, most=2)

    def wrong(self, content: bytes) -> str:
        self._path.write_bytes(content)
        settings.read({}, config=str(self._path))
        return ""


class CSVLines:
    """A few lines of a published CSV, in memory: what becomes of each does not depend on those beside it."""

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*_tripdata_20*.csv"))}
        self._shapes = {name: self._shape(name, content) for name, content in self._files.items()}
        self._lines = {name: content.splitlines(keepends=True)[1:40] for name, content in self._files.items()}

    @staticmethod
    def _shape(name: str, content: bytes) -> RowShape:
        of = dataset(name.partition("_")[0])
        header, _, body = content.partition(b"\n")
        columns = header_names(header)
        return csv_reader._shape(Path(name), columns, bytearray(body), of, fit(of, "csv", columns, None).vintage)

    def make(self, chance: random.Random) -> bytes:
        name = chance.choice(list(self._files))
        lines = b"".join(chance.choices(self._lines[name], k=chance.randint(1, 3)))
        return _named(name, mutated(lines, chance, most=3))

    def wrong(self, content: bytes) -> str:
        name, text = _taken_apart(content)
        lines = text.replace(b"\0", b"?").removesuffix(b"\n") + b"\n"  # as blocks are: NUL is refused before
        whole, physical = BlockReader(self._shapes[name]).batch(lines)
        if physical != lines.count(b"\n"):
            return f"{physical} lines"
        if whole.lines != whole.encoded.num_rows + len(whole.rejects) + whole.empty:
            return f"{whole.lines} lines, {whole.encoded.num_rows} rows, {len(whole.rejects)} rejects"
        reader = BlockReader(self._shapes[name])
        alone = [reader.batch(line + b"\n")[0] for line in lines.split(b"\n")[:-1]]
        return "" if self._sum(alone) == self._sum([whole]) else f"alone {alone}, together {whole}"

    @staticmethod
    def _sum(batches: list[Batch]) -> tuple[Any, ...]:
        rows = [row for batch in batches for row in batch.encoded.to_pylist()]
        rejects = [(reject.reason, reject.raw, reject.breaks_off) for batch in batches for reject in batch.rejects]
        codes, changed = Counter[Any](), Counter[Any]()
        for batch in batches:
            codes += batch.codes
            changed += batch.changed
        return rows, rejects, codes, changed, sum(batch.empty for batch in batches)


class CSVFiles:
    """Published CSV: one byte changed in one line costs no other line, and every line is accounted for."""

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*_tripdata_20*.csv"))}
        self._rows: dict[str, tuple[int, Counter[Any]]] = {}
        self._path = Path(f"fuzzed-{os.getpid()}.csv").absolute()

    def make(self, chance: random.Random) -> bytes:
        name = chance.choice(list(self._files))
        content = bytearray(self._files[name])
        body = content.index(b"\n") + 1
        while content[at := chance.randrange(body, len(content))] in b"\r\n":
            pass
        content[at] = chance.choice([byte for byte in (*range(1, 10), *range(11, 256)) if byte != content[at]])
        return _named(name, bytes(content))

    def wrong(self, content: bytes) -> str:
        name, text = _taken_apart(content)
        lines_before, rows_before = self._rows.get(name) or self._rows.setdefault(
            name, self._read(name, self._files[name])
        )
        lines, rows = self._read(name, text)
        changed = (rows_before - rows).total()
        return f"{changed} rows changed with one byte" if changed > 1 or lines != lines_before else ""

    def _read(self, name: str, content: bytes) -> tuple[int, Counter[Any]]:
        """The number of lines, and how often each row is there."""
        self._path.write_bytes(content)
        found = read_whole(self._path, dataset(name.partition("_")[0]), block_bytes=_BLOCK_BYTES)
        accounted = len(found.rows) + len(found.rejects) + found.empty
        if found.lines != accounted:
            raise AssertionError(f"{found.lines} lines, of which {accounted} are accounted for")
        return found.lines, Counter(tuple(row.values()) for row in found.rows)


class ParquetFiles:
    """Published Parquet, through download and conversion: damage is refused, and takes no process down with it."""

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*_tripdata_20*.parquet"))}
        self._converters = Converters()
        self._layout = Layout(Path(f"fuzzed-{os.getpid()}").absolute())
        self._published = Path(f"fuzzed-{os.getpid()}.parquet").absolute()

    def make(self, chance: random.Random) -> bytes:
        name = chance.choice(list(self._files))
        content = self._files[name]
        footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        match chance.randrange(4):
            case 0:
                return _named(name, mutated(content, chance))
            case 1:
                return _named(name, overwritten(content, chance, footer, len(content)))
            case _:
                return _named(name, overwritten(content, chance, 4, footer))

    def wrong(self, content: bytes) -> str:
        name, text = _taken_apart(content)
        of, _, month = name.removesuffix(".parquet").partition("_tripdata_")
        part = Part(of, month)
        self._published.write_bytes(text)
        url = self._published.as_uri()
        downloaded = download(part, Origin(url, url, False, True), self._layout, timeout_seconds=20)
        conversion = Conversion(part, downloaded, self._layout, Writer(), Limits())
        receipt = self._converters.parquetize(conversion, lambda _: None)
        if receipt.lines == receipt.rows + receipt.rejects + receipt.empty_lines:
            return ""
        return f"{receipt.lines} lines, {receipt.rows} rows, {receipt.rejects} rejects"


TARGETS: dict[str, Callable[[], Target]] = {
    "months": Months,
    "places": Places,
    "receipts": ReceiptFiles,
    "config": Config,
    "lines": CSVLines,
    "csv": CSVFiles,
    "parquet": ParquetFiles,
}


def as_new() -> None:
    """Forget the secrets of the inputs before: each process of taxi-ingest knows only those of its own request."""
    redaction._known.clear()
