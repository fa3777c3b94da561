"""The checks for a real account of Google Cloud: what emulators can stand in for is as expected here."""

from __future__ import annotations

import sys

from conftest import REPOSITORY, process

FOLDER = REPOSITORY / "tests" / "real_account"
SHOWN_HERE = (
    "two months", "doctor finds all in order", "values and types", "forced reload", "many months",
    "kill 9 while loading", "merge is the same",
)  # fmt: skip


def test_what_emulators_can_stand_in_for_is_as_expected(gcs_server: str, bigquery_server: str) -> None:
    environment = {"STORAGE_EMULATOR_HOST": gcs_server, "BIGQUERY_EMULATOR_HOST": bigquery_server}
    command = [sys.executable, str(FOLDER), "demo-project", "US", "--months", "3", "--rows", "300"]
    ran = process(command, REPOSITORY, environment)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "all as expected"), ran.out + ran.err
    shown = [line[5:34].strip() for line in ran.out.splitlines() if line.startswith("ok ")]
    assert shown == list(SHOWN_HERE)
    assert "STILL THERE" not in ran.out
