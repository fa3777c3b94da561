"""Many at once, the short way: whoever starts, looks or shares, the table is right once and nobody meets a bug."""

from __future__ import annotations

import sys
from pathlib import Path

from conftest import PostgresServer

sys.path.insert(0, str(Path(__file__).parent))
import crowding
import psycopg

MONTHS = crowding.FOUR[:2]
STARTS = 12


def test_of_many_starts_at_once_one_works_at_a_time_and_the_table_is_right_once(tmp_path: Path) -> None:
    assert list(crowding.crowd(tmp_path, STARTS, MONTHS).wrong(MONTHS)) == []


def test_verbs_that_look_while_a_run_writes_end_as_documented(tmp_path: Path) -> None:
    run, looks = crowding.look_while_a_run_writes(tmp_path, 1)
    assert run.code == 0, run.said
    for name, ended in looks.items():
        _, codes = crowding.LOOKS[name]
        assert {one.code for one in ended} <= codes, (name, [one.said for one in ended])
        assert [one.said for one in ended if one.is_a_bug] == []
    assert crowding.rows_by_month(tmp_path / "data") == dict.fromkeys(crowding.FOUR, crowding.ROWS)


def test_two_data_directories_fill_one_duckdb_file_and_one_folder(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    first, again = crowding.two_data_directories(tmp_path, MONTHS, f"duckdb:{shared}/taxi.duckdb", str(shared / "lake"))
    assert [one.code for one in (*first, *again)] == [0] * 4, [one.said for one in (*first, *again)]
    assert crowding.rows_by_month(shared) == dict.fromkeys(MONTHS, crowding.ROWS)
    assert sorted(path.name for path in (shared / "lake").rglob("*.*")) == [
        f"yellow_tripdata_{month}.parquet" for month in MONTHS
    ]


def test_two_data_directories_fill_one_postgres(tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = postgres_server.url(postgres_server.database())
    first, again = crowding.two_data_directories(tmp_path, MONTHS, url, str(tmp_path / "lake"))
    assert [one.code for one in (*first, *again)] == [0] * 4, [one.said for one in (*first, *again)]
    with psycopg.connect(url) as db:
        rows = db.execute("SELECT to_char(file_month, 'YYYY-MM'), count(*) FROM yellow_tripdata GROUP BY 1").fetchall()
    assert dict(rows) == dict.fromkeys(MONTHS, crowding.ROWS)


def test_a_run_that_loses_its_state_is_alone_all_the_same_and_the_next_one_converges(tmp_path: Path) -> None:
    came = crowding.lose_state_in_the_middle(tmp_path)
    assert (came.run.code in {0, 1}, came.run.is_a_bug) == (True, False), came.run.said
    assert (came.beside.code, came.beside.is_a_bug) == (75, False), came.beside.said
    assert (came.after.code, came.after.is_a_bug) == (0, False), came.after.said
    assert crowding.rows_by_month(tmp_path / "data") == dict.fromkeys(crowding.FOUR[:3], crowding.ROWS)
