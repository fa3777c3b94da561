"""Which months the crontab line names: none is lost in a night that fails, or in which two appear."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import MONTH, Command, Loaded, Publisher, process, query
from dates import months_ago

from taxi_ingest.nights import Known, choose


def nights(line: str) -> list[str]:
    """What the line does, without the words of cron."""
    return re.sub(r"^(\S+ ){5}", "", line.strip()).split(" run ", 1)[1].split()


def name(month: str) -> str:
    return f"/yellow_tripdata_{month}.csv"


def test_two_months_that_appear_at_once_are_both_loaded(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    publisher.files[name(months_ago(4))] = MONTH.read_bytes()
    line = taxi("cron", "--source", publisher.template).out
    job = ["sh", "-c", line.strip().split(" ", 5)[5]]
    assert process(job, tmp_path).code == 0
    publisher.files |= {name(months_ago(number)): MONTH.read_bytes() for number in (3, 2)}
    assert process(job, tmp_path).code == 0
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(DISTINCT file_month) FROM yellow_tripdata") == [(3,)]


def test_the_line_begins_with_the_first_month_that_is_held(loaded: Loaded) -> None:
    ran = loaded.taxi("cron", "--source", loaded.publisher.template)
    assert (ran.code, nights(ran.out)[:2]) == (0, ["--month", "2020-01..latest"])
    assert "from the first that is held here" in ran.err
    assert loaded.publisher.requests == []


def test_months_of_the_config_file_that_go_up_to_latest_are_left_to_it(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[shared]\nmonth = "2024-01..latest"\n')
    ran = taxi("cron")
    assert (ran.code, nights(ran.out)) == (0, ["--quiet"])
    assert "those of the config file, at present 2024-01..latest" in ran.err


def test_a_config_file_that_the_environment_names_stands_in_the_line(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[shared]\nmonth = "2024-01..latest"\n')
    assert nights(taxi("cron", TAXI_INGEST_CONFIG="mine.toml").out) == ["--config", "mine.toml", "--quiet"]


def test_settings_of_the_environment_are_said_to_be_unknown_to_cron(taxi: Command) -> None:
    ran = taxi("cron", "--month", "2024-01..latest", TAXI_INGEST_GLOBAL__JOBS="2")
    assert (ran.code, "Cron does not know your environment: put TAXI_INGEST_GLOBAL__JOBS into" in ran.err) == (0, True)


def test_a_dataset_without_months_gets_none(taxi: Command) -> None:
    assert nights(taxi("cron", "--dataset", "zones").out) == ["--dataset", "zones", "--quiet"]


def test_refresh_is_passed_on(taxi: Command) -> None:
    ran = taxi("cron", "--month", "2024-01..latest", "--refresh")
    assert nights(ran.out) == ["--month", "2024-01..latest", "--refresh", "--quiet"]


@pytest.mark.parametrize(("months", "said"), [("3", "the newest 3 of them"), ("0", "are not noticed")])
def test_it_is_said_whether_republished_files_are_noticed(
    taxi: Command, tmp_path: Path, months: str, said: str
) -> None:
    (tmp_path / "config.toml").write_text(f"[download]\nrefresh_months = {months}\n")
    assert said in taxi("cron", "--month", "2024-01..latest").err


@pytest.mark.parametrize(
    ("known", "months"),
    [
        (Known(given="latest", configured="2020-01..latest"), "latest"),
        (Known(configured="2020-01..latest", first_held="2019-01"), ""),
        (Known(configured="2020-01..latest", in_file=False), "2020-01..latest"),
        (Known(configured="2020-05,2020-03", first_held="2019-01"), "2020-03..latest"),
        (Known(configured="latest", first_held="2019-01"), "2019-01..latest"),
        (Known(first_held="2019-01"), "2019-01..latest"),
        (Known(), "2024-06..latest"),
    ],
)
def test_the_months_go_up_to_the_newest_unless_others_are_given(known: Known, months: str) -> None:
    assert choose(known, lambda: "2024-06")[0] == months


@pytest.mark.parametrize(
    ("given", "said"), [("latest", "loads the newest only"), ("2020-01", "never a newer one"), ("2020-01..latest", "")]
)
def test_months_that_lose_others_are_given_with_a_word_about_that(given: str, said: str) -> None:
    assert said in choose(Known(given=given), lambda: "2024-06")[1]
