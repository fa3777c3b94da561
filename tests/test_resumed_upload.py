"""An upload that was killed goes on with the next run; the address of its session stands in its note alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from conftest import Command
from resumable_gcs import resumable_gcs

DEMO = {"TAXI_INGEST_DEMO__ROWS": "700000"}
UPLOAD = ["upload", "--month", "2021-01", "--source", "demo", "--data-dir", "data", "--store", "gs://demo-bucket/lake"]


def holding(folder: Path, word: bytes) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


def test_the_next_run_sends_what_a_killed_one_had_not(taxi: Command, tmp_path: Path) -> None:
    with resumable_gcs() as google:
        environment = {**DEMO, "STORAGE_EMULATOR_HOST": google.url}
        command = [sys.executable, "-m", "taxi_ingest", *UPLOAD]
        with subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **environment}) as killed:
            google.before = lambda chunk: killed.send_signal(signal.SIGKILL) if chunk else None
            killed.wait(120)
        google.before = lambda _: None
        assert killed.returncode == -signal.SIGKILL
        note = "data/state/uploads/yellow/yellow_tripdata_2021-01.parquet.upload.json"
        assert holding(tmp_path, b"upload_id") == [note]
        there = len(google.sessions["s1"].arrived)
        google.received = 0
        ran = taxi(*UPLOAD, **environment)
        assert ran.code == 0, ran.err
        ((_, content),) = google.objects.values()
        assert (google.begun, google.received) == (1, len(content) - there)
        assert holding(tmp_path, b"upload_id") == []
