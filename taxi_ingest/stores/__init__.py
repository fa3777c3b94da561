"""Where Parquet goes: the contract of a store, and the kinds there are.

A store holds objects under names such as `<dataset>/<table>_2021-01.parquet`. A new kind is a module here with a class
that implements `Store`, an entry in KINDS, and a test module that gives the conformance suite its fixture.

`local` is a folder, with its `marks` beside it. `gcs` is Cloud Storage: `gcs_names` are the names it allows,
`gcs_session` is a large upload, `unfinished` what another process needs to go on with one, `gcs_errors` are sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Check, Place
from taxi_ingest.values import quoted


@dataclass(frozen=True)
class Held:
    """One object in a store: `mark` is "" when it has none, `crc32c` is 8 hex digits, `size` is in bytes.

    `facts` were put with it. `has_lost_mark` tells that a mark stands there, but for other bytes: the object is one of
    ours that was changed. Neither counts when objects are compared.
    """

    mark: str
    crc32c: str
    size: int
    facts: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    has_lost_mark: bool = field(default=False, compare=False)


class Store(Protocol):
    """A place for objects. Methods raise StoreError, or TransientError where another try may help."""

    place: Place
    needs_network: bool
    """Whether `held` needs a network."""

    def checks(self) -> Iterator[Check]:
        """What `held` and `put` need in order to work, one thing at a time; changes nothing and raises nothing."""
        ...

    def held(self, prefix: str) -> dict[str, Held]:
        """All objects whose names begin with `prefix`, by name, in one listing."""
        ...

    def put(
        self,
        file: Path,
        name: str,
        *,
        mark: str,
        facts: Mapping[str, str],
        progress: Callable[[int], None] | None = None,
    ) -> Held:
        """Put `file` under `name`, whole or not at all, and return what the store then holds.

        Succeeds only when the store reports the file's crc32c and size. `facts` (provenance) are stored with the
        mark. `progress` is called with the number of bytes sent since the last call. Raises StoreError, before
        anything is sent, for a name that no object can have.
        """
        ...

    def get(self, name: str, file: Path) -> None:
        """Fetch the object `name` to `file`, whole or not at all, with the checksum that the store has of it.

        Raises StoreError when there is no such object.
        """
        ...

    def url(self, name: str) -> str:
        """What a warehouse is given to read the object `name`: a URL, or a path in a folder.

        Raises StoreError for a name that no object can have.
        """
        ...


@runtime_checkable
class KeepsScratch(Protocol):
    """The capability of a store in which a killed `put` leaves a file behind."""

    def sweep(self, folder: Path) -> None:
        """Remove what killed puts of files below `folder` left; right only while nobody puts any of them.

        A store that was laid out by an earlier build is brought into the form that `put` gives it now.
        """
        ...


@runtime_checkable
class Removes(Protocol):
    """The capability of a store whose objects take up this disk, and can be removed from it."""

    def remove(self, name: str) -> None:
        """Remove the object `name` with its mark; nothing happens when there is none."""
        ...


@runtime_checkable
class ReadsBack(Protocol):
    """The capability of a store whose listing only repeats what was recorded: it can read an object's bytes again."""

    def read_back(self, name: str) -> Held:
        """The object `name` with the checksum and size that its bytes have now. Raises OSError if it cannot be read."""
        ...


def read_back(store: Store, name: str, listed: Held) -> Held:
    """The object `name` as its bytes are now, where they can be read for nothing; as `listed` elsewhere.

    Elsewhere the far side keeps checksums of what it holds.
    """
    return store.read_back(name) if isinstance(store, ReadsBack) else listed


class FolderStore(Store, KeepsScratch, ReadsBack, Removes, Protocol):
    """A store whose objects are files."""


def sweep(store: Store, folder: Path) -> None:
    """Put `store` in order for a run that puts files below `folder`, if it is a store that needs it."""
    if isinstance(store, KeepsScratch):
        store.sweep(folder)


def _local(place: Place, _uploads: Path | None) -> FolderStore:
    from taxi_ingest.stores.local import LocalStore

    return LocalStore(place)


def _gcs(place: Place, uploads: Path | None) -> Store:
    from taxi_ingest.stores.gcs import GCSStore

    return GCSStore(place, uploads)


@dataclass(frozen=True)
class Kind:
    """A kind of store: an example of its URL, and how to open one, which touches nothing yet."""

    example: str
    open: Callable[[Place, Path | None], Store]


KINDS: dict[str, Kind] = {
    "": Kind("a folder", _local),
    "gs": Kind("gs://bucket/prefix", _gcs),
}
"""URL scheme → kind; "" is a plain path. An opener imports its module, and the client that needs, when called."""

EXAMPLES = " or ".join(kind.example for kind in KINDS.values())
"""How stores are named, for help texts."""


def kind_of(place: Place) -> Kind:
    """The kind of store at `place`; loads no client. Raises UsageError for an unknown scheme."""
    kind = KINDS.get(place.scheme)
    if kind is None:
        scheme = place.similar(KINDS)
        guess = f" Did you mean {KINDS[scheme].example}?" if scheme else ""
        raise UsageError(f"{quoted(str(place))} is not a store.{guess} Possible: {EXAMPLES}.")
    return kind


def open_store(place: Place, *, uploads: Path | None = None) -> Store:
    """The store at `place`, untouched. Raises UsageError for an unknown scheme or a name that no store can have.

    In the folder `uploads` a store notes what it needs in order to go on with an upload when this process is killed.
    """
    return kind_of(place).open(place, uploads)
