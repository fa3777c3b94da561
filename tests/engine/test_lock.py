"""Who may work in a data directory, where its files belong to several users."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from taxi_ingest.engine.lock import is_locked

NOBODY = 65534

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there, no file may only be read while it is locked")


@pytest.fixture
def lock() -> Iterator[Path]:
    """A lock file that others may read, in a folder that they may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "lock"
        path.touch(0o644)
        yield path


def seen_by_another(path: Path) -> bool:
    """Whether someone who may only read the lock sees it held."""
    if os.geteuid():
        path.chmod(0o444)
        return is_locked(path)
    os.seteuid(NOBODY)
    try:
        return is_locked(path)
    finally:
        os.seteuid(0)


def test_a_lock_that_may_only_be_read_is_seen_to_be_held(lock: Path) -> None:
    with FileLock(lock):
        assert seen_by_another(lock)


def test_a_lock_that_may_only_be_read_and_nobody_holds_is_free(lock: Path) -> None:
    assert not seen_by_another(lock)
