"""Build the release, check it, and try it from an empty folder on each Python, and at the lowest versions allowed.

On the first of the Pythons it is also tried with the lowest version of each package that pyproject.toml allows, and
with --tests the test files of `SUITES` are run there. A Python that is not at hand is named, and the exit code is 3;
it is 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import building
import trying

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / ".cache" / "release"


def main() -> int:
    """Do all of it; returns the exit code."""
    asked = _arguments()
    release = building.build(REPOSITORY, FOLDER / "dist")
    wrong = list(building.wrong(release, REPOSITORY))
    print(f"built {release.wheel.name} ({_kb(release.wheel)}) and {release.sdist.name} ({_kb(release.sdist)})")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if wrong:
        return 1
    pythons = {version: trying.python(version) for version in asked.python}
    for version, python in pythons.items():
        if python:
            print(f"Python {version}: {trying.tried(release, python, FOLDER / version)}", flush=True)
    lowest = next((version for version, python in pythons.items() if python), None)
    if lowest:
        folder, at_lowest = FOLDER / f"{lowest}-lowest", building.lowest(release, FOLDER / "lowest.txt")
        print(f"Python {lowest}: {trying.tried(release, pythons[lowest], folder, at_lowest)}, at the lowest versions")
        if asked.tests:
            trying.test(folder, at_lowest)
    missing = [version for version, python in pythons.items() if not python]
    print(*(f"Python {version}: not at hand, so not tried" for version in missing), sep="\n")
    return 3 if missing else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/release/run", description=__doc__)
    parser.add_argument("--python", nargs="+", default=["3.11", "3.12", "3.13"], help="versions to try, lowest first")
    parser.add_argument("--tests", action="store_true", help="also run tests at the lowest versions: ten minutes")
    return parser.parse_args()


def _kb(path: Path) -> str:
    return f"{path.stat().st_size / 1000:,.0f} kB"


if __name__ == "__main__":
    sys.exit(main())
