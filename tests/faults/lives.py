"""A life: one data directory, its store and warehouse, and the command that works on them; and what it has come to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from places import Content, Destination

from taxi_ingest.sources.partial import SUFFIX
from taxi_ingest.state.receipts import Parquetized
from taxi_ingest.writers.findings import Findings
from taxi_ingest.writers.provenance import Provenance

PATIENCE = 120
"""Seconds after which a run that nobody kills hangs."""

_BYTES_DIFFER = ("logs/", "state/", "lake.marks/", "taxi.duckdb")
"""What names times or runs, so that its bytes differ from life to life."""

_DIFFERS = {"at", "checksum", "mtime_ns"}
"""What a receipt or a mark says of times and of this life's own places, and the checksum over that."""

_IN_FOOTER = {one.name for kind in (Provenance, Findings) for one in fields(kind)}

_RESTORED = {one.name for one in fields(Parquetized)} - _IN_FOOTER | {"facts"}
"""What the footer does not say of a Parquet file, so that a receipt which was restored from it does not either."""

_JOURNALS = {"state/history.sqlite-wal", "state/history.sqlite-shm"}
"""What may be there beside the history while nothing is lost."""

Step = tuple[str, str, str]
"""Dataset, month ("" for none) and step."""


@dataclass
class Life:
    """One data directory, its destination, and the command that works on them."""

    data: Path
    destination: Destination
    command: tuple[str, ...]
    environment: dict[str, str]

    def start(self, *more: str, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start the command with `more` options, `under` another program if one is named."""
        return subprocess.Popen(
            (*under, *self.command, *more), cwd=self.data.parent, env=self.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def finish(self, *more: str, under: Sequence[str] = ()) -> tuple[int, float]:
        """Run to the end; returns the exit code and the seconds it took."""
        begun = time.monotonic()
        return self.start(*more, under=under).wait(PATIENCE), time.monotonic() - begun

    def receipts(self) -> set[Step]:
        """The steps that have receipts."""
        found = (self.data / "state" / "receipts").rglob("*.json")
        names = [path.relative_to(self.data / "state" / "receipts").with_suffix("").parts for path in found]
        return {(parts[0], parts[1] if len(parts) == 3 else "", parts[-1]) for parts in names}

    def tried(self, after: int) -> set[Step]:
        """The steps that were tried, as the history tells, behind its first `after` attempts."""
        sql = "SELECT dataset, coalesce(month, ''), step FROM attempts WHERE rowid > ?"
        return {(dataset, month, step) for dataset, month, step in self._history(sql, after)}

    def attempts(self) -> int:
        """How many attempts the history tells of."""
        return max((number for (number,) in self._history("SELECT max(rowid) FROM attempts") if number), default=0)

    def last_outcomes(self) -> set[str]:
        """How the steps of the last run ended."""
        sql = "SELECT outcome FROM outcomes WHERE run = (SELECT run FROM runs ORDER BY rowid DESC LIMIT 1)"
        return {outcome for (outcome,) in self._history(sql)}

    def _history(self, sql: str, *values: int) -> list[tuple[Any, ...]]:
        path = self.data / "state" / "history.sqlite"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.OperationalError):
            return db.execute(sql, values).fetchall()
        return []  # killed before the first table was made


@dataclass(frozen=True)
class State:
    """What a life has come to.

    Tables and objects; of files digests by name, of receipts and marks what does not differ from life to life; and the
    names of those whose bytes do.
    """

    content: Content
    files: dict[str, str]
    names: frozenset[str]

    @classmethod
    def of(cls, life: Life, *, but_beginnings: bool = False) -> State:
        """The state of `life`; `but_beginnings` leaves the beginnings of downloads out."""
        paths = [path for path in life.data.rglob("*") if path.is_file()]
        if but_beginnings:
            paths = [path for path in paths if not path.name.endswith((SUFFIX, f"{SUFFIX}.json"))]
        names = {path.relative_to(life.data).as_posix(): path for path in paths}
        told = {name: path for name, path in names.items() if name.startswith(_BYTES_DIFFER)}
        own = frozenset(name for name in told if not name.startswith("logs/"))
        digests = {name: _digest(path.read_bytes()) for name, path in names.items() if name not in told}
        said = {name: _said(path) for name, path in told.items() if name.endswith(".json")}
        return cls(life.destination.content(), digests | said, own)

    def differences(self, other: State) -> Iterator[str]:
        """How `other` differs from this."""
        for name, here, there in (
            ("tables", self.content, other.content),
            ("files", self.files, other.files),
        ):
            for key in sorted(here.keys() | there.keys()):
                if here.get(key) != there.get(key):
                    yield f"{name}: {key} is {there.get(key, 'missing')}, undisturbed {here.get(key, 'missing')}"
        for name in sorted(self.names ^ other.names):
            if name not in _JOURNALS:
                yield f"{name} is {'missing' if name in self.names else 'left over'}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _said(path: Path) -> str:
    """A digest of what a receipt or a mark says, but for what differs from life to life."""
    left_out = _DIFFERS | (_RESTORED - {"bytes", "crc32c"})
    document = {name: value for name, value in json.loads(path.read_bytes()).items() if name not in left_out}
    return _digest(json.dumps(document, sort_keys=True).encode())
