"""A folder as store. The mark of `x.parquet` is in a sidecar `x.parquet.json`: removed first, written last.

A file in the store may share its bytes with the Parquet file it was made from (a hard link), so writing into one
changes both. Therefore a recorded checksum is believed only while size and modification time are as recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from taxi_ingest.errors import StoreError
from taxi_ingest.files import crc32c, link_or_copy, replacing, scratch_owner, write_text
from taxi_ingest.place import Check, Place
from taxi_ingest.stores import Held

_SIDECAR = ".json"


@dataclass(frozen=True)
class _Sidecar:
    """What is recorded of an object; `size` in bytes, `mtime_ns` as `os.stat` gives it."""

    mark: str
    crc32c: str
    size: int
    mtime_ns: int
    facts: dict[str, str]


class LocalStore:
    """Objects as files under one folder, which is created by the first put."""

    needs_network = False

    def __init__(self, place: Place) -> None:
        self.place = place
        self._root = Path(place.path)

    def held(self, prefix: str) -> dict[str, Held]:
        """All objects whose names begin with `prefix`; one without a valid sidecar has no mark."""
        top = f"{self._root}/"
        found: dict[str, Held] = {}
        for entry in _objects(top + prefix.rpartition("/")[0]):
            name = entry.path.removeprefix(top)
            if name.startswith(prefix) and (held := _describe(entry)) is not None:
                found[name] = held
        return found

    def put(
        self,
        file: Path,
        name: str,
        *,
        mark: str,
        facts: Mapping[str, str],
        progress: Callable[[int], None] | None = None,
    ) -> Held:
        """Link or copy `file` to `name`; see the contract, `Store.put`.

        Of two concurrent writers, the later one's object stays. Raises OSError where the disk refuses.
        """
        target, owner = self._path(name), _owner(file.parent.parent)
        checksum, size = crc32c(file), file.stat().st_size
        _sidecar_of(target).unlink(missing_ok=True)
        with replacing(target, owner=owner) as scratch:
            link_or_copy(file, scratch)
        # taken before the checksum: if another writer replaces the object after it, the times no longer agree
        stat = target.stat()
        if (crc32c(target), stat.st_size) != (checksum, size):
            raise StoreError(f"{target} does not hold what {file} held when the upload began. Run again.")
        sidecar = _Sidecar(mark, checksum, size, stat.st_mtime_ns, dict(facts))
        document = msgspec.json.format(msgspec.json.encode(sidecar, order="sorted"), indent=1)
        write_text(_sidecar_of(target), document.decode() + "\n", owner=owner)
        if progress is not None:
            progress(size)
        return Held(mark, checksum, size)

    def get(self, name: str, file: Path) -> None:
        """Copy the object `name` to `file`; see the contract, `Store.get`."""
        source = self._path(name)
        with replacing(file) as scratch:
            try:
                shutil.copyfile(source, scratch)
            except FileNotFoundError as error:
                raise StoreError(f"There is no {source}. Run upload for this month.") from error

    def sweep(self, folder: Path) -> None:
        """Remove what killed puts of files in the folders of `folder` left; see `KeepsScratch.sweep`.

        Several data directories may share a store and each has a lock of its own. So the name of a scratch file tells
        the folder its bytes come from, and what comes from others stays, whether they still write it or not.
        """
        owner = _owner(folder)
        for scratch in self._root.glob("*/.*.tmp"):
            if scratch_owner(scratch.name) == owner:
                scratch.unlink(missing_ok=True)

    def url(self, name: str) -> str:
        """The path of the object `name`."""
        return str(self._path(name))

    def checks(self) -> Iterator[Check]:
        """Whether the folder, or its nearest existing parent, can be written."""
        folder = next(path for path in (self._root.resolve(), *self._root.resolve().parents) if path.exists())
        if folder.is_dir() and os.access(folder, os.W_OK):
            yield Check(True, f"folder {self._root} can be written")
        else:
            yield Check(False, f"{folder} cannot be written. Choose another --store, or change its permissions.")

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        unprintable = "\\" in name or any(not character.isprintable() for character in name)
        # a leading dot: "..", and scratch files, which are never listed
        hidden = any(part.startswith(".") for part in parts)
        if unprintable or hidden or not parts or name != "/".join(parts) or name.endswith(_SIDECAR):
            raise StoreError(f"{name!r} cannot be the name of an object: use plain names, with / between folders.")
        return self._root.joinpath(*parts)


def _owner(folder: Path) -> str:
    """A name for `folder` of this machine: on another one, the same path is another folder."""
    return hashlib.sha256(os.fsencode(f"{os.uname().nodename}:{folder.absolute()}")).hexdigest()[:16]


def _describe(entry: os.DirEntry[str]) -> Held | None:
    """The object at `entry`; None if it disappeared after it was listed."""
    sidecar = _read(Path(f"{entry.path}{_SIDECAR}"))
    with contextlib.suppress(FileNotFoundError):
        stat = entry.stat()
        if sidecar is None:
            return Held("", crc32c(Path(entry.path)), stat.st_size)
        untouched = (sidecar.size, sidecar.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        return Held(sidecar.mark, sidecar.crc32c if untouched else crc32c(Path(entry.path)), stat.st_size)
    return None


def _objects(folder: str) -> Iterator[os.DirEntry[str]]:
    """Every object under `folder`, without scratch files, sidecars and linked folders.

    Yields directory entries because creating Path objects took most of a listing's time.
    """
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _objects(entry.path)
        elif not entry.name.startswith(".") and not entry.name.endswith(_SIDECAR):
            yield entry


def _sidecar_of(target: Path) -> Path:
    return target.with_name(target.name + _SIDECAR)


def _read(sidecar: Path) -> _Sidecar | None:
    """A sidecar's content; None when it is missing or damaged."""
    try:
        return msgspec.json.decode(sidecar.read_bytes(), type=_Sidecar)
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
