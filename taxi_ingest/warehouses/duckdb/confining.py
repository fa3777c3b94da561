"""A connection that can read the database and the files of its views, and can touch no other file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from taxi_ingest.warehouses.duckdb.loads import recorded, tables_with_loads
from taxi_ingest.warehouses.duckdb.sql import as_pattern, text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def confine(db: DuckDBPyConnection) -> None:
    """Let the statements that follow open only this database and the files of our views; this cannot be undone.

    DuckDB itself enforces it, whatever function or statement asks for a file. It keeps its own folder for what does
    not fit into memory.
    """
    allowed = ", ".join(text(path) for path in sorted(set(_files_of_views(db))))
    db.execute(f"SET allowed_paths = [{allowed}]")
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def _files_of_views(db: DuckDBPyConnection) -> Iterator[str]:
    for table in tables_with_loads(db):
        for load in recorded(db, table):
            if load.file is not None:
                yield load.file.path
                yield as_pattern(load.file.path)  # DuckDB asks for the pattern first, then for the file that fits it
