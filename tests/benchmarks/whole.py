"""The whole way: from a publisher on loopback to a table that is ready to query, in a file or on a server."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring import Candidate
from prepared import HERE, OURS, SERVER_LEFT_OUT, Input, Prepared, serving_postgres

SCRIPTS = HERE / "candidates"
EXTERNAL = ("TAXI_INGEST_LOAD__METHOD", "external")


@dataclass(frozen=True)
class Peer:
    """A script of `candidates/` that fetches months and makes a table of them, in the file `output`."""

    script: str
    name: str
    output: str
    packages: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


PEERS = (
    Peer("duckdb_table", "DuckDB, table from CSV", "taxi.duckdb", ("duckdb",)),
    Peer("duckdb_parquet_table", "DuckDB, Parquet and table", "taxi.duckdb", ("duckdb",)),
    Peer("pandas_duckdb", "pandas in chunks, DuckDB", "taxi.duckdb", ("pandas", "duckdb")),
    Peer("pandas_sqlite", "pandas to_sql, SQLite", "taxi.sqlite", ("pandas",)),
    Peer("dlt_duckdb", "dlt, DuckDB", "taxi.duckdb", ("dlt", "duckdb"), (("RUNTIME__DLTHUB_TELEMETRY", "false"),)),
)


POSTGRES_PEERS = (
    Peer("psycopg_copy", "psycopg, COPY of the CSV", "", ("psycopg",)),
    Peer("pandas_postgres", "pandas to_sql, Postgres", "", ("pandas", "psycopg", "sqlalchemy")),
)
"""These write into a database of their own."""


@dataclass(frozen=True)
class _Asked:
    """What every candidate has to do, and the folder that holds a folder for each of them."""

    folder: Path
    template: str
    dataset: str
    months: Sequence[str]

    @property
    def options(self) -> tuple[str, ...]:
        """What we are told of it."""
        months = ",".join(self.months)
        return ("--source", self.template, "--dataset", self.dataset, "--month", months, "--quiet")

    @property
    def columns(self) -> str:
        """What the peers are told of it: names as published and types, as JSON."""
        command = (sys.executable, str(SCRIPTS / "columns.py"), self.dataset, self.months[0])
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def way(*months: Input, once: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> Callable[[Path, float], Prepared]:
    """We and the peers fetch `months` of one dataset and make a table of them, each in an empty folder.

    Scripts named in `once` run a single time, those in `without` not at all: they take minutes.
    """

    def prepare(folder: Path, scale: float) -> Prepared:
        prepared, asked = _published(folder, scale, months)
        _add_ours(prepared, asked)
        _add_peers(prepared, asked, once, without)
        return prepared

    return prepare


def way_to_postgres(*months: Input, once: tuple[str, ...] = ()) -> Callable[[Path, float], Prepared]:
    """We and the peers fetch `months` of one dataset and make a table of them in Postgres, each in its own database.

    Scripts named in `once` run a single time.
    """

    def prepare(folder: Path, scale: float) -> Prepared:
        prepared, asked = _published(folder, scale, months)
        ours, *theirs = prepared.ends.enter_context(serving_postgres(1 + len(POSTGRES_PEERS)))
        at = asked.folder / "taxi-ingest"
        command = (*OURS, "run", *asked.options)
        environment = (("TAXI_INGEST_GLOBAL__WAREHOUSE", ours),)
        prepared.candidates.append(
            Candidate("taxi-ingest", command, at, environment=environment, fresh=True, database=ours)
        )
        for peer, database in zip(POSTGRES_PEERS, theirs, strict=True):
            _add_peer(prepared, asked, peer, database=database, once=peer.script in once)
        prepared.notes.append(SERVER_LEFT_OUT)
        return prepared

    return prepare


def _published(folder: Path, scale: float, months: Sequence[Input]) -> tuple[Prepared, _Asked]:
    """Make and publish `months`."""
    published = folder / "published"
    published.mkdir(exist_ok=True)
    prepared = Prepared(sum(month.publish(published, scale) for month in months), [])
    address = prepared.ends.enter_context(_publisher(published))
    template = f"{address}/{{dataset}}_tripdata_{{month}}{months[0].suffix}"
    return prepared, _Asked(folder, template, months[0].dataset, [month.month for month in months])


@contextlib.contextmanager
def _publisher(folder: Path) -> Iterator[str]:
    """Publish the files of `folder`; yields the address."""
    command = [sys.executable, str(HERE / "publisher.py"), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.communicate()  # closes its input, which ends it


def _add_ours(prepared: Prepared, asked: _Asked) -> None:
    variants: dict[str, tuple[tuple[str, str], ...]] = {"taxi-ingest": ()}
    if _knows_external():
        variants["taxi-ingest, external"] = (EXTERNAL,)
    else:
        prepared.notes.append('taxi-ingest with load.method = "external" is left out: this one does not know it.')
    for name, environment in variants.items():
        at = asked.folder / name.replace(", ", "_")
        output = at / "data" / "taxi.duckdb"
        prepared.candidates.append(Candidate(name, (*OURS, "run", *asked.options), at, output, environment, fresh=True))


def _knows_external() -> bool:
    environment = {**os.environ, EXTERNAL[0]: EXTERNAL[1]}
    return subprocess.run((*OURS, "config"), env=environment, capture_output=True, check=False).returncode == 0


def _add_peers(prepared: Prepared, asked: _Asked, once: tuple[str, ...], without: tuple[str, ...]) -> None:
    for peer in PEERS:
        if peer.script in without:
            prepared.notes.append(f"{peer.name} is left out as it takes minutes.")
        else:
            _add_peer(prepared, asked, peer, once=peer.script in once)


def _add_peer(prepared: Prepared, asked: _Asked, peer: Peer, *, database: str = "", once: bool) -> None:
    """Add a peer, if its packages are installed; it writes its file, or into `database`."""
    missing = [name for name in peer.packages if importlib.util.find_spec(name) is None]
    if missing:
        prepared.notes.append(f"{peer.name} is left out without {' and '.join(missing)} installed.")
        return
    at = asked.folder / peer.script
    words = (asked.template, database or peer.output, asked.columns, asked.dataset, *asked.months)
    command = (sys.executable, str(SCRIPTS / f"{peer.script}.py"), *words)
    output = None if database else at / peer.output
    prepared.candidates.append(
        Candidate(peer.name, command, at, output, peer.environment, fresh=True, once=once, database=database)
    )
