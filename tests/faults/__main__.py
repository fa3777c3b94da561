"""Break things on purpose, many times, and count: `tests/faults/run --kills 1000`. Exit code 1 if anything differed."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the publisher and the servers of the tests
from crashing import SCENARIOS, campaign


def main() -> int:
    """Run the campaigns that were asked for and print their totals."""
    asked = _arguments()
    chosen = [one for one in SCENARIOS if not asked.only or any(word in one.name for word in asked.only)]
    with tempfile.TemporaryDirectory(prefix="taxi-faults-") as folder:
        totals = campaign(Path(folder), asked.kills, asked.seed, chosen).values()
    differences = sum(len(one.differences) for one in totals)
    print(
        f"{sum(one.kills for one in totals)} kills, {sum(one.lives for one in totals)} lives, {differences} differences"
    )
    return 1 if differences else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/faults/run", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="runs to kill in all (default: 1000)")
    parser.add_argument("--seed", type=int, default=23, help="of the moments (default: 23)")
    parser.add_argument("--only", action="append", help="scenarios whose names have this word; may repeat")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
