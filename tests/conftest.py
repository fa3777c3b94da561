"""What all tests share: a wall around them, the rule of required suites, and helpers from the modules beside it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from clouds import Cloud, cloud
from commands import (
    ALL_UP_TO_DATE,
    DATA,
    MONTH,
    SELF,
    Command,
    Load,
    Loaded,
    Ran,
    load,
    loaded,
    loaded_once,
    only,
    process,
    query,
    taxi,
)
from emulators.fixtures import bigquery_server, gcs_server
from postgres_server import PostgresServer, postgres_server
from publishing import Answer, Publisher, answer, publisher, serve
from terminals import Terminal, terminal

__all__ = [
    "ALL_UP_TO_DATE", "DATA", "MONTH", "REPOSITORY", "SELF", "Answer", "Cloud", "Command", "Load", "Loaded",
    "PostgresServer", "Publisher", "Ran", "Terminal", "answer", "bigquery_server", "cloud", "gcs_server", "load",
    "loaded", "loaded_once", "only", "postgres_server", "process", "publisher", "query", "serve", "taxi",
    "terminal",
]  # fmt: skip

REPOSITORY = Path(__file__).parents[1]

REQUIRED = (Path(__file__).parent / "required.txt").read_text().split()

hypothesis.settings.register_profile("on a busy machine", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("on a busy machine")

LONG = ("faults", "airflow", "warehouses")
"""Folders of files that take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, so that no worker is left alone with one; in CI, required suites must hold tests."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)
    if os.environ.get("CI"):
        there = {str(item.path.relative_to(REPOSITORY)) for item in items}
        missing = [suite for suite in REQUIRED if suite not in there]
        if missing and len(there) > len(REQUIRED):
            raise pytest.UsageError(f"suites of required.txt that hold no test: {missing}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In CI, a skip in a suite named in required.txt is a failure."""
    report: Any = yield
    if os.environ.get("CI") and report.skipped and str(item.path.relative_to(REPOSITORY)) in REQUIRED:
        report.outcome = "failed"
        report.longrepr = f"skipped, but this suite is named in required.txt: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def walled_in(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No home, no credentials, no settings of the developer's, and no way out but loopback."""
    for name in list(os.environ):
        if name.startswith(("TAXI_INGEST_", "GOOGLE_", "CLOUDSDK_", "STORAGE_", "BIGQUERY_", "PG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp() / "home"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: nobody answers
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {
            "127.0.0.1",
            "::1",
            "localhost",
        }:
            raise AssertionError(f"a test reached out to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)
