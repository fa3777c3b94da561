"""What is put aside under a name by the second takes the place of nothing that was put aside before."""

from __future__ import annotations

from pathlib import Path

from taxi_ingest.cli.bugs import kept
from taxi_ingest.history.trouble import set_aside


def test_histories_damaged_in_one_second_all_stay(tmp_path: Path) -> None:
    database, log = tmp_path / "history.sqlite", tmp_path / "history.sqlite-wal"
    asides = []
    for number in range(5):
        database.write_text(f"history {number}")
        log.write_text(f"log {number}")
        asides.append(set_aside(database))
    assert [path.read_text() for path in asides] == [f"history {number}" for number in range(5)]
    assert [Path(f"{path}-wal").read_text() for path in asides] == [f"log {number}" for number in range(5)]


def test_bugs_of_one_second_all_have_their_log(tmp_path: Path) -> None:
    for number in range(5):
        kept(f"Traceback {number}", tmp_path)
    assert {path.read_text() for path in tmp_path.glob("bug-*.log")} == {f"Traceback {n}" for n in range(5)}
