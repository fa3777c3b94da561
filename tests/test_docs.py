"""The documentation is executed: its commands are understood, its Python runs, its tables are those of the code."""

from __future__ import annotations

import csv
import re
import shlex
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command, Ran, process, query

from taxi_ingest import exits
from taxi_ingest.cli import app

DOCS = REPOSITORY / "docs"
PAGES = sorted(DOCS.glob("*.md"))
README = REPOSITORY / "README.md"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The words of every command of taxi-ingest in a page, without its name."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("taxi-ingest ")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's data, as a reader has it."""
    folder = tmp_path_factory.mktemp("reader")
    ran = taxi_in(folder, "run", "--source", "demo")
    assert ran.code == 0, ran.err
    return folder


def taxi_in(folder: Path, *arguments: str) -> Ran:
    return process([sys.executable, "-m", "taxi_ingest", *arguments], folder, {"TAXI_INGEST_DEMO__ROWS": "2000"})


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_every_option_of_a_page_is_known(taxi: Command, page: Path) -> None:
    for words in commands(page):
        if words[0].startswith("--"):
            continue
        known = taxi(words[0], "--help", COLUMNS="200").out
        options = [word.partition("=")[0] for word in words[1:] if word.startswith("--")]
        assert [option for option in options if option not in known] == [], words


def test_the_questions_of_a_shell_are_answered(demo: Path) -> None:
    asked = commands(DOCS / "tables.md")
    answers = [taxi_in(demo, *words) for words in asked]
    assert [(ran.code, ran.err if ran.code else "") for ran in answers] == [(0, "")] * len(asked)
    assert next(csv.reader(answers[0].out.splitlines())) == ["payment_type", "trips"]
    assert (demo / "tips.parquet").exists()


def test_python_of_the_tables_page_runs(demo: Path) -> None:
    duckdb_cell, polars_script = blocks(DOCS / "tables.md", "python")
    last = duckdb_cell.rindex("db.sql(")
    cell = f"{duckdb_cell[:last]}print(({duckdb_cell[last:]}).fetchall())"
    shown = process([sys.executable, "-c", cell], demo)
    assert (shown.code, shown.out.count("(")) == (0, 24), shown.err
    ran = process([sys.executable, "-c", polars_script], demo)
    assert (ran.code, "2000" in ran.out) == (0, True), ran.err


def test_the_sql_of_the_r_example_is_right(demo: Path) -> None:
    (script,) = blocks(DOCS / "tables.md", "r")
    (file,) = re.findall(r'dbdir = "(.*?)"', script)
    (sql,) = re.findall(r'dbGetQuery\(db, "(.*?)"\)', script)
    assert [trips for _, trips in query(demo / file, sql)] == [2000]


def test_the_exit_codes_of_the_reference_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", (DOCS / "reference.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == exits.MEANINGS


def test_every_verb_is_in_the_reference() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    verbs = [command.name or "" for command in app.registered_commands]
    assert [verb for verb in verbs if f"taxi-ingest {verb}" not in text and f"`{verb}`" not in text] == []


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_every_link_to_a_file_of_the_repository_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    files = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert [link for link in files if not (page.parent / link).exists()] == []


def test_the_contents_of_readme_are_its_headings() -> None:
    text = README.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    listed = re.findall(r"\[([^]]*)\]\(#([^)]*)\)", text.partition("**Contents**")[2].partition("##")[0])
    assert [name for name, _ in listed] == headings
    assert [anchor for _, anchor in listed] == [re.sub(r"[^a-z -]", "", h.lower()).replace(" ", "-") for h in headings]
