"""Builds the wheel and the source distribution, and looks at what is in them."""

from __future__ import annotations

import configparser
import email
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

EXTRAS = {"postgres"}
"""Extras that are part of the product; the others are for those who work on it, and airflow, whose own constraints
hold."""

ENTRY_POINTS = {
    ("console_scripts", "taxi-ingest"): "taxi_ingest.cli:main",
    ("doit.BACKEND", "receipts"): "taxi_ingest.engine.doit_database:ReceiptsAreTheState",
}
IN_THE_SDIST = {
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "config.toml", "constraints.txt"),
    *("dodo.py", "pyproject.toml", "tests/run", "docs/install.md"),
}
LARGEST_WHEEL = 2_000_000
LARGEST_SDIST = 5_000_000


@dataclass(frozen=True)
class Release:
    """What was built: the wheel from the sdist, and another one straight from the repository."""

    sdist: Path
    wheel: Path
    direct: Path


def build(repository: Path, folder: Path) -> Release:
    """Build into `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--outdir"]
    direct = folder / "direct"
    for arguments in ([str(folder)], [str(direct), "--wheel"]):
        built = subprocess.run([*command, *arguments, str(repository)], capture_output=True, text=True, check=False)
        if built.returncode:
            raise SystemExit(f"{built.stdout}{built.stderr}")
    (sdist,), (wheel,), (other,) = folder.glob("*.tar.gz"), folder.glob("*.whl"), direct.glob("*.whl")
    return Release(sdist, wheel, other)


def wrong(release: Release, repository: Path) -> Iterator[str]:
    """What is wrong with what was built, a sentence each."""
    checked = [sys.executable, "-m", "twine", "check", "--strict", str(release.sdist), str(release.wheel)]
    twine = subprocess.run(checked, capture_output=True, text=True, check=False)
    if twine.returncode:
        yield f"twine: {twine.stdout}{twine.stderr}"
    files = _files(release.wheel)
    if files != _files(release.direct):
        yield "the wheel that is built from the sdist differs from the one that is built from the repository"
    version = _version(repository)
    if not release.wheel.name.startswith(f"taxi_ingest-{version}-py3-none-any"):
        yield f"{release.wheel.name} is not the wheel of {version}"
    if release.sdist.name != f"taxi_ingest-{version}.tar.gz":
        yield f"{release.sdist.name} is not the sdist of {version}"
    yield from _wrong_in_the_wheel(files, f"taxi_ingest-{version}.dist-info", _tracked(repository))
    if release.wheel.stat().st_size > LARGEST_WHEEL or release.sdist.stat().st_size > LARGEST_SDIST:
        yield "wheel or sdist is larger than what it holds can be"
    held, tracked = _names(release.sdist), _tracked(repository)
    if missing := IN_THE_SDIST - held:
        yield f"the sdist lacks {sorted(missing)}"
    if more := held - tracked - {"PKG-INFO"}:
        yield f"the sdist has what is not in the repository: {sorted(more)[:5]}"
    if f"\n## {version} (" not in (repository / "CHANGELOG.md").read_text():
        yield f"CHANGELOG.md tells nothing of {version}"


def _wrong_in_the_wheel(files: dict[str, bytes], about: str, tracked: set[str]) -> Iterator[str]:
    package = {name for name in files if not name.startswith(f"{about}/")}
    wanted = {name for name in tracked if name.startswith("taxi_ingest/")}
    if package != wanted:
        yield f"the wheel holds other files than the package: {sorted(package ^ wanted)[:5]}"
    if "taxi_ingest/py.typed" not in files:
        yield "the wheel does not say that it has types"
    if f"{about}/licenses/LICENSE" not in files:
        yield "the wheel has no licence"
    entries = configparser.ConfigParser(delimiters="=")
    entries.optionxform = str  # type: ignore[assignment,method-assign] - doit.BACKEND is in capitals
    entries.read_string(files[f"{about}/entry_points.txt"].decode())
    if {(group, name): to for group in entries.sections() for name, to in entries.items(group)} != ENTRY_POINTS:
        yield "the wheel has other entry points"


def lowest(release: Release, constraints: Path) -> Path:
    """Write the constraints by which pip takes the lowest version of each package that the wheel allows."""
    (about,) = (text for name, text in _files(release.wheel).items() if name.endswith("/METADATA"))
    required = [Requirement(text) for text in email.message_from_bytes(about).get_all("Requires-Dist", [])]
    wanted = [one for one in required if _is_product(one)]
    lines = (
        f"{one.name}=={bound}{f' ; {one.marker}' if _is_plain(one) else ''}" for one in wanted for bound in _lowest(one)
    )
    constraints.write_text("".join(f"{line}\n" for line in lines))
    return constraints


def _is_product(required: Requirement) -> bool:
    extras = re.findall(r'extra == "([^"]+)"|extra == \'([^\']+)\'', str(required.marker or ""))
    return all((double or single) in EXTRAS for double, single in extras)


def _is_plain(required: Requirement) -> bool:
    return required.marker is not None and "extra" not in str(required.marker)


def _lowest(required: Requirement) -> list[str]:
    return [one.version for one in required.specifier if one.operator in {">=", "=="}]


def _version(repository: Path) -> str:
    (version,) = re.findall(
        r'^__version__ = "(.+)"$', (repository / "taxi_ingest/__init__.py").read_text(), re.MULTILINE
    )
    return version


def _tracked(repository: Path) -> set[str]:
    """The files of the repository that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.split("\0") if name}


def _files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def _names(sdist: Path) -> set[str]:
    """The files in a source distribution, without the folder that holds all of them."""
    with tarfile.open(sdist) as packed:
        return {member.name.partition("/")[2] for member in packed.getmembers() if member.isfile()}
