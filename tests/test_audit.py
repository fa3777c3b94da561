"""`.ci/audit` fails when an advisory is known, and only then. pip-audit's answers are recorded from the real one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, Ran, process

ADVISORY = {
    "id": "CVE-0000-1", "fix_versions": ["2.99.0"], "aliases": ["MADE-UP-1"], "description": "made up",
}  # fmt: skip
REQUESTS = {"name": "requests", "version": "2.31.0", "vulns": [ADVISORY]}
RICH = {"name": "rich", "version": "13.7.0", "vulns": []}
SKIPPED = {"name": "cffi", "skip_reason": "Dependency not found on PyPI and could not be audited: cffi (2.0)"}


def audit(folder: Path, code: int, said: str) -> Ran:
    """Run the script beside a pip-audit that says this and ends with this code."""
    script, bin_ = folder / ".ci" / "audit", folder / ".cache" / "audit" / "bin"
    script.parent.mkdir()
    bin_.mkdir(parents=True)
    shutil.copy(REPOSITORY / ".ci" / "audit", script)
    (bin_ / "python").symlink_to(sys.executable)
    (folder / "said.json").write_text(said)
    (bin_ / "pip-audit").write_text(f"#!/bin/sh\ncat '{folder}/said.json'\nexit {code}\n")
    (bin_ / "pip-audit").chmod(0o755)
    return process(["bash", str(script)], folder)


def answer(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_an_advisory_fails_and_is_named_with_the_version_that_mends_it(tmp_path: Path) -> None:
    ran = audit(tmp_path, 1, answer(REQUESTS, RICH, SKIPPED))
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "requests 2.31.0: CVE-0000-1, mended in 2.99.0",
        "advisories: 1 about 2 packages; 1 are not known there",
    ]


def test_no_advisory_passes(tmp_path: Path) -> None:
    ran = audit(tmp_path, 0, answer(RICH))
    assert (ran.code, ran.out) == (0, "advisories: 0 about 1 packages; 0 are not known there\n")


@pytest.mark.parametrize("said", ["", answer(SKIPPED)], ids=["no answer", "nothing known"])
def test_a_service_that_cannot_be_asked_passes_and_is_told(tmp_path: Path, said: str) -> None:
    ran = audit(tmp_path, 1, said)
    assert (ran.code, "not looked up" in ran.out) == (0, True)
