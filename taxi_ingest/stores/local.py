"""A folder as store. The mark of an object is a file in a folder apart (see `marks`): removed first, written last.

A file in the store may share its bytes with the Parquet file it was made from (a hard link), so writing into one
changes both. Therefore a recorded checksum is believed only while size and modification time are as recorded, and a
mark belongs to an object only while the checksum is.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from taxi_ingest.errors import StoreError
from taxi_ingest.files import crc32c, link_or_copy, replacing, scratch_owner
from taxi_ingest.place import Check, Place
from taxi_ingest.stores import Held, marks


class LocalStore:
    """Objects as files under one folder, which is created by the first put."""

    needs_network = False

    def __init__(self, place: Place) -> None:
        self.place = place
        self._root = Path(place.path)

    def held(self, prefix: str) -> dict[str, Held]:
        """All objects whose names begin with `prefix`; one without a valid mark has none."""
        top, folder = f"{self._root}/", prefix.rpartition("/")[0]
        if any(marks.is_reserved(part) for part in folder.split("/")):
            return {}
        files = {entry.path: entry for entry in marks.files_below(top + folder)}
        where, found = marks.folder_of_marks(self._root), {}
        for path, entry in files.items():
            name, sidecar = path.removeprefix(top), marks.sidecar_of(path)
            if name.startswith(prefix) and not marks.is_reserved(entry.name):
                recorded = _recorded(marks.path_of(name, where), sidecar if sidecar in files else "")
                if (held := _describe(entry, recorded)) is not None:
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
        mark_file = marks.path_of(name, marks.make_folder_of_marks(self._root))
        # in this order, because a sweep of another run may be moving the one to the other
        marks.remove_sidecar(target)
        mark_file.unlink(missing_ok=True)
        with self._on_one_disk(), replacing(target, owner=owner, scratch_in=mark_file.parent) as scratch:
            link_or_copy(file, scratch)
        # taken before the checksum: if another writer replaces the object after it, the times no longer agree
        stat = target.stat()
        is_linked = os.path.samestat(stat, file.stat())
        if (checksum if is_linked else crc32c(target), stat.st_size) != (checksum, size):
            raise StoreError(f"{target} does not hold what {file} held when the upload began. Run again.")
        marks.write(mark_file, marks.Recorded(mark, checksum, size, stat.st_mtime_ns, dict(facts)), owner=owner)
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
        """Remove what killed puts of files in the folders of `folder` left, and take over marks of earlier builds.

        Several data directories may share a store and each has a lock of its own. So the name of a scratch file tells
        the folder its bytes come from, and what comes from others stays, whether they still write it or not.
        """
        owner = _owner(folder)
        where = marks.folder_of_marks(self._root)
        for scratch in (*where.rglob(".*.tmp"), *self._root.glob("*/.*.tmp")):  # the latter: of earlier builds
            if scratch_owner(scratch.name) == owner:
                scratch.unlink(missing_ok=True)
        marks.take_over(self._root)

    def remove(self, name: str) -> None:
        """Remove an object, its mark first; see `Removes.remove`."""
        target = self._path(name)
        marks.remove_sidecar(target)
        marks.path_of(name, marks.folder_of_marks(self._root)).unlink(missing_ok=True)
        target.unlink(missing_ok=True)

    def read_back(self, name: str) -> Held:
        """The object `name` with what its bytes are now and the mark recorded; see `ReadsBack.read_back`."""
        path = self._path(name)
        recorded = _recorded(marks.path_of(name, marks.folder_of_marks(self._root)), marks.sidecar_of(path))
        return Held(recorded.mark if recorded else "", crc32c(path), path.stat().st_size)

    def url(self, name: str) -> str:
        """The path of the object `name`."""
        return str(self._path(name))

    def checks(self) -> Iterator[Check]:
        """Whether the folder (or its nearest existing parent) and its marks can be written."""
        folder = next(path for path in (self._root.resolve(), *self._root.resolve().parents) if path.exists())
        where = marks.folder_of_marks(self._root)
        for place in (folder, where) if where.exists() else (folder,):
            if not (place.is_dir() and os.access(place, os.W_OK)):
                yield Check(False, f"{place} cannot be written. Choose another --store, or change its permissions.")
                return
        yield Check(True, f"folder {self._root} can be written")

    @contextlib.contextmanager
    def _on_one_disk(self) -> Iterator[None]:
        """Explain a rename between disks: the store became a disk of its own after its marks were put beside it."""
        try:
            yield
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            inside, where = self._root / marks.FOLDER, marks.folder_of_marks(self._root)
            raise StoreError(
                f"{self._root} lies on another disk than its marks in {where}. Move them there: mv {where} {inside}"
            ) from error

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        unprintable = "\\" in name or any(not character.isprintable() for character in name)
        reserved = any(marks.is_reserved(part) for part in parts)
        if unprintable or reserved or not parts or name != "/".join(parts):
            raise StoreError(f"{name!r} cannot be the name of an object: use plain names, with / between folders.")
        return self._root.joinpath(*parts)


def _owner(folder: Path) -> str:
    """A name for `folder` of this machine: on another one, the same path is another folder."""
    return hashlib.sha256(os.fsencode(f"{socket.gethostname()}:{folder.absolute()}")).hexdigest()[:16]


def _recorded(mark_file: Path, sidecar: str) -> marks.Recorded | None:
    """What is recorded of an object; its sidecar ("" where none was listed) counts only without a mark."""
    recorded = marks.read(mark_file)
    if recorded is None and sidecar:
        # the mark once more, because a sweep of another run may just have moved the sidecar there
        recorded = marks.read(Path(sidecar)) or marks.read(mark_file)
    return recorded


def _describe(entry: os.DirEntry[str], recorded: marks.Recorded | None) -> Held | None:
    """The object at `entry`; None if it disappeared after it was listed."""
    with contextlib.suppress(FileNotFoundError):
        stat = entry.stat()
        if recorded and (recorded.size, recorded.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            return Held(recorded.mark, recorded.crc32c, stat.st_size, recorded.facts)
        checksum = crc32c(Path(entry.path))
        if recorded and recorded.crc32c == checksum:
            return Held(recorded.mark, checksum, stat.st_size, recorded.facts)
        return Held("", checksum, stat.st_size, has_lost_mark=recorded is not None)
    return None
