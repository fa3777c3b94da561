"""The verbs `query` and `rows`, as a process and on a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import SELF, Command

TRIPS = "SELECT count(*) AS trips, min(VendorID) AS vendor, file_month FROM yellow_tripdata GROUP BY ALL"


@dataclass
class Loaded:
    """A data directory `data` with one month of 999 rows, in the folder in which commands run."""

    taxi: Command
    data: Path


@pytest.fixture
def loaded(taxi: Command, loaded_once: Path, tmp_path: Path) -> Loaded:
    return Loaded(taxi, Path(shutil.copytree(loaded_once, tmp_path / "data")))


def on_a_terminal(folder: Path, *arguments: str, columns: int = 80) -> str:
    """What a command prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    with subprocess.Popen(
        [*SELF, *arguments], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        printed = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            printed += piece
        assert process.wait() == 0, printed.decode()
    os.close(ours)
    return printed.decode().replace("\r\n", "\n")


def test_a_pipe_gets_csv(loaded: Loaded) -> None:
    ran = loaded.taxi("query", TRIPS)
    assert list(csv.reader(io.StringIO(ran.out))) == [["trips", "vendor", "file_month"], ["999", "1", "2020-01-01"]]


def test_csv_tells_an_empty_text_from_null(loaded: Loaded) -> None:
    assert loaded.taxi("query", "SELECT '' AS a, NULL AS b, 'x\"y' AS c").out == '"a","b","c"\n"",,"x""y"\n'


def test_json_is_a_list_of_objects(loaded: Loaded) -> None:
    ran = loaded.taxi("query", "SELECT 1.50::DECIMAL(4, 2) AS a, 2::BIGINT AS a, 'NaN'::DOUBLE AS n", "--json")
    assert json.loads(ran.out) == [{"a": 1.5, "a_1": 2, "n": None}]
    assert json.loads(loaded.taxi("query", "SELECT 1 WHERE false", "--json").out) == []


def test_parquet_has_every_row_and_type(loaded: Loaded, tmp_path: Path) -> None:
    ran = loaded.taxi("query", "FROM yellow_tripdata", "--parquet", "out.parquet")
    assert (ran.code, ran.out, "999 rows in out.parquet" in ran.err) == (0, "", True)
    with duckdb.connect(str(loaded.data / "taxi.duckdb"), read_only=True) as db:
        both = f"(FROM yellow_tripdata) , (FROM '{tmp_path / 'out.parquet'}')".split(" , ")
        assert [db.execute(f"{a} EXCEPT ALL {b}").fetchall() for a, b in (both, both[::-1])] == [[], []]
    assert str(pq.read_schema(tmp_path / "out.parquet").field("tpep_pickup_datetime").type) == "timestamp[us]"


def test_a_parquet_file_stays_as_it_was_when_the_query_fails_midway(loaded: Loaded, tmp_path: Path) -> None:
    loaded.taxi("query", "SELECT 1 AS i", "--parquet", "out.parquet")
    before = (tmp_path / "out.parquet").read_bytes()
    failing = "SELECT CASE WHEN i < 300000 THEN i ELSE error('boom') END AS i FROM range(300001) t(i)"
    ran = loaded.taxi("query", failing, "--parquet", "out.parquet")
    assert (ran.code, "boom" in ran.err) == (2, True)
    assert ((tmp_path / "out.parquet").read_bytes(), list(tmp_path.glob(".out*"))) == (before, [])


def test_a_time_minus_a_time_can_be_read_and_kept(loaded: Loaded, tmp_path: Path) -> None:
    took = "SELECT TIMESTAMP '2021-01-02 03:04:05' - TIMESTAMP '2021-01-01' AS took, INTERVAL '-1 month' AS m"
    assert loaded.taxi("query", took, "--json").document == [{"took": "1 day 03:04:05", "m": "-1 month"}]
    assert loaded.taxi("query", took, "--parquet", "took.parquet").code == 0
    assert pq.read_table(tmp_path / "took.parquet").to_pylist() == [{"took": "1 day 03:04:05", "m": "-1 month"}]


def test_a_terminal_gets_a_table_as_wide_as_it_is(loaded: Loaded, tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path, "query", "FROM yellow_tripdata ORDER BY ALL")
    lines, words = shown.splitlines(), " ".join(shown.split())
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:2] == ["VendorID", "tpep_pickup_datetime"]
    assert " more columns: " in words
    assert "file_month. --csv gives all." in words
    assert words.endswith("50 rows shown, 949 left out. --csv, --json and --parquet FILE give all.")


def test_what_would_steer_the_terminal_is_shown_as_an_escape(loaded: Loaded, tmp_path: Path) -> None:
    shown = on_a_terminal(tmp_path, "query", "SELECT chr(27) || '[31mred' AS a, 'two' || chr(10) || 'lines' AS b")
    assert ("\x1b[31m" in shown, "\\x1b[31mred" in shown, "two\\nlines" in shown) == (False, True, True)


def test_a_reader_who_leaves_ends_the_query(loaded: Loaded, tmp_path: Path) -> None:
    endless = "SELECT i FROM range(1000000000000) t(i)"
    ran = subprocess.run(
        ["sh", "-c", '"$@" | head -2', "sh", *SELF, "query", endless],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ran.stdout, ran.stderr) == ('"i"\n0\n', "")


def test_an_interrupt_ends_the_query(loaded: Loaded, tmp_path: Path) -> None:
    endless = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7"
    with subprocess.Popen([*SELF, "query", endless], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        try:
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        finally:
            process.kill()


def test_rows_that_come_one_after_the_other_take_little_memory(loaded: Loaded, tmp_path: Path) -> None:
    many = "SELECT i, 'a text that is as long as this one is' AS t FROM range(5000000) t(i)"  # 250 MB
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, *SELF, "query", many]
    peak = int(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    assert peak < 220_000  # kilobytes; an idle process has 100 MB


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("DELETE FROM yellow_tripdata", "is only read by a query"),
        ("COPY yellow_tripdata TO 'out.csv'", "is only read by a query"),
        ("EXPLAIN ANALYZE COPY yellow_tripdata TO 'out.csv'", "is only read by a query"),
        ("ATTACH 'other.duckdb'", "is only read by a query"),
        ("SELECT 1; DROP TABLE yellow_tripdata", "there are 2 statements"),
        ("SELEC 1", "syntax error"),
        ("", "Ask what?"),
    ],
)
def test_a_statement_that_cannot_be_is_a_usage_error(loaded: Loaded, tmp_path: Path, sql: str, told: str) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    ran = loaded.taxi("query", sql)
    assert (ran.code, told in ran.err, ran.err.count("\n")) == (2, True, 1)
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "sql", ["EXPLAIN SELECT 1", "DESCRIBE yellow_tripdata", "PIVOT (SELECT 1 a, 2 b) ON a USING sum(b)"]
)
def test_other_statements_that_read_are_answered(loaded: Loaded, sql: str) -> None:
    assert loaded.taxi("query", sql).code == 0


def test_the_statement_may_come_from_stdin(loaded: Loaded, tmp_path: Path) -> None:
    ran = subprocess.run([*SELF, "query", "-"], input=TRIPS, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[1] == "999,1,2020-01-01"


def test_two_forms_at_once_are_refused(loaded: Loaded) -> None:
    assert loaded.taxi("query", TRIPS, "--csv", "--json").code == 2


def test_without_a_warehouse_the_sentence_says_what_makes_one(taxi: Command, tmp_path: Path) -> None:
    ran = taxi("query", TRIPS)
    assert (ran.code, "does not exist yet" in ran.err, list(tmp_path.iterdir())) == (1, True, [])


def test_rows_are_counted_beside_those_of_tlc(loaded: Loaded) -> None:
    assert loaded.taxi("rows", "--json").document == {
        "months": [
            {
                "dataset": "yellow",
                "month": "2020-01",
                "source": "file:yellow_tripdata_2020-01.csv",
                "rows": 999,
                "loaded": 999,
                "known": 6_405_008,
            }
        ],
        "rows": 999,
    }
    shown = loaded.taxi("rows", "--dataset", "yellow", "--month", "2020-01").out
    assert [line.split()[:4] for line in shown.splitlines()[2:4]] == [
        ["2020-01", "999", "6,405,008", "-6,404,009"],
        ["2020", "999", "1", "month"],
    ]
    assert "holds none of that, only yellow-2020-01." in loaded.taxi("rows", "--month", "2020-02").out


def test_rows_tell_what_was_deleted_since(loaded: Loaded) -> None:
    with duckdb.connect(str(loaded.data / "taxi.duckdb")) as db:
        db.execute("DELETE FROM yellow_tripdata WHERE VendorID = 1")
    assert "999 were loaded" in loaded.taxi("rows").out
