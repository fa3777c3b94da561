"""A data directory that lives as long as one task, for workers that keep nothing.

Each is a folder that its process holds locked. A killed process releases its lock and leaves the folder; the next
process that asks for one removes it. Windows locks no folder: there it is left to the system, which clears away old
temporary files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_PREFIX = "taxi-ingest-scratch-"

_MARK = ".taxi-ingest-scratch"
"""The file that tells our folders from those that somebody else gave such a name."""


@contextlib.contextmanager
def scratch_folder(within: Path | None = None) -> Iterator[Path]:
    """A new folder in `within` (by default where temporary files go) that is removed when the block ends.

    Folders that killed processes of this user left there are removed first.
    """
    root = within or Path(tempfile.gettempdir())
    root.mkdir(parents=True, exist_ok=True)
    sweep(root)
    folder, handle = _locked_folder(root)
    try:
        (folder / _MARK).touch()
        yield folder
    finally:
        _remove(folder)
        if handle is not None:
            os.close(handle)


def sweep(root: Path) -> None:
    """Remove the scratch folders in `root` whose processes have ended; those of other users are left to them."""
    if sys.platform == "win32":
        return
    for folder in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if not folder.is_symlink() and folder.stat().st_uid == os.getuid():
                _remove_if_left(folder)


def _locked_folder(root: Path) -> tuple[Path, int | None]:
    """A new folder, and the handle that keeps it locked; None where folders cannot be locked."""
    if sys.platform == "win32":
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root)), None
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():
                return folder, handle
            os.close(handle)  # another process took it for a left one before it was locked


def _remove_if_left(folder: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError while its process is alive
        if (folder / _MARK).is_file():
            _remove(folder)
        else:
            folder.rmdir()  # OSError unless its process was killed before it put anything there
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove a scratch folder, as far as that is possible, and its mark last: what is left is known for ours."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _MARK:
                path.unlink(missing_ok=True)
        if [path.name for path in folder.iterdir()] in ([], [_MARK]):
            shutil.rmtree(folder, ignore_errors=True)
