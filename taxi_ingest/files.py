"""Files that appear whole or not at all, and their checksums."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import itertools
import logging
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

log = logging.getLogger("taxi_ingest")

_CHUNK = 1 << 20
PRIVATE = 0o700
"""The permissions of a folder that is nobody's but its owner's."""
_NEW_FILE = 0o666
"""The permissions of a new file, of which the umask takes some away."""
_OTHERS = 0o077
"""The permissions of the group and of all others."""
_SCRATCH = re.compile(r"\..+\.([a-z0-9_]{8}|[0-9a-f]{16})\.tmp")
_OWNED_SCRATCH = re.compile(r"\..+\.([0-9a-f]{16})\.[a-z0-9_]+\.tmp")


@contextlib.contextmanager
def replacing(
    path: Path, *, owner: str = "", scratch_in: Path | None = None, mode: int | None = None
) -> Iterator[Path]:
    """Yield a scratch path beside `path`; on success it takes the place of `path`, on any exception it vanishes.

    With `scratch_in`, a folder on the same filesystem, the scratch path is in there instead.
    Content and name are on disk when the block has ended: a crash leaves the old file or the new one, and the scratch
    file. Its name then tells `path` and `owner`; see `scratch_owner`. `mode` are the permissions of `path`; by default
    those that this process gives to new files.
    """
    scratch_folder = scratch_in or path.parent
    for folder in (path.parent, scratch_folder):
        folder.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{owner}." if owner else f".{path.name}."
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=scratch_folder)
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        _settle(scratch)
        scratch.chmod(_NEW_FILE & ~_umask() if mode is None else mode)
        scratch.replace(path)
        sync_folder(path.parent)
    finally:
        scratch.unlink(missing_ok=True)


def make_private(folder: Path) -> None:
    """Make `folder` if it is missing, and let nobody but its owner look into it.

    One of another user is left as it is, and so is one on a system or filesystem without such permissions.
    """
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    if sys.platform == "win32":
        return
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
        with contextlib.suppress(OSError):
            folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)


def distrust(path: Path) -> None:
    """Touch `path`, whose content is in doubt: with another time than recorded, it is checked before it is used."""
    path.touch()


def unused(path: Path, suffix: str = "") -> Path:
    """`path` with `suffix`; where something has that name already, with a number in between."""
    numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    named = (path.with_name(f"{path.name}{number}{suffix}") for number in numbers)
    return next(one for one in named if not os.path.lexists(one))


def put_aside(path: Path) -> None:
    """Give a file that may be somebody else's another name, so that ours can have this one; that is logged."""
    aside = unused(path.with_name(f"{path.name}.before"))
    path.rename(aside)
    log.info("%s was there before, and nothing tells that it is ours; it is now %s", path, aside.name)


def scratch_file_for(path: Path) -> Path:
    """A path beside `path` for a short-lived file; one that a killed process left is removed as scratch files are."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def scratch_files_of(path: Path) -> Iterator[Path]:
    """The scratch files that `replacing` made for `path` and that a killed process left."""
    return path.parent.glob(f".{glob.escape(path.name)}.*.tmp")


def is_scratch(name: str) -> bool:
    """Whether a file's name is one that `replacing` or `scratch_file_for` gives; programs of others have their own."""
    return _SCRATCH.fullmatch(name) is not None


def scratch_owner(name: str) -> str:
    """The `owner` in the name of a scratch file that `replacing` made for one; "" for any other name."""
    found = _OWNED_SCRATCH.fullmatch(name)
    return found[1] if found else ""


def write_text(path: Path, text: str, *, owner: str = "", mode: int | None = None) -> None:
    """Write `text` to `path`, whole or not at all; `owner` and `mode` as in `replacing`."""
    with replacing(path, owner=owner, mode=mode) as scratch:
        scratch.write_text(text, encoding="utf-8")


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` (which may exist) the same bytes as `source`: a hard link on one filesystem, else a copy."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


class Checksums:
    """The sha256 and crc32c, in hex, of bytes that come piece by piece."""

    def __init__(self) -> None:
        import google_crc32c

        self._sha256, self._crc32c = hashlib.sha256(), google_crc32c.Checksum()

    @classmethod
    def of(cls, path: Path) -> Self:
        """The checksums of a whole file."""
        checksums = cls()
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                checksums.update(piece)
        return checksums

    def update(self, piece: bytes) -> None:
        """Go on with the next piece."""
        self._sha256.update(piece)
        self._crc32c.update(piece)

    @property
    def sha256(self) -> str:
        """The sha256 of what came so far."""
        return self._sha256.hexdigest()

    @property
    def crc32c(self) -> str:
        """The crc32c of what came so far, as 8 hex digits."""
        return bytes(self._crc32c.digest()).hex()


def sha256(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def crc32c(path: Path) -> str:
    """The crc32c of a file, as 8 hex digits."""
    import google_crc32c

    checksum = google_crc32c.Checksum()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum.update(chunk)
    return bytes(checksum.digest()).hex()


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` last. Windows opens no folder, and its file system keeps a journal of renames.

    Some filesystems of a network cannot do that with a folder either, and the server sees to it.
    """
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(handle)


def _settle(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
