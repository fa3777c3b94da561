"""Check taxi-ingest against a real account of Google Cloud, and print what was seen.

The months are made up, so no publisher is asked. With emulators (STORAGE_EMULATOR_HOST and BIGQUERY_EMULATOR_HOST) only
those checks run that emulators can stand in for. To check an account of least rights, sign in as that of
examples/terraform, and name its bucket and dataset.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from account import Account, Asked, NotAsSeenBeforeError, account
from checks import CHECKS, Check
from google.api_core.exceptions import GoogleAPICallError


def main() -> int:
    """Run the checks; returns 1 if one of them saw something else than it expects."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as folder, account(asked, Path(folder)) as there:
        failed = [check.name for check in CHECKS if not _show(check, there)]
    print(f"{len(failed)} of {len(CHECKS)} failed: {', '.join(failed)}" if failed else "all as expected")
    return 1 if failed else 0


def _show(check: Check, there: Account) -> bool:
    """Run a check and print a line of the table; returns whether all was as expected."""
    if there.emulated and not check.emulators:
        print(f"-    {check.name:29}  only a real account can show it", flush=True)
        return True
    if there.asked.dataset and check.makes_datasets:
        print(f"-    {check.name:29}  needs datasets of its own: leave out --dataset", flush=True)
        return True
    begun = time.monotonic()
    try:
        seen, right = check.look(there), True
    except NotAsSeenBeforeError as error:
        seen, right = str(error), False
    except GoogleAPICallError as error:  # this check cannot go on, others can
        seen, right = f"{type(error).__name__}: {error.message}", False
    print(f"{'ok  ' if right else 'FAIL'} {check.name:29}  {time.monotonic() - begun:5.0f} s  {seen}", flush=True)
    return right


def _arguments() -> Asked:
    parser = argparse.ArgumentParser(prog="tests/real_account/run", description=__doc__)
    parser.add_argument("project", help="a project with billing")
    parser.add_argument("region", help="where bucket and datasets are made, such as EU or europe-west4")
    parser.add_argument("--months", type=int, default=24, help="how many months are loaded at once (default: 24)")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of a month (default: 20,000)")
    parser.add_argument("--bucket", default="", help="a bucket that is there, instead of a new one")
    parser.add_argument("--dataset", default="", help="a dataset that is there, likewise")
    given = parser.parse_args()
    return Asked(given.project, given.region, given.months, given.rows, given.bucket, given.dataset)


if __name__ == "__main__":
    sys.exit(main())
