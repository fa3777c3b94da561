"""What a run notes and logs is for its owner's eyes alone."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, Loaded, process

from taxi_ingest.files import make_private


def modes(data: Path) -> dict[str, int]:
    return {name: stat.S_IMODE((data / name).stat().st_mode) for name in ("state", "logs")}


PRIVATE = {"state": 0o700, "logs": 0o700}


def test_a_run_makes_the_folders_of_state_and_logs_its_owners_alone(loaded: Loaded) -> None:
    assert modes(loaded.data) == PRIVATE


def test_what_is_to_be_used_by_others_stays_open_to_them(loaded: Loaded) -> None:
    shared = [loaded.data, *(loaded.data / name for name in ("lake", "parquet", "taxi.duckdb"))]
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in shared)


def test_the_next_run_narrows_the_folders_of_an_earlier_version(loaded: Loaded) -> None:
    for name in PRIVATE:
        (loaded.data / name).chmod(0o755)
    assert loaded.run().code == 0
    assert modes(loaded.data) == PRIVATE


def test_so_does_plain_doit(loaded: Loaded) -> None:
    for name in PRIVATE:
        (loaded.data / name).chmod(0o775)
    environment = {
        "TAXI_INGEST_GLOBAL__DATA_DIR": str(loaded.data),
        "TAXI_INGEST_GLOBAL__SOURCE": loaded.publisher.template,
    }
    ran = process([sys.executable, "-m", "doit", "month=2020-01", "load"], REPOSITORY, environment)
    assert ran.code == 0, ran.err
    assert modes(loaded.data) == PRIVATE


def test_a_folder_that_allows_its_owner_less_is_not_widened(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o555)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o500


def test_a_folder_of_another_user_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    make_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
