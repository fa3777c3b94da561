"""Bad inputs without end: each either gets the answer that is right or a TaxiError, never anything else.

A target makes an input from a random number generator and looks at what comes of it. The inputs of one seed are
always the same; those that fail are kept as files.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parents[1] / "readers"))
sys.path.insert(0, str(Path(__file__).parents[1]))
from whole_file import read_whole

from taxi_ingest import settings
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.months import is_month, parse_months
from taxi_ingest.catalog.reading import dataset
from taxi_ingest.engine.conversion import Conversion, Converters
from taxi_ingest.errors import TaxiError
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.layout import Layout
from taxi_ingest.place import Place
from taxi_ingest.state.receipts import from_json
from taxi_ingest.steps.download import Origin, download
from taxi_ingest.steps.parquetize import Limits
from taxi_ingest.writers.provenance import Writer

REPOSITORY = Path(__file__).parents[2]
SAMPLES = REPOSITORY / "tests" / "data" / "tlc"

SHARES = {"months": 0.5, "places": 0.2, "receipts": 0.2, "config": 0.05, "csv": 0.04, "parquet": 0.01}
"""How the inputs of a campaign are shared out: the longer one takes, the fewer there are."""

_AT_ONCE = 500
"""Inputs that one process tries before it answers."""


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
        months = parse_months([content.decode(errors="surrogateescape")], lambda: "2024-06")
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
        text = content.decode()
        try:
            place = Place.parse(text)
        except TaxiError as error:
            return "the error shows the password" if self._SECRET in str(error) and self._has_host(text) else ""
        return "the password is shown" if self._SECRET in place.shown and self._has_host(text) else ""

    @staticmethod
    def _has_host(text: str) -> bool:
        """Whether it is an address, whose parts may be secret; a path is shown as it is."""
        return "://" in text


class ReceiptFiles:
    """Receipts: what is read of a damaged one is nothing, or what was written."""

    def __init__(self) -> None:
        folder = Path(f"fuzzed-receipts-{os.getpid()}").absolute()
        settings_ = {"TAXI_INGEST_DEMO__ROWS": "50", "TAXI_INGEST_GLOBAL__DATA_DIR": str(folder)}
        command = [sys.executable, "-m", "taxi_ingest", "run", "--month", "2021-01", "--source", "demo", "--quiet"]
        subprocess.run(command, env=os.environ | settings_, check=True, capture_output=True)
        layout, part = Layout(folder), Part("yellow", "2021-01")
        self._texts: list[tuple[Step, bytes]] = [(s, Path(layout.receipt(part, s)).read_bytes()) for s in STEPS]

    def make(self, chance: random.Random) -> bytes:
        number = chance.randrange(len(self._texts))
        return bytes((number,)) + mutated(self._texts[number][1], chance)

    def wrong(self, content: bytes) -> str:
        step, text = self._texts[content[0]]
        found = from_json(step, content[1:])
        if found is None or found == from_json(step, text):
            return ""
        return f"a damaged receipt of {step} was believed: {found}"


class Config:
    """The config file."""

    def __init__(self) -> None:
        lines = (REPOSITORY / "config.toml").read_text().splitlines()
        wanted = (re.match(r"(\[\w+\]|(?:# )?(\w+ = .*))$", line) for line in lines)
        self._text = "\n".join(found[2] or found[1] for found in wanted if found).encode()
        self._path = Path(f"fuzzed-{os.getpid()}.toml").absolute()

    def make(self, chance: random.Random) -> bytes:
        return mutated(self._text, chance, most=2)

    def wrong(self, content: bytes) -> str:
        self._path.write_bytes(content)
        settings.read({}, config=str(self._path))
        return ""


class CSVFiles:
    """Published CSV: one byte changed in one line costs no other line, and every line is accounted for."""

    def __init__(self) -> None:
        self._files = sorted(SAMPLES.glob("*_tripdata_20*.csv"))
        self._read = {path: read_whole(path, dataset(path.name.partition("_")[0])) for path in self._files}
        self._path = Path(f"fuzzed-{os.getpid()}.csv").absolute()

    def make(self, chance: random.Random) -> bytes:
        number = chance.randrange(len(self._files))
        content = self._files[number].read_bytes()
        body = content.index(b"\n") + 1
        places = [at for at in range(body, len(content)) if content[at] not in b"\r\n"]
        at = chance.choice(places)
        byte = chance.choice([byte for byte in range(1, 256) if byte not in {10, content[at]}])
        return bytes((number,)) + content[:at] + bytes((byte,)) + content[at + 1 :]

    def wrong(self, content: bytes) -> str:
        path = self._files[content[0]]
        self._path.write_bytes(content[1:])
        found, whole = read_whole(self._path, dataset(path.name.partition("_")[0])), self._read[path]
        if found.lines != len(found.rows) + len(found.rejects) + found.empty:
            return f"{found.lines} lines, {len(found.rows)} rows, {len(found.rejects)} rejects, {found.empty} empty"
        others = [row for row in whole.rows if row not in found.rows]
        return f"{len(others)} rows changed with one byte" if len(others) > 1 or found.lines != whole.lines else ""


class ParquetFiles:
    """Published Parquet, through download and conversion: damage is refused, and takes no process down with it."""

    def __init__(self) -> None:
        self._files = sorted(SAMPLES.glob("*_tripdata_20*.parquet"))
        self._converters = Converters()
        self._layout = Layout(Path(f"fuzzed-{os.getpid()}").absolute())
        self._published = Path(f"fuzzed-{os.getpid()}.parquet").absolute()

    def make(self, chance: random.Random) -> bytes:
        number = chance.randrange(len(self._files))
        return bytes((number,)) + mutated(self._files[number].read_bytes(), chance)

    def wrong(self, content: bytes) -> str:
        name, _, month = self._files[content[0]].stem.partition("_tripdata_")
        part = Part(name, month)
        self._published.write_bytes(content[1:])
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
    "csv": CSVFiles,
    "parquet": ParquetFiles,
}


@dataclass
class Tried:
    """What came of the inputs of one target."""

    inputs: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


def campaign(folder: Path, inputs: int, seed: int, processes: int = 2) -> dict[str, Tried]:
    """Try about `inputs` inputs, shared out by SHARES; those that fail are kept in `folder`, a file each."""
    totals = {name: Tried() for name in TARGETS}
    with ProcessPoolExecutor(processes, initializer=_settle, initargs=(folder,)) as pool:
        jobs = [
            (name, number, min(_AT_ONCE, wanted - number), seed)
            for name, share in SHARES.items()
            for wanted in (max(1, round(inputs * share)),)
            for number in range(0, wanted, _AT_ONCE)
        ]
        for (name, *_), tried in zip(jobs, pool.map(_try, *zip(*jobs, strict=True)), strict=True):
            totals[name].inputs += tried.inputs
            totals[name].refused += tried.refused
            totals[name].failures += tried.failures
    return totals


def _settle(folder: Path) -> None:
    os.chdir(folder)


_made: dict[str, Target] = {}


def _try(name: str, first: int, count: int, seed: int) -> Tried:
    """Try the inputs `first` and so on of a target."""
    if name not in _made:
        _made[name] = TARGETS[name]()
    target, tried = _made[name], Tried()
    for number in range(first, first + count):
        content = target.make(random.Random(f"{seed}-{name}-{number}"))
        tried.inputs += 1
        try:
            failure = target.wrong(content)
        except TaxiError:
            tried.refused += 1
            continue
        except Exception as error:  # noqa: BLE001 - any other error is what the campaign looks for
            failure = f"{type(error).__name__}: {error}"
        if failure:
            Path(f"failed-{name}-{number}").write_bytes(content)
            tried.failures.append(f"{name} {number}: {failure[:300]}")
    return tried


def shown(totals: dict[str, Tried]) -> Sequence[str]:
    """A line a target."""
    return [
        f"{name}: {one.inputs:,} inputs, {one.refused:,} refused, {len(one.failures)} failures"
        for name, one in totals.items()
    ]
