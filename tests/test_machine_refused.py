"""What this machine refuses is told as one sentence with a remedy."""

from __future__ import annotations

import errno
import os

import pytest

from taxi_ingest.errors import MAKE_ROOM, has_no_room, machine_refused


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_full_quota_are_told_alike_with_what_makes_room(number: int) -> None:
    error = OSError(number, os.strerror(number), "/data/raw/a.csv")
    assert (has_no_room(error), machine_refused(error)) == (True, f"this machine refused: {error}. {MAKE_ROOM}")


def test_what_a_library_passes_on_without_the_number_is_known_by_its_words() -> None:
    assert machine_refused(OSError("Error writing bytes to file: Disk quota exceeded")).endswith(MAKE_ROOM)


def test_a_folder_that_may_not_be_written_is_no_full_disk() -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/data")
    assert (has_no_room(error), "permissions" in machine_refused(error)) == (False, True)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_told_with_the_limit_to_raise(number: int) -> None:
    assert "ulimit -n" in machine_refused(OSError(number, os.strerror(number), "/data/raw/a.csv"))


def test_a_filesystem_without_locks_is_told_with_what_to_name_instead() -> None:
    assert "--data-dir on another disk" in machine_refused(OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)))


def test_anything_else_is_a_bug() -> None:
    assert not machine_refused(ValueError("no space left on device"))
