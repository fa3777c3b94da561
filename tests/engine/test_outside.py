"""What others are told at the end of a run, where they can have it."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from taxi_ingest.engine.outside import Ended, Outside
from taxi_ingest.layout import Layout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_metrics_can_be_read_by_another_user_whatever_the_umask(tmp_path: Path) -> None:
    metrics = tmp_path / "taxi.prom"
    umask = os.umask(0o077)
    try:
        told = Outside(Layout(tmp_path), metrics=metrics).tell(Ended("r", "run", 0, 1.0))
        assert list(told) == []
    finally:
        os.umask(umask)
    assert stat.S_IMODE(metrics.stat().st_mode) == 0o644
