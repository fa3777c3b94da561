"""What `query` may touch in DuckDB: the database and the files of its views are read, and nothing else is opened."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place
from taxi_ingest.warehouses import open_warehouse
from taxi_ingest.warehouses.capabilities import AnswersQueries

WRITING = {
    "explained behind a comment": "/* explain (*/ EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/new' -- */ SELECT 1",
    "explained with options": "EXPLAIN (ANALYZE, FORMAT json) COPY (FROM range(3)) TO '{folder}/new'",
    "imported": "IMPORT DATABASE '{folder}/dump'",
    "logged": "CALL enable_logging(storage = 'file', storage_path = '{folder}/new')",
    "logged by a table function": "FROM enable_logging(storage = 'file', storage_path = '{folder}/new')",
    "profiled": "PRAGMA enable_profiling",
    "profiled by a table function": "FROM enable_profiling(save_location = '{folder}/new')",
    "copied with a pivot": "COPY (PIVOT (SELECT 1 a, 2 b) ON a USING sum(b)) TO '{folder}/new'",
    "made with a pivot": "CREATE TEMP TABLE x AS PIVOT (SELECT 1 a, 2 b) ON a USING sum(b)",
    "inserted": "WITH x AS (INSERT INTO t VALUES (1) RETURNING i) FROM x",
}
"""What would write, run or switch on → the statement."""

READING = [
    "EXPLAIN SELECT 1",
    "/* a plan */ explain -- of\n select 1",
    "DESCRIBE t",
    "SHOW TABLES",
    "SUMMARIZE t",
    "VALUES (1)",
    "/* é */ PIVOT (SELECT 1 a, 2 b) ON a USING sum(b)",
    "FROM (PIVOT (SELECT 1 a, 2 b) ON a USING sum(b))",
    "EXPLAIN PIVOT (SELECT 1 a, 2 b) ON a USING sum(b)",
]


@pytest.fixture
def warehouse(tmp_path: Path) -> AnswersQueries:
    """A database with a table `t`, and a dump beside it that would make another."""
    with duckdb.connect(str(tmp_path / "w.duckdb")) as db:
        db.execute("CREATE TABLE t AS SELECT 7 AS i")
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE imported AS SELECT 1 AS i; EXPORT DATABASE '{tmp_path / 'dump'}'")
    opened = open_warehouse(Place.parse(f"duckdb:{tmp_path / 'w.duckdb'}"))
    assert isinstance(opened, AnswersQueries)
    return opened


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", WRITING)
def test_nothing_is_written_whatever_the_statement(warehouse: AnswersQueries, tmp_path: Path, how: str) -> None:
    before = contents(tmp_path)
    with pytest.raises(UsageError), warehouse.query(WRITING[how].format(folder=tmp_path)) as answer:
        list(answer.batches)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("sql", READING)
def test_what_reads_is_answered(warehouse: AnswersQueries, sql: str) -> None:
    with warehouse.query(sql) as answer:
        assert sum(batch.num_rows for batch in answer.batches) > 0


def test_a_file_that_is_no_part_of_the_warehouse_is_not_opened(warehouse: AnswersQueries, tmp_path: Path) -> None:
    shutil.copy(tmp_path / "w.duckdb", tmp_path / "other.duckdb")
    pq.write_table(duckdb.sql("SELECT 1 AS i").to_arrow_table(), tmp_path / "other.parquet")
    for file in ("other.parquet", "other.duckdb"):
        with pytest.raises(UsageError, match="Cannot access file"), warehouse.query(f"FROM '{tmp_path / file}'"):
            pass
