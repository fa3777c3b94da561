"""What the command line says to somebody who typed nearly the right thing, and how it explains itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import Command, process


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--warehouse", "taxi.duckdb"], "Did you mean duckdb:taxi.duckdb?"),
        (["--warehouse", "bigqery://p/d"], "Did you mean bigquery://project/dataset?"),
        (["--store", "gcs://bucket"], "Did you mean gs://bucket/prefix?"),
        (["--source", "/copies/{month}.csv"], "Did you mean file:///copies/{month}.csv?"),
        (["--source", "cvs"], "Did you mean csv?"),
        (["--month", "2021-1"], "Did you mean 2021-01?"),
        (["--month", "lastest"], "Did you mean latest?"),
        (["--dataset", "yelow"], "Did you mean yellow?"),
        (["2021-01"], "Did you mean --month 2021-01?"),
        (["2021-01..latest"], "Did you mean --month 2021-01..latest?"),
        (["green"], "Did you mean --dataset green?"),
    ],
)
def test_what_was_meant_is_guessed(taxi: Command, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    ran = taxi("run", *arguments)
    assert (ran.code, list(tmp_path.iterdir())) == (2, []), ran.err
    assert sentence in ran.err


def test_a_relative_path_is_guessed_as_a_whole_one(taxi: Command, tmp_path: Path) -> None:
    assert f"Did you mean file://{tmp_path}/x/{{month}}.csv?" in taxi("run", "--source", "x/{month}.csv").err


@pytest.mark.parametrize("verb", ["config", "doctor", "cron"])
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SHARED__MONTH", "2021-13"),
        ("SHARED__DATASET", "yelow"),
        ("GLOBAL__SOURCE", "cvs"),
        ("GLOBAL__STORE", "s3://bucket"),
        ("GLOBAL__WAREHOUSE", "sqlite:x"),
        ("LOAD__METHOD", "append"),
    ],
)
def test_a_verb_checks_the_settings_that_it_shows(taxi: Command, verb: str, setting: str, value: str) -> None:
    ran = taxi(verb, **{f"TAXI_INGEST_{setting}": value})
    assert (ran.code, "error: " in ran.err) == (2, True), ran.err


def test_settings_that_cannot_go_together_are_shown_and_refused(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[parquetize]\ncompression = "gzip"\ncompression_level = 12\n')
    ran = taxi("config")
    assert (ran.code, "compression_level must be at most 9 for gzip" in ran.err) == (2, True)
    assert "parquetize.compression_level" in ran.out


# ---- help


def test_help_is_grouped_with_defaults_environment_names_and_examples(taxi: Command) -> None:
    text = taxi("run", "-h", COLUMNS="200").out
    headings = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["What:", "Where:", "How:", "Output:", "Other options:", "Examples:"]
    assert "How many steps may work at the same time. [default: 4; TAXI_INGEST_GLOBAL__JOBS]" in " ".join(text.split())
    assert "\n  taxi-ingest run -m 2021-01  " in text


def test_every_verb_has_its_whole_sentence_and_a_group(taxi: Command) -> None:
    text = taxi("--help").out
    assert "...\n" not in text.partition("Options:")[2]
    assert "\nBring months to a table:\n  run " in text


@pytest.mark.parametrize(
    ("verb", "missing"),
    [("download", "--store --warehouse --strict"), ("parquetize", "--store --warehouse"), ("upload", "--warehouse")],
)
def test_a_step_shows_only_options_that_it_uses(taxi: Command, verb: str, missing: str) -> None:
    text = taxi(verb, "--help").out
    assert [option for option in missing.split() if option in text] == []
    assert taxi(verb, missing.split(maxsplit=1)[0], "x").code == 2


def test_a_dry_run_is_the_plan_and_does_nothing(taxi: Command, tmp_path: Path) -> None:
    arguments = ("-m", "2021-01", "--source", "demo")
    planned, dry = (taxi(*words, *arguments).out.splitlines()[:-1] for words in (["plan"], ["run", "-n"]))
    assert planned == dry  # but for the last line, which tells what is free on the disk at this moment
    assert len(planned) > 4
    assert list(tmp_path.iterdir()) == []
    steps = taxi("parquetize", *arguments, "-n", "--json").document["parts"][0]["steps"]
    assert list(steps) == ["download", "parquetize"]


# ---- completion


def completed(line: str) -> list[str]:
    """What bash is offered at the end of `line`; the variable's name follows from that of the script."""
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_TAXI_INGEST_COMPLETE": "complete_bash"}
    script = "import sys; sys.argv = ['taxi-ingest']; from taxi_ingest.cli import main; main()"
    return process([sys.executable, "-c", script], Path.cwd(), environment).out.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("taxi-ingest his", ["history"]),
        ("taxi-ingest run --dataset y", ["yellow"]),
        ("taxi-ingest run -d fhv", ["fhv", "fhvhv"]),
        ("taxi-ingest run --source t", ["tlc"]),
        ("taxi-ingest plan -m 2021-0", [f"2021-0{number}" for number in range(1, 10)]),
        ("taxi-ingest logs p", ["parquetize"]),
    ],
)
def test_the_shell_completes(line: str, found: list[str]) -> None:
    assert completed(line) == found


def test_the_shell_completes_runs(taxi: Command, tmp_path: Path) -> None:
    run = taxi("run", "--source", "demo", "-m", "2021-01", "--json", TAXI_INGEST_DEMO__ROWS="100").document["run"]
    line = f"taxi-ingest history --data-dir {tmp_path}/demo-data {run[:9]}"
    assert completed(line) == [run]
