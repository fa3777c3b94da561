"""The marks of a folder store: where they stand, and what is in them.

The mark of `lake/yellow/x.parquet` is `lake.marks/yellow/x.parquet.json`, and an object is written under a hidden name
beside its mark before it is renamed into the lake. Nothing but objects lies in the lake itself, because readers walk
into every folder there, hidden ones too (DuckDB `lake/**`, Polars `lake`): they fail on a mark, and
would count the rows of an object twice while it is being replaced.

A lake whose parent cannot be written, or which is a mount point, has its marks in `lake/.marks` instead.

Earlier builds kept a mark beside its object, as `lake/yellow/x.parquet.json`. Such a *sidecar* is read while there is
no mark; `take_over` moves it. Other JSON in the store is somebody else's, whatever its name, and is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from taxi_ingest.files import write_text
from taxi_ingest.layout import is_object_name

_SUFFIX = ".json"
FOLDER = ".marks"
"""The folder of marks in a store; one beside it has this behind the store's name."""

_BEGINNING = b'{\n "crc32c": "'
"""How every sidecar of earlier builds begins."""


@dataclass(frozen=True)
class Recorded:
    """What a mark's file records of an object; `size` in bytes, `mtime_ns` as `os.stat` gives it."""

    mark: str
    crc32c: str
    size: int
    mtime_ns: int
    facts: dict[str, str]


def is_reserved(part: str) -> bool:
    """Whether `part` cannot name an object or a folder of objects: it is hidden, a mark, or a folder of marks."""
    return part.startswith(".") or part.endswith((_SUFFIX, FOLDER))


def folder_of_marks(root: Path) -> Path:
    """Where the marks of the store `root` stand, whether there are any yet or not."""
    inside, beside = _places(root)
    return inside if inside.is_dir() else beside


def make_folder_of_marks(root: Path) -> Path:
    """As `folder_of_marks`; made, together with `root`, if need be. Raises OSError where the disk refuses."""
    inside, beside = _places(root)
    if inside.is_dir() or beside.is_dir():
        return folder_of_marks(root)
    root.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{FOLDER}.", dir=root))
    new.chmod(root.stat().st_mode)
    # a rename out of `root` proves that objects can be renamed into it, which no look at device or permissions does
    if not _is_in_place(new, beside):
        _is_in_place(new, inside)
    return folder_of_marks(root)


def path_of(name: str, marks: Path) -> Path:
    """The file that holds the mark of the object `name`."""
    return Path(f"{marks}/{name}{_SUFFIX}")


def sidecar_of(target: str | Path) -> str:
    """Where earlier builds kept the mark of the object at `target`; a str, because a listing asks for thousands."""
    return f"{target}{_SUFFIX}"


def remove_sidecar(target: Path) -> None:
    """Remove the sidecar of the object at `target`; a file of that name that holds no mark of ours stays."""
    sidecar = Path(sidecar_of(target))
    if _is_sidecar(sidecar):
        sidecar.unlink(missing_ok=True)


def read(path: Path) -> Recorded | None:
    """What a mark's file records; None when it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recorded)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None


def write(path: Path, recorded: Recorded, *, owner: str) -> None:
    """Write a mark's file, whole or not at all; `owner` as in `files.replacing`."""
    document = msgspec.json.format(msgspec.json.encode(recorded, order="sorted"), indent=1)
    write_text(path, document.decode() + "\n", owner=owner)


def take_over(root: Path) -> None:
    """Move the sidecars of earlier builds to the marks; one that a mark has replaced is removed.

    Each is moved by a rename, so that a run that is killed here loses none. In a store that cannot be written they
    stay, and are read where they are.
    """
    with contextlib.suppress(OSError):
        sidecars = list(_sidecars(root))
        marks = make_folder_of_marks(root) if sidecars else root
        for sidecar in sidecars:
            mark = marks / sidecar.relative_to(root)
            if mark.exists():
                sidecar.unlink(missing_ok=True)
            else:
                mark.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # a put of this object has removed it
                    sidecar.rename(mark)


def files_below(folder: str) -> Iterator[os.DirEntry[str]]:
    """Every file under `folder`, sidecars too; not those that are hidden, in reserved folders or in linked ones.

    Yields directory entries because creating Path objects took most of a listing's time.
    """
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir():
            if not entry.is_symlink() and not is_reserved(entry.name):
                yield from files_below(entry.path)
        elif not entry.name.startswith("."):
            yield entry


def _sidecars(root: Path) -> Iterator[Path]:
    """The sidecars in a store, damaged ones among them: files named after an object of the catalog."""
    for entry in files_below(str(root)):
        if entry.name.endswith(_SUFFIX):
            path = Path(entry.path)
            name = path.relative_to(root).as_posix().removesuffix(_SUFFIX)
            if is_object_name(name) and _is_sidecar(path):
                yield path


def _is_sidecar(path: Path) -> bool:
    """Whether a file named after an object was written by an earlier build: it has a mark in it, or what is left of it.

    A crash leaves a file of ours cut, empty, or full of zeros. It must go as well, because readers fail on it.
    """
    if read(path) is not None:
        return True
    try:
        content = path.read_bytes()
        json.loads(content)
    except ValueError:
        cut = content.startswith(_BEGINNING) or _BEGINNING.startswith(content)
        return cut or not content.strip(b"\0")
    except (OSError, RecursionError):
        return False
    return False  # somebody else's JSON


def _places(root: Path) -> tuple[Path, Path]:
    """Where marks may stand: in the store, and beside it."""
    real = root.resolve()  # so that a linked store has the same marks by either name
    return real / FOLDER, real.parent / f"{real.name}{FOLDER}"


def _is_in_place(new: Path, place: Path) -> bool:
    """Whether there is a folder at `place` now: `new`, or the one that another writer made at the same time."""
    try:
        new.rename(place)
    except OSError:
        if place.is_dir():
            new.rmdir()
        return place.is_dir()
    return True
