"""Where a campaign's rows go: a folder with DuckDB, GCS with BigQuery, Postgres. Each can be read from outside."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import duckdb
import psycopg
from emulators import servers
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from postgres_server import PostgresServer, serving_postgres

from taxi_ingest.google_cloud import MARK

EMULATORS = Path(__file__).parents[2] / ".cache" / "emulators"

Content = dict[str, tuple[int, str]]
"""Of each table its number of rows, and a digest of all their values that knows no order; likewise of all objects."""

TRIPS = ("yellow_tripdata", "green_tripdata")


class Destination(Protocol):
    """A store and a warehouse for one data directory."""

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead there."""
        ...

    def content(self) -> Content:
        """What the tables hold, as their own client reads it, with the marks that are recorded."""
        ...

    def months(self) -> dict[str, str]:
        """What each month of the trips has, in words; to be asked at any time, and changes nothing."""
        ...

    def harm(self) -> None:
        """Kill the server, if there is one that may be killed, and start it again."""
        ...


@dataclass(frozen=True)
class InFolder:
    """The store is a folder and the warehouse a DuckDB file, both in the data directory."""

    data: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return self.settings

    def content(self) -> Content:
        with duckdb.connect(str(self.data / "taxi.duckdb")) as db:
            names = [name for (name,) in db.execute("SELECT table_name FROM information_schema.tables").fetchall()]
            marks = db.execute("SELECT table_name, file_month, mark, rows FROM _loads").fetchall()
            content = {name: digest(db.execute(f'FROM "{name}"').fetchall()) for name in names if name != "_loads"}
        return content | {"marks": digest(set(marks))}

    def months(self) -> dict[str, str]:
        """Rows with the mark that is recorded, from a copy: to open the file itself would settle its log."""
        with tempfile.TemporaryDirectory() as folder:
            for path in self.data.glob("taxi.duckdb*"):
                shutil.copy(path, folder)
            with duckdb.connect(f"{folder}/taxi.duckdb") as db:
                names = {name for (name,) in db.execute("SELECT table_name FROM information_schema.tables").fetchall()}
                there = [name for name in TRIPS if name in names]
                counted = {
                    (name, month): rows
                    for name in there
                    for month, rows in db.execute(f"SELECT file_month, count(*) FROM {name} GROUP BY 1").fetchall()
                }
                sql = "SELECT table_name, file_month, mark, rows FROM _loads"
                loads = db.execute(sql).fetchall() if "_loads" in names else []
        recorded = {(name, month): f"mark {mark[:8]} of {rows} rows" for name, month, mark, rows in loads}
        return {
            f"{name} {month}": f"{counted.get((name, month), 0)} rows, {recorded.get((name, month), 'no mark')}"
            for name, month in counted.keys() | recorded.keys()
        }

    def harm(self) -> None:
        """There is no server."""


@dataclass(frozen=True)
class InPostgres:
    """The store is a folder, and the warehouse a database of a server of the campaign's own."""

    server: PostgresServer
    database: str

    @property
    def environment(self) -> dict[str, str]:
        return {"TAXI_INGEST_GLOBAL__WAREHOUSE": self.server.url(self.database)}

    def content(self) -> Content:
        with psycopg.connect(self.server.url(self.database)) as db:
            tables = db.execute(
                "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition"
            ).fetchall()
            content = {name: digest(db.execute(f'SELECT * FROM "{name}"').fetchall()) for (name,) in tables}  # type: ignore[arg-type]
            comments = "SELECT relname, obj_description(oid) FROM pg_class WHERE relispartition AND relkind = 'r'"
            marks = [(name, re.sub('"transaction":[0-9]+', "", text)) for name, text in db.execute(comments).fetchall()]
        return content | {"marks": digest(marks)}

    def months(self) -> dict[str, str]:
        with psycopg.connect(self.server.url(self.database)) as db:
            found: dict[str, str] = {}
            for name in TRIPS:
                if db.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,):
                    counted = db.execute(f"SELECT file_month, count(*) FROM {name} GROUP BY 1").fetchall()  # type: ignore[arg-type]
                    found |= {f"{name} {month}": f"{rows} rows" for month, rows in counted}
            return found

    def harm(self) -> None:
        self.server.kill()
        self.server.start()


@dataclass(frozen=True)
class InCloud:
    """The store is a prefix of a bucket and the warehouse a dataset of its own, on emulators."""

    gcs: str
    bigquery: str
    name: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "STORAGE_EMULATOR_HOST": self.gcs,
            "BIGQUERY_EMULATOR_HOST": self.bigquery,
            "TAXI_INGEST_GLOBAL__STORE": f"gs://{servers.BUCKET}/{self.name}",
            "TAXI_INGEST_GLOBAL__WAREHOUSE": f"bigquery://{servers.PROJECT}/{self.name}",
            "TAXI_INGEST_LOAD__METHOD": "merge",  # the server knows no partition decorators
        }

    def content(self) -> Content:
        client = self._client()
        content: Content = {"objects": digest(self._objects())}
        for table in client.list_tables(self.name):
            # _loads lists every load that was tried, and a table with an expiry goes by itself
            if table.table_id == "_loads" or client.get_table(table.reference).expires:
                continue
            rows = client.query(f"SELECT * FROM `{servers.PROJECT}.{self.name}.{table.table_id}`").result()
            content[table.table_id] = digest(tuple(row.values()) for row in rows)
        return content

    def months(self) -> dict[str, str]:
        client, found = self._client(), dict[str, str]()
        for name in TRIPS:
            sql = f"SELECT file_month, COUNT(*) AS n FROM `{servers.PROJECT}.{self.name}.{name}` GROUP BY file_month"
            with contextlib.suppress(NotFound):
                found |= {f"{name} {row[0]}": f"{row[1]} rows" for row in client.query_and_wait(sql)}
        return found

    def _client(self) -> bigquery.Client:
        os.environ["BIGQUERY_EMULATOR_HOST"] = self.bigquery
        return bigquery.Client(project=servers.PROJECT, credentials=AnonymousCredentials())

    def _objects(self) -> Iterator[tuple[Any, ...]]:
        """Name, checksum and mark of each object, and of nothing else that is there."""
        prefix = urllib.parse.quote(f"{self.name}/")
        with urllib.request.urlopen(f"{self.gcs}/storage/v1/b/{servers.BUCKET}/o?prefix={prefix}") as answer:
            for item in json.load(answer).get("items", []):
                yield item["name"].removeprefix(self.name), item["crc32c"], item.get("metadata", {}).get(MARK)

    def harm(self) -> None:
        """Google's servers are not ours to kill."""


def digest(rows: Iterable[tuple[Any, ...]]) -> tuple[int, str]:
    """How many rows there are, and a digest that does not depend on their order."""
    texts = sorted(map(repr, rows))
    return len(texts), hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


class Places:
    """Makes destinations; servers are started when the first one asks for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = contextlib.ExitStack()
        self._postgres: PostgresServer | None = None
        self._cloud: tuple[str, str] | None = None

    def in_folder(self, data: Path, **settings: str) -> Destination:
        return InFolder(data, settings)

    def in_postgres(self, data: Path) -> Destination:
        if self._postgres is None:
            self._postgres = self._open.enter_context(serving_postgres())
        return InPostgres(self._postgres, self._postgres.database())

    def in_cloud(self, data: Path) -> Destination:
        if self._cloud is None:
            folder = self._folder / "servers"
            folder.mkdir()
            gcs = self._open.enter_context(servers.gcs(EMULATORS, folder))
            self._cloud = gcs, self._open.enter_context(servers.bigquery(EMULATORS, folder, gcs))
        return InCloud(*self._cloud, f"d{uuid.uuid4().hex[:12]}")

    def close(self) -> None:
        self._open.close()


@contextlib.contextmanager
def places(folder: Path) -> Iterator[Places]:
    """Destinations, whose servers end with the block."""
    made = Places(folder)
    try:
        yield made
    finally:
        made.close()
