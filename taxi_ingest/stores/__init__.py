"""Where Parquet goes: the contract of a store, and the kinds there are.

A store holds objects under names such as `<dataset>/<table>_2021-01.parquet`. A new kind is a module here with
a `connect(url)`, a line in KINDS, and a fixture for the conformance suite.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from taxi_ingest.errors import UsageError


@dataclass(frozen=True)
class Held:
    """One object as the far side describes it: `mark` is "" when it bears none, `crc32c` is 8 hex digits."""

    mark: str
    crc32c: str
    size: int


@dataclass(frozen=True)
class Check:
    """One thing that was looked at before work: whether it is well, and a sentence (with the remedy when not)."""

    well: bool
    sentence: str


class Store(Protocol):
    """A place for objects. `put` raises StoreError, or TransientError where another try may help."""

    url: str
    on_this_disk: bool
    """Whether asking it needs no network."""

    def held(self, prefix: str) -> dict[str, Held]:
        """All objects whose names begin with `prefix`, by name, in one listing."""
        ...

    def put(
        self,
        file: Path,
        name: str,
        *,
        mark: str,
        facts: dict[str, str],
        progress: Callable[[int], None] | None = None,
    ) -> Held:
        """Put `file` under `name`, whole or not at all, and return what the far side then holds.

        Believed only when the far side repeats the file's crc32c and size. `facts` (provenance) are kept beside the
        mark. `progress` is called with the number of bytes sent since the last call.
        """
        ...

    def checks(self) -> Iterator[Check]:
        """What must be well for `held` and `put` to work; changes nothing."""
        ...

    def object_url(self, name: str) -> str:
        """Where a warehouse finds the object `name`."""
        ...


class StoreKind(Protocol):
    """A module of this folder."""

    def connect(self, url: str) -> Store:
        """Open the store at `url` without touching it; raises UsageError when the name cannot be one."""
        ...


KINDS = {"": "taxi_ingest.stores.local", "gs": "taxi_ingest.stores.gcs"}
"""URL scheme → module; "" is a plain path. Modules load when first needed."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")


def connect(url: str) -> Store:
    """The store `url` names; raises UsageError for a scheme that is none."""
    match = _SCHEME.match(url)
    scheme = match.group(1) if match else ""
    if scheme not in KINDS:
        possible = ", ".join(f"{s}://…" if s else "a folder" for s in KINDS)
        raise UsageError(f"'{url}' is no store. Possible: {possible}.")
    kind: StoreKind = importlib.import_module(KINDS[scheme])
    return kind.connect(url)
