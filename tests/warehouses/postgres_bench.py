"""A bench of Postgres on a real server: a database of its own, and somebody who works on it with SQL."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conformance_of_warehouses import Bench
from postgres_server import PASSWORD, ROLE, PostgresServer

from taxi_ingest.place import Place
from taxi_ingest.warehouses import HeldMonth, open_warehouse


def is_whole(held: HeldMonth) -> bool:
    """Whether just the rows that were loaded are there."""
    return held.rows == held.loaded and not held.stale


class Owner:
    """Somebody who works on the database with SQL, and knows Postgres's ways."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self.url = server.url(database)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement of the suite, as Postgres says it. Its statistics are there when this returns."""
        statement = statement.replace("AS STRING", "AS text")
        remade = re.fullmatch(r"CREATE OR REPLACE TABLE (\w+) AS (.*)", statement)
        with psycopg.connect(self.url, autocommit=True) as db:
            if remade:
                self._remake(db, remade[1], remade[2])
                return []
            try:
                found = db.execute(statement)  # type: ignore[arg-type]
            except psycopg.errors.CheckViolation:  # no partition takes such rows yet
                db.execute("CREATE TABLE others PARTITION OF trips DEFAULT")
                found = db.execute(statement)  # type: ignore[arg-type]
            rows = found.fetchall() if found.description else []
            db.execute("SELECT pg_stat_force_next_flush()")
            db.execute("SELECT")
        return rows

    @staticmethod
    def _remake(db: psycopg.Connection[tuple[Any, ...]], table: str, query: str) -> None:
        """Make a table anew from a query. Where it has the month, so do its partitions, with their comments."""
        db.execute(f"CREATE TABLE made AS {query}")
        old = db.execute(
            "SELECT c.relname, obj_description(c.oid, 'pg_class'), pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits "
            f"JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = '{table}'::regclass"
        ).fetchall()
        has_month = db.execute(
            "SELECT 1 FROM information_schema.columns WHERE table_name = 'made' AND column_name = 'file_month'"
        )
        if not has_month.fetchone():
            db.execute(f"DROP TABLE {table}; ALTER TABLE made RENAME TO {table}")
            return
        db.execute(f"DROP TABLE {table}; CREATE TABLE {table} (LIKE made) PARTITION BY RANGE (file_month)")
        for name, comment, bounds in old:
            db.execute(f"CREATE TABLE {name} PARTITION OF {table} {bounds}")
            db.execute(f"COMMENT ON TABLE {name} IS '{comment}'")
        db.execute(f"INSERT INTO {table} SELECT * FROM made; DROP TABLE made")


@pytest.fixture
def bench(postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    database = postgres_server.database()
    password_file = tmp_path / "pgpass"
    password_file.write_text(f"*:*:*:{ROLE}:{PASSWORD}\n")
    password_file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(password_file))
    monkeypatch.setenv("PATH", f"{postgres_server.bin}:{os.environ['PATH']}")
    return Bench(
        open_warehouse(Place.parse(postgres_server.url(database, password=""))),
        hand_over=str,
        query=Owner(postgres_server, database).query,
        folder=tmp_path,
        store=Place.parse(str(tmp_path)),
        unusable=Place.parse(postgres_server.url("missing")),
        connections=lambda: postgres_server.log.count("connection authorized"),
    )
