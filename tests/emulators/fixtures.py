"""Fixtures: the servers, started once a test process, and skipped where they are not installed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import servers

FOLDER = Path(__file__).parents[2] / ".cache" / "emulators"


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a GCS server."""
    if not servers.installed(FOLDER):
        pytest.skip("the GCS server is not installed: tests/emulators/install.sh .cache/emulators")
    with contextlib.ExitStack() as running:
        yield running.enter_context(servers.gcs(FOLDER, tmp_path_factory.mktemp("gcs")))


@pytest.fixture(scope="session")
def bigquery_server(gcs_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a BigQuery server that reads gs:// from `gcs_server`."""
    with contextlib.ExitStack() as running:
        yield running.enter_context(servers.bigquery(FOLDER, tmp_path_factory.mktemp("bigquery"), gcs_server))
