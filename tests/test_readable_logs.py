"""Logs are read by people: results in words, tracebacks as Python lays them out."""

from __future__ import annotations

import re
from pathlib import Path

from conftest import MONTH, Loaded, Terminal


def test_a_log_tells_the_result_of_each_step_in_words(loaded: Loaded) -> None:
    shown = loaded.taxi("logs").out
    ends = [line.partition(" is done: ")[2] for line in shown.splitlines() if " is done: " in line]
    size = f"{MONTH.stat().st_size:,}"
    begins = [
        f"{size} bytes of csv",
        "999 rows, 0 rejects of 999 lines",
        r"\S+ bytes as yellow/",
        "999 rows in yellow_",
    ]
    assert len(ends) == len(begins)
    assert [end for end, begin in zip(ends, begins, strict=True) if not re.match(begin, end)] == []
    assert "=" not in "".join(ends)


def test_a_traceback_on_a_terminal_is_that_of_the_file(terminal: Terminal, tmp_path: Path) -> None:
    source = f"file://{tmp_path}/{{month}}.csv"
    assert terminal(80, "run", "--month", "2020-01", "--source", source, "--data-dir", "d").code == 1
    (log,) = (tmp_path / "d" / "logs").rglob("*.log")
    lines = log.read_text(encoding="utf-8").splitlines()
    traceback = "".join(lines[lines.index("Traceback (most recent call last):") :])
    shown = terminal(80, "logs", "--verbose", "--data-dir", "d").text
    assert traceback.replace(" ", "") in "".join(shown.split("\n")).replace(" ", "")
    assert not [line for line in shown.splitlines() if len(line) > 1 and set(line.strip()) == {"^"} and line[0] == "^"]
