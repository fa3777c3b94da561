"""A folder as store. The mark of `x.parquet` stands in `x.parquet.json` beside it: removed first, written last.

A file in the store may share its bytes with the Parquet file it was made of (a hard link), so someone who writes
into the one changes both. That is why a checksum is believed only while the file has not been touched since.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from taxi_ingest.errors import StoreError
from taxi_ingest.files import crc32c, link_or_copy, replacing, write_text
from taxi_ingest.stores import Check, Held

_SIDECAR = ".json"


def connect(url: str) -> LocalStore:
    """The store in the folder `url`, which is made at the first put."""
    return LocalStore(url)


class LocalStore:
    """Objects as files under one folder."""

    on_this_disk = True

    def __init__(self, url: str) -> None:
        self.url = url
        self._root = Path(url)

    def held(self, prefix: str) -> dict[str, Held]:
        """All objects whose names begin with `prefix`; one without a sidecar has no mark."""
        top = f"{self._root}/"
        found: dict[str, Held] = {}
        for entry in _objects(top + prefix.rpartition("/")[0]):
            name = entry.path.removeprefix(top)
            if name.startswith(prefix) and (held := _look(entry)) is not None:
                found[name] = held
        return found

    def put(
        self,
        file: Path,
        name: str,
        *,
        mark: str,
        facts: dict[str, str],
        progress: Callable[[int], None] | None = None,
    ) -> Held:
        """Link or copy `file` to `name`; see the contract in the folder's front page.

        Of two writers at once the later object stays. Raises OSError where the disk refuses.
        """
        target = self._path(name)
        checksum, size = crc32c(file), file.stat().st_size
        _sidecar(target).unlink(missing_ok=True)
        with replacing(target) as scratch:
            link_or_copy(file, scratch)
        # before its checksum: what another writer puts there afterwards must not pass for what was checked
        stat = target.stat()
        if (crc32c(target), stat.st_size) != (checksum, size):
            raise StoreError(f"{target} is not what {file} was when its upload began. Run again.")
        record = {"mark": mark, "crc32c": checksum, "size": size, "mtime_ns": stat.st_mtime_ns, "facts": facts}
        write_text(_sidecar(target), json.dumps(record, indent=1, sort_keys=True) + "\n")
        if progress is not None:
            progress(size)
        return Held(mark, checksum, size)

    def object_url(self, name: str) -> str:
        """The path of the object."""
        return str(self._path(name))

    def checks(self) -> Iterator[Check]:
        """Whether the folder, or the nearest one above it that exists, may be written."""
        folder = next(path for path in (self._root.resolve(), *self._root.resolve().parents) if path.exists())
        if folder.is_dir() and os.access(folder, os.W_OK):
            yield Check(True, f"folder {self._root} can be written")
        else:
            yield Check(False, f"{folder} cannot be written. Choose another --store, or change its permissions.")

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        odd = "\\" in name or any(not character.isprintable() for character in name)
        # a leading dot: "..", and scratch files, which are never listed
        hidden = any(part.startswith(".") for part in parts)
        if odd or hidden or not parts or name != "/".join(parts) or name.endswith(_SIDECAR):
            raise StoreError(f"{name!r} cannot be the name of an object: use plain names, with / between folders.")
        return self._root.joinpath(*parts)


def _look(entry: os.DirEntry[str]) -> Held | None:
    """What is there now; None when it is gone since it was listed."""
    record = _record(Path(f"{entry.path}{_SIDECAR}"))
    with contextlib.suppress(FileNotFoundError):
        stat = entry.stat()
        untouched = (record.get("size"), record.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)
        return Held(record.get("mark", ""), record["crc32c"] if untouched else crc32c(Path(entry.path)), stat.st_size)
    return None


def _objects(folder: str) -> Iterator[os.DirEntry[str]]:
    """Every object under `folder`; scratch files, sidecars and linked folders are none.

    Entries, not Paths: making five Paths an object took most of a listing's time.
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


def _sidecar(target: Path) -> Path:
    return target.with_name(target.name + _SIDECAR)


def _record(sidecar: Path) -> dict[str, Any]:
    """A sidecar's content; nothing when it is missing or damaged."""
    try:
        found = json.loads(sidecar.read_bytes())
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(found.get(key), str) for key in ("mark", "crc32c"))
    return found if whole else {}
