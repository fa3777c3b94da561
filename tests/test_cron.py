"""The crontab line: it works where cron runs it, which is nowhere in particular with next to no environment."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import MONTH, Command, Publisher, Ran, process, query
from dates import months_ago
from republishing import FEWER, JANUARY, OCTOBER, REPUBLISHED, versioned

from taxi_ingest.cron import crontab_line
from taxi_ingest.errors import UsageError


def as_cron(line: str) -> Ran:
    """Do what cron does with the part after the five fields."""
    job = line.strip().split(" ", 5)[5].replace(r"\%", "%")
    return process(["env", "-i", "sh", "-c", job], Path("/"))


@pytest.fixture
def month(publisher: Publisher) -> str:
    """The newest month that the publisher has."""
    newest = months_ago(3)
    publisher.files[f"/yellow_tripdata_{newest}.csv"] = MONTH.read_bytes()
    return newest


def test_the_line_works_with_no_environment_and_is_quiet_the_second_time(
    taxi: Command, publisher: Publisher, month: str, tmp_path: Path
) -> None:
    line = taxi("cron", "--source", publisher.template).out
    assert line.startswith("17 6 * * * cd ")
    first, second = as_cron(line), as_cron(line)
    assert (first.code, second.code, second.out + second.err) == (0, 0, ""), first.err + second.err
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]
    *said, odd = first.out.splitlines()
    assert len(said) == 4
    assert f"of the pickups lie in {month}" in odd  # it is a file of 2020-01
    assert all(re.match(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d yellow-{month} \w+: done in ", text) for text in said)


def test_a_year_later_the_line_has_caught_up_and_tells_what_was_republished(
    taxi: Command, publisher: Publisher, month: str, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text("[download]\nrefresh_months = 3\n")
    line = taxi("cron", "--month", f"{month}..latest", "--source", publisher.template).out
    path = f"/yellow_tripdata_{month}.csv"
    publisher.files[path] = versioned(FEWER, etag='"1"', modified=OCTOBER)
    assert as_cron(line).code == 0
    assert as_cron(line) == Ran(0, "", "")
    publisher.files[path] = versioned(MONTH.read_bytes(), etag='"2"', modified=JANUARY)
    publisher.files[f"/yellow_tripdata_{months_ago(2)}.csv"] = MONTH.read_bytes()
    ran = as_cron(line)
    assert (ran.code, f"yellow-{month}: {REPUBLISHED}" in ran.out) == (0, True), ran.out + ran.err
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(2 * 999,)]


def test_a_failure_is_said_on_the_line(taxi: Command, publisher: Publisher, month: str) -> None:
    publisher.files[f"/yellow_tripdata_{month}.csv"] = b"<html>oops</html>"
    ran = as_cron(taxi("cron", "--source", publisher.template).out)
    assert (ran.code, f"yellow-{month} download: failed" in ran.out) == (1, True)


def test_the_line_bears_spaces_quotes_and_percent_signs(
    taxi: Command, publisher: Publisher, month: str, tmp_path: Path
) -> None:
    folder = tmp_path / "it's 100% mine"
    folder.mkdir()
    line = taxi("cron", "--source", publisher.template, "--data-dir", "all data", cwd=folder).out
    assert as_cron(line).code == 0
    assert (folder / "all data" / "taxi.duckdb").exists()


def test_the_line_names_the_installed_program_by_its_full_path(taxi: Command, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "taxi-ingest"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom taxi_ingest.cli import main\nmain()\n")
    script.chmod(0o755)
    line = process(["bin/taxi-ingest", "cron", "--month", "2024-01..latest"], tmp_path).out
    assert f"&& {script} run --month 2024-01..latest --quiet" in line
    assert shutil.which(line.split("&& ")[1].split()[0]) == str(script)


@pytest.mark.parametrize("at", ["17 6 * *", "at noon", "17 6 * * * root", "* * * * $(rm)", ""])
def test_a_time_that_cron_does_not_know_ends_2(taxi: Command, at: str) -> None:
    ran = taxi("cron", "--at", at)
    assert (ran.code, ran.out) == (2, "")


NO_TIMES = [
    "0 25 * * *", "60 * * * *", "0 0 0 * *", "0 0 1 13 *", "0 0 * * 8", "*/0 * * * *", "5/10 * * * *",
    "30-10 * * * *", "* * * foo *", "1,,2 * * * *", "@never",
]  # fmt: skip


@pytest.mark.parametrize("at", NO_TIMES)
def test_a_field_that_cron_would_not_take_is_refused(at: str) -> None:
    with pytest.raises(UsageError, match="no time for cron"):
        crontab_line(at, [], Path("/"))


@pytest.mark.parametrize("at", ["*/5 0-23 1,15 JAN mon", "0-59/10 6 * jan-mar 7", "@daily"])
def test_the_time_stands_first(taxi: Command, at: str) -> None:
    assert taxi("cron", "--at", at).out.startswith(f"{at} cd ")


def test_a_path_that_would_end_the_line_is_refused(taxi: Command) -> None:
    ran = taxi("cron", "--data-dir", "a\nb")
    assert (ran.code, ran.out, "control character" in ran.err) == (2, "", True), ran.err
