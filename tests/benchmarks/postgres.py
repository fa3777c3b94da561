"""A Postgres server for the candidates.

`postgres.py serve N` prints the addresses of N databases and serves them until its input ends; `postgres.py empty
ADDRESS` drops what a candidate made there; `postgres.py size ADDRESS` prints its bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""
SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""


def serve(databases: int) -> None:
    """Serve databases until the input ends. Unlike in the tests, what is committed is on the disk."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from postgres_server import serving_postgres

    with serving_postgres(fsync=True) as server:
        for _ in range(databases):
            print(server.url(server.database()), flush=True)
        sys.stdin.read()


def empty(address: str) -> None:
    """Drop all tables."""
    with psycopg.connect(address, autocommit=True) as db:
        for (table,) in db.execute(TABLES).fetchall():
            db.execute(f"DROP TABLE {table}")


def size(address: str) -> int:
    """Bytes of all tables."""
    with psycopg.connect(address) as db:
        (found,) = db.execute(SIZE).fetchone() or (0,)
    return int(found)


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "serve":
        serve(int(*words))
    elif verb == "empty":
        empty(*words)
    else:
        print(size(*words))
