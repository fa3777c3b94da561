"""Values that Python, JSON or CSV have no form for, as `query` prints them."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import Command

TEXTS = {
    "DATE 'infinity'": "infinity",
    "DATE '-infinity'": "-infinity",
    "DATE '20000-01-31'": "20000-01-31",
    "DATE '0044-03-15 (BC)'": "0044-03-15 (BC)",
    "TIMESTAMP 'infinity'": "infinity",
    "TIMESTAMP_S '-infinity'": "-infinity",
    "TIMESTAMP_NS 'infinity'": "infinity",
    "TIMESTAMPTZ 'infinity'": "infinity",
    "TIMESTAMP '20000-02-29 01:02:03.5'": "20000-02-29 01:02:03.5",
    "TIMESTAMP '0044-03-15 (BC) 01:02:03'": "0044-03-15 (BC) 01:02:03",
    "TIMESTAMPTZ '20000-01-01 01:02:03.5+00'": "20000-01-01 01:02:03.5+00",
    "TIME '24:00:00'": "24:00:00",
}
"""Expression → its text, which is DuckDB's own."""


@pytest.fixture
def ask(taxi: Command, tmp_path: Path) -> Command:
    """`query` of a database that is there, with nothing in it."""
    (tmp_path / "data").mkdir()
    with duckdb.connect(str(tmp_path / "data" / "taxi.duckdb")) as db:
        db.execute("CREATE TABLE t AS SELECT 1 AS i")
    return taxi


def rows(printed: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(printed)))[1:]


def test_days_and_times_that_python_has_not_are_the_text_of_duckdb(ask: Command) -> None:
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        ours = db.execute("SELECT " + ", ".join(f"({one})::VARCHAR" for one in TEXTS)).fetchall()
    assert ours == [tuple(TEXTS.values())]
    columns = ", ".join(f"{one} AS c{number}" for number, one in enumerate(TEXTS))
    assert [list(row.values()) for row in ask("query", f"SELECT {columns}", "--json").document] == [
        list(TEXTS.values())
    ]
    assert rows(ask("query", f"SELECT {columns}", "--csv").out) == [list(TEXTS.values())]


def test_other_days_of_the_column_stay_as_they_are(ask: Command) -> None:
    days = "FROM (VALUES (DATE 'infinity'), (NULL), (DATE '2021-01-31')) t(day)"
    assert ask("query", days, "--json").document == [{"day": "infinity"}, {"day": None}, {"day": "2021-01-31"}]
    assert rows(ask("query", f"SELECT day, 1 AS n {days}", "--csv").out) == [
        ["infinity", "1"],
        ["", "1"],
        ["2021-01-31", "1"],
    ]


def test_parquet_keeps_infinity(ask: Command, tmp_path: Path) -> None:
    assert ask("query", "SELECT DATE 'infinity' AS day", "--parquet", "day.parquet").code == 0
    assert str(pq.read_schema(tmp_path / "day.parquet").field("day").type) == "date32[day]"
    assert duckdb.sql(f"SELECT day::VARCHAR FROM '{tmp_path / 'day.parquet'}'").fetchall() == [("infinity",)]


def test_values_in_lists_and_structs_are_no_exception(ask: Command) -> None:
    nested = "SELECT [DATE 'infinity', NULL] AS l, {'t': TIME '24:00:00'} AS s, MAP {'k': DATE '20000-01-01'} AS m"
    expected = {"l": ["infinity", None], "s": {"t": "24:00:00"}, "m": [["k", "20000-01-01"]]}
    assert ask("query", nested, "--json").document == [expected]
    assert rows(ask("query", nested, "--csv").out) == [
        ['["infinity",null]', '{"t":"24:00:00"}', '[["k","20000-01-01"]]']
    ]


def test_nanoseconds_are_not_cut(ask: Command) -> None:
    exact = "SELECT TIMESTAMP_NS '2021-01-01 00:00:00.123456789' AS n"
    assert ask("query", exact, "--json").document == [{"n": "2021-01-01 00:00:00.123456789"}]
    assert rows(ask("query", exact, "--csv").out) == [["2021-01-01 00:00:00.123456789"]]


@pytest.mark.parametrize(
    "value", ["TIMETZ '10:00:00+02'", "[TIMETZ '10:00:00+02']", "{'a': '101'::BIT}", "5::BIGNUM", "5::UHUGEINT"]
)
def test_a_value_that_would_be_changed_is_refused_unless_it_is_text(ask: Command, value: str) -> None:
    ran = ask("query", f"SELECT {value} AS v")
    assert (ran.code, "CAST(" in ran.err) == (2, True)
    assert ask("query", f"SELECT CAST({value} AS text) AS v").code == 0


def test_bytes_are_hexadecimal_in_csv(ask: Command) -> None:
    assert rows(ask("query", r"SELECT '\x00\xFF'::BLOB AS b", "--csv").out) == [[r"\x00ff"]]


@pytest.mark.parametrize("way", ["argument", "stdin"])
@pytest.mark.parametrize("warehouse", ["duckdb:data/taxi.duckdb", "postgresql://127.0.0.1:9/none"])
def test_a_statement_that_is_not_utf_8_is_a_usage_error(ask: Command, tmp_path: Path, way: str, warehouse: str) -> None:
    statement = b"SELECT '\xff'"
    command = [sys.executable, "-m", "taxi_ingest", "query", "-" if way == "stdin" else statement]
    ran = subprocess.run(
        [*command, "--warehouse", warehouse], input=statement, cwd=tmp_path, capture_output=True, check=False
    )
    assert (ran.returncode, b"not UTF-8" in ran.stderr) == (2, True)


def test_a_statement_with_nul_is_a_usage_error(ask: Command, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "taxi_ingest", "query", "-"]
    ran = subprocess.run(command, input=b"SELECT 1\0", cwd=tmp_path, capture_output=True, check=False)
    assert (ran.returncode, b"NUL" in ran.stderr) == (2, True)
