"""The checks for a real account of Google Cloud: what emulators can stand in for is as expected here."""

from __future__ import annotations

import runpy
import sys
from types import SimpleNamespace

import pytest
from conftest import REPOSITORY, process
from google.api_core.exceptions import Forbidden

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


@pytest.mark.parametrize(("dataset", "right"), [("mine", [False, True]), ("", [False, False])])
def test_what_an_account_of_least_rights_may_not_do_ends_no_other_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dataset: str, right: list[bool]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    main = runpy.run_path(str(FOLDER / "__main__.py"))
    check = main["Check"]

    def refused(_: object) -> str:
        raise Forbidden("no right to do this")

    there = SimpleNamespace(emulated=False, asked=SimpleNamespace(dataset=dataset))
    assert [main["_show"](check(refused, makes_datasets=makes), there) for makes in (False, True)] == right
    shown = capsys.readouterr().out.splitlines()
    assert "FAIL refused" in shown[0]
    assert "no right to do this" in shown[0]
    assert ("needs datasets of its own" in shown[1]) == bool(dataset)
