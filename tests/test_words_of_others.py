"""Words of others stay words: none becomes a command of a shell or SQL, and no secret an argument of a process."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA, MONTH, Command, Publisher, query

NAME = "it's \"new\"; touch pwned; $(touch pwned) `touch pwned` | & % --' OR true"
"""The name of a data directory, as nobody should choose it."""


@pytest.fixture
def oddly(taxi: Command, publisher: Publisher, tmp_path: Path) -> str:
    """What a run says that loaded a month into a data directory of that name."""
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    ran = taxi("run", "--month", "2020-01", "--source", publisher.template, "--data-dir", NAME)
    assert ran.code == 0, ran.err
    return ran.out


def in_a_shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", line], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_the_line_that_shows_the_table_does_nothing_else(oddly: str, tmp_path: Path) -> None:
    (line,) = re.findall(r"^Look at it: (.+)$", oddly, re.MULTILINE)
    shown = in_a_shell(line, tmp_path)
    assert (shown.returncode, "VendorID" in shown.stdout) == (0, True), shown.stderr
    assert not list(tmp_path.rglob("pwned"))


def test_the_line_that_tells_more_does_nothing_else(
    oddly: str, taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    ran = taxi("run", "--month", "2020-02", "--source", publisher.template, "--data-dir", NAME, "--force")
    (options,) = re.findall(r"^See: taxi-ingest (.+)$", ran.out, re.MULTILINE)
    shown = in_a_shell(f"{sys.executable} -m taxi_ingest {options}", tmp_path)
    assert (shown.returncode, "yellow-2020-02" in shown.stdout) == (0, True), shown.stderr
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("method", ["table", "external"])
def test_a_path_is_no_sql(oddly: str, taxi: Command, publisher: Publisher, tmp_path: Path, method: str) -> None:
    run = ("run", "--month", "2020-01", "--source", publisher.template, "--data-dir", NAME)
    for _ in range(2):
        assert taxi(*run, TAXI_INGEST_LOAD__METHOD=method).code == 0
    assert query(tmp_path / NAME / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]
    assert taxi("verify", "--data-dir", NAME).code == 0


def test_no_process_is_given_a_secret_as_an_argument(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    published = (DATA / "green_tripdata_2025-01.parquet").read_bytes()  # Parquet is converted in a process of its own
    publisher.files["/green_tripdata_2025-01.parquet?token=tok-secret"] = published
    address = publisher.url.replace("//", "//anna-secret:hunter2-secret@")
    source = f"{address}/{{dataset}}_tripdata_{{month}}.parquet?token=tok-secret"
    command = [sys.executable, "-m", "taxi_ingest", "run", "--dataset", "green", "--month", "2025-01", "--quiet"]
    seen: set[bytes] = set()
    with subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"TAXI_INGEST_GLOBAL__SOURCE": source}) as running:
        while running.poll() is None:
            for arguments in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(arguments.read_bytes())
    assert running.returncode == 0
    assert [one for one in seen if b"taxi_ingest.engine.conversion" in one] != []
    assert [one for one in seen if re.search(b"(anna|hunter2|tok)-secret", one)] == []
