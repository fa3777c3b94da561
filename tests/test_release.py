"""What is installed is the package, whole and with nothing else; `tests/release/run` tries it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY

from taxi_ingest import __version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    files = (path for path in (REPOSITORY / "taxi_ingest").rglob("*") if path.is_file() and path.suffix != ".pyc")
    about = f"taxi_ingest-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as packed:
        held = set(packed.namelist())
    assert {name for name in held if not name.startswith(about)} == {
        path.relative_to(REPOSITORY).as_posix() for path in files
    }
    assert {f"{about}/licenses/LICENSE", f"{about}/entry_points.txt", "taxi_ingest/py.typed"} <= held


def test_the_newest_section_of_the_changelog_is_of_this_version() -> None:
    headings = [line for line in (REPOSITORY / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[0].startswith(f"## {__version__} (")
