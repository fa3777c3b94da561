"""Help says what is in force, and a word that was typed by habit leads on."""

from __future__ import annotations

import re

import pytest
from conftest import Command

from taxi_ingest import exits
from taxi_ingest.cli import _VERBS
from taxi_ingest.cli.help import _CALLED_HERE


def help_of(taxi: Command, *verb: str) -> str:
    """The help of a verb in one line."""
    ran = taxi(*verb, "--help", COLUMNS="80")
    assert ran.code == 0, ran.err
    return " ".join(ran.out.split())


@pytest.mark.parametrize("verb", ["status", "rows", "verify", "clean"])
def test_what_looks_at_all_that_is_held_names_no_other_default(taxi: Command, verb: str) -> None:
    text = help_of(taxi, verb)
    assert "may repeat. [default: all that is held]" in text
    assert "TAXI_INGEST_SHARED__MONTH" not in text


def test_what_works_names_the_default_month_and_dataset(taxi: Command) -> None:
    text = help_of(taxi, "run")
    assert "[default: 2021-01; TAXI_INGEST_SHARED__MONTH]" in text
    assert "[default: yellow; TAXI_INGEST_SHARED__DATASET]" in text


@pytest.mark.parametrize("verb", _VERBS)
def test_every_verb_has_an_example_and_its_options_in_the_same_groups(taxi: Command, verb: str) -> None:
    ran = taxi(verb, "--help", COLUMNS="80")
    assert f"Examples:\n  taxi-ingest {verb} " in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    order = ["Arguments", "What", "Where", "How", "Output", "Other options", "Examples"]
    groups = re.findall(r"^([A-Z][A-Za-z ]+):$", ran.out, re.MULTILINE)
    assert groups == [group for group in order if group in groups]
    assert ran.out.partition("Other options:\n")[2].startswith("  -h, --help  Show this message and exit.\n")


@pytest.mark.parametrize(
    ("typed", "leads_to"),
    [
        ("help runn", "Did you mean 'run'?"),
        ("ls", "taxi-ingest status"),
        ("retry", "taxi-ingest run"),
        ("run -v", "taxi-ingest logs --verbose"),
        ("status --no-color", "NO_COLOR=1"),
        ("runn", "Did you mean 'run'?"),
        ("--month 2021-01", "Options stand after the verb: taxi-ingest run --month"),
        ("--data-dir data status", "Options stand after the verb: taxi-ingest status --data-dir"),
        ("run --jobs many", "'--jobs' / '-j': write a whole number"),
        ("run --jobs 0", "error: --jobs must be a whole number from 1 to 64, not 0."),
        ("verify yellow-2019-01", "Did you mean --dataset yellow --month 2019-01?"),
    ],
)
def test_what_habit_types_is_refused_with_what_to_type(taxi: Command, typed: str, leads_to: str) -> None:
    ran = taxi(*typed.split())
    assert (ran.code, leads_to in ran.err) == (2, True), ran.err


def test_every_word_of_others_leads_to_a_verb() -> None:
    assert {meant for word, meant in _CALLED_HERE.items() if meant not in _VERBS or word in _VERBS} == set()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("help", "--help"), ("help run", "run --help"), ("version", "--version"), ("-V", "--version")],
)
def test_what_other_programs_call_otherwise_works_here_too(taxi: Command, typed: str, meant: str) -> None:
    ran = taxi(*typed.split())
    assert (ran.code, ran.out) == (0, taxi(*meant.split()).out)


def test_help_begins_with_what_to_type_first_and_tells_the_exit_codes(taxi: Command) -> None:
    text = taxi("--help", COLUMNS="80").out
    assert "Examples:\n  taxi-ingest run --source demo " in text
    told = re.findall(r"^  (\d+) +\S", text.partition("Exit codes:")[2], re.MULTILINE)
    assert {int(code) for code in told} == set(exits.MEANINGS)


@pytest.mark.parametrize("columns", [80, 120])
def test_help_takes_the_width_of_the_terminal(taxi: Command, columns: int) -> None:
    for verb in ("", "run"):
        widest = max(map(len, taxi(*verb.split(), "--help", COLUMNS=str(columns)).out.splitlines()))
        assert columns - 20 < widest <= columns


def test_a_query_without_sql_says_what_to_write(taxi: Command) -> None:
    ran = taxi("query")
    assert (ran.code, 'such as "SELECT count(*) FROM yellow_tripdata"' in ran.err) == (2, True), ran.err
