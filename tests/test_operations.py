"""Who is told how a run ended: a command on failure, an address, a file of metrics; and the systemd timer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from conftest import MONTH, Command, Publisher, answer, process
from filelock import FileLock
from test_looking_back import last_month

from taxi_ingest.errors import UsageError
from taxi_ingest.systemd import calendar

SAMPLE = r'(taxi_ingest_\w+(?:\{\w+="\w+"(?:,\w+="\w+")*\})?) (-?[0-9.]+)'
FACTS = "env | grep ^TAXI_INGEST_ > facts"


@pytest.fixture
def month(publisher: Publisher) -> tuple[str, ...]:
    """What to type for a month that the publisher has."""
    publisher.files["/yellow_tripdata_2020-01.csv"] = MONTH.read_bytes()
    return ("run", "--month", "2020-01", "--source", publisher.template)


def missing(month: tuple[str, ...]) -> tuple[str, ...]:
    return (*month, "--month", "2020-02")


def facts(folder: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (folder / "facts").read_text().splitlines())


# ---- a command


def test_a_failed_run_calls_the_command_with_what_failed(taxi: Command, month: tuple[str, ...], tmp_path: Path) -> None:
    ran = taxi(*missing(month), "--on-failure", FACTS, "--json")
    known = facts(tmp_path)
    assert (ran.code, known["TAXI_INGEST_EXIT"], known["TAXI_INGEST_FAILED"]) == (1, "1", "yellow-2020-02")
    assert known["TAXI_INGEST_RUN"] == ran.document["run"]
    assert known["TAXI_INGEST_MESSAGE"].startswith("yellow-2020-02 download: The publisher has no such file")
    assert Path(known["TAXI_INGEST_LOGS"], "yellow-2020-02-download-1.log").exists()


def test_what_the_command_prints_is_no_part_of_the_document(taxi: Command, month: tuple[str, ...]) -> None:
    ran = taxi(*missing(month), "--on-failure", "echo hello; exit 7", "--json")
    assert (ran.code, ran.document["exit"], "hello" in ran.err) == (1, 1, True)
    assert "The command of --on-failure ended with 7." in ran.err


def test_the_command_is_not_called_when_nothing_failed(
    taxi: Command, month: tuple[str, ...], publisher: Publisher, tmp_path: Path
) -> None:
    assert taxi(*month, "--on-failure", FACTS).code == 0
    later = ("run", "--month", last_month(), "--source", publisher.template)
    assert taxi(*later, "--on-failure", FACTS).code == 4
    assert not (tmp_path / "facts").exists()


def test_a_run_that_cannot_begin_calls_the_command(taxi: Command, month: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "data" / "state").mkdir(parents=True)
    with FileLock(tmp_path / "data" / "state" / "lock"):
        assert taxi(*month, TAXI_INGEST_OPERATE__ON_FAILURE=FACTS).code == 75
    known = facts(tmp_path)
    assert (known["TAXI_INGEST_EXIT"], known["TAXI_INGEST_RUN"]) == ("75", "")
    assert "Another run holds" in known["TAXI_INGEST_MESSAGE"]


def test_the_history_does_not_hold_the_command(taxi: Command, month: tuple[str, ...], tmp_path: Path) -> None:
    taxi(*missing(month), "--on-failure", "true token-in-words")
    assert "--on-failure …" in taxi("history").out
    assert not any(b"token-in-words" in path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())


# ---- an address


def test_the_address_hears_of_success_and_of_failure(
    taxi: Command, month: tuple[str, ...], publisher: Publisher
) -> None:
    publisher.files |= {"/ping/job": b"OK", "/ping/job/fail": b"OK"}
    ping = {"TAXI_INGEST_OPERATE__PING_URL": f"{publisher.url}/ping/job"}
    assert taxi(*month, **ping).code == 0
    assert publisher.requests[-1] == "/ping/job"
    assert taxi(*missing(month), **ping).code == 1
    assert publisher.requests[-1] == "/ping/job/fail"


@pytest.mark.parametrize(
    ("url", "told"), [("{}/ping", "answered 500"), ("http://127.0.0.1:9/ping", "could not be told how the run ended")]
)
def test_an_address_that_does_not_hear_is_said_and_fails_nothing(
    taxi: Command, month: tuple[str, ...], publisher: Publisher, url: str, told: str
) -> None:
    publisher.files["/ping"] = lambda to: answer(to, 500, b"oops")
    ran = taxi(*month, TAXI_INGEST_OPERATE__PING_URL=url.format(publisher.url))
    assert (ran.code, told in ran.err) == (0, True), ran.err


@pytest.mark.parametrize("verb", ["run", "config", "cron"])
def test_an_address_that_is_not_of_the_web_is_refused(taxi: Command, verb: str) -> None:
    ran = taxi(verb, TAXI_INGEST_OPERATE__PING_URL="ping me")
    assert (ran.code, "operate.ping_url must be an http or https address" in ran.err) == (2, True)


# ---- metrics


def metrics(folder: Path) -> dict[str, float]:
    """The values in the file, each by its name and labels; every line must be of the text format."""
    lines = (folder / "taxi.prom").read_text().splitlines()
    samples = [
        re.fullmatch(r"(taxi_ingest_\w+(?:\{\w+=\"\w+\"(?:,\w+=\"\w+\")*\})?) (-?[0-9.]+)", one) for one in lines
    ]
    known = {sample[1]: float(sample[2]) for sample in samples if sample}
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE ") and line.endswith(" gauge")]
    assert len(known) + 2 * len(typed) == len(lines)
    assert {name.partition("{")[0] for name in known} == set(typed)
    return known


def test_the_metrics_tell_the_last_run_and_the_last_success(
    taxi: Command, month: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text('[operate]\nmetrics_file = "taxi.prom"\n')
    assert taxi(*month).code == 0
    good = metrics(tmp_path)
    assert (good["taxi_ingest_last_run_exit_code"], good["taxi_ingest_last_run_rows"]) == (0, 999)
    assert good['taxi_ingest_last_run_steps{step="load",outcome="done"}'] == 1
    assert taxi(*missing(month)).code == 1
    bad = metrics(tmp_path)
    assert (bad["taxi_ingest_last_run_exit_code"], bad["taxi_ingest_last_run_failed_parts"]) == (1, 1)
    assert bad['taxi_ingest_last_run_steps{step="upload",outcome="blocked"}'] == 1
    assert bad["taxi_ingest_last_success_timestamp_seconds"] == good["taxi_ingest_last_success_timestamp_seconds"]
    assert bad["taxi_ingest_last_run_end_timestamp_seconds"] > good["taxi_ingest_last_run_end_timestamp_seconds"]


def test_metrics_that_cannot_be_written_are_said_and_fail_nothing(taxi: Command, month: tuple[str, ...]) -> None:
    ran = taxi(*month, TAXI_INGEST_OPERATE__METRICS_FILE="/proc/taxi.prom")
    assert (ran.code, "The metrics could not be written to /proc/taxi.prom" in ran.err) == (0, True)


# ---- systemd


@pytest.mark.parametrize(
    ("at", "written"),
    [
        ("17 6 * * *", "*-*-* 6:17:00"),
        ("*/5 0-23 1,15 JAN *", "*-1-1,15 0..23:0/5:00"),
        ("30 4 */2 */3 *", "*-1/3-1/2 4:30:00"),
        ("0 6 * * mon-fri", "Mon,Tue,Wed,Thu,Fri *-*-* 6:0:00"),
        ("0 6 * * 5-7", "Sun,Fri,Sat *-*-* 6:0:00"),
        ("@daily", "daily"),
        ("@midnight", "daily"),
        ("@weekly", "Sun *-*-* 00:00:00"),
    ],
)
def test_times_of_cron_are_times_of_systemd(at: str, written: str) -> None:
    assert calendar(at) == written


@pytest.mark.parametrize("at", ["0 6 1 * mon", "@reboot", "at noon", "0 6 * * someday"])
def test_times_that_systemd_cannot_say_are_refused(at: str) -> None:
    with pytest.raises(UsageError):
        calendar(at)


def test_the_service_runs_what_the_crontab_line_runs(
    taxi: Command, month: tuple[str, ...], publisher: Publisher, tmp_path: Path
) -> None:
    folder = tmp_path / "100% mine"
    folder.mkdir()
    arguments = ("cron", *month[1:], "--data-dir", "all data")
    text = taxi(*arguments, "--systemd", cwd=folder).out
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    command = shlex.split(lines["ExecStart"].replace("%%", "%").replace("$$", "$"))
    assert command == shlex.split(taxi(*arguments, cwd=folder).out.partition(" && ")[2].replace(r"\%", "%"))
    assert Path(lines["WorkingDirectory"].replace("%%", "%")) == folder
    assert process(["env", "-i", *command], folder).code == 0
    assert (folder / "all data" / "taxi.duckdb").exists()
    assert lines["OnCalendar"] == "*-*-* 6:17:00"
