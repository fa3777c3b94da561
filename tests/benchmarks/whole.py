"""The whole way: from a publisher on loopback to a table that is ready to query."""

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
from prepared import HERE, OURS, Input, Prepared

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


@dataclass(frozen=True)
class _Asked:
    """What every candidate has to do, and the folder that holds a folder for each of them."""

    folder: Path
    template: str
    dataset: str
    months: Sequence[str]


def way(*months: Input, once: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> Callable[[Path, float], Prepared]:
    """We and the peers fetch `months` of one dataset and make a table of them, each in an empty folder.

    Scripts named in `once` run a single time, those in `without` not at all: they take minutes.
    """

    def prepare(folder: Path, scale: float) -> Prepared:
        published = folder / "published"
        published.mkdir(exist_ok=True)
        prepared = Prepared(sum(month.publish(published, scale) for month in months), [])
        address = prepared.ends.enter_context(_publisher(published))
        template = f"{address}/{{dataset}}_tripdata_{{month}}{months[0].suffix}"
        asked = _Asked(folder, template, months[0].dataset, [month.month for month in months])
        _add_ours(prepared, asked)
        _add_peers(prepared, asked, once, without)
        return prepared

    return prepare


@contextlib.contextmanager
def _publisher(folder: Path) -> Iterator[str]:
    """Publish the files of `folder`; yields the address."""
    command = [sys.executable, str(HERE / "publisher.py"), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.communicate()  # closes its input, which ends it


def _add_ours(prepared: Prepared, asked: _Asked) -> None:
    options = ("--source", asked.template, "--dataset", asked.dataset, "--month", ",".join(asked.months), "--quiet")
    variants: dict[str, tuple[tuple[str, str], ...]] = {"taxi-ingest": ()}
    if _knows_external():
        variants["taxi-ingest, external"] = (EXTERNAL,)
    else:
        prepared.notes.append('taxi-ingest with load.method = "external" is left out: this one does not know it.')
    for name, environment in variants.items():
        at = asked.folder / name.replace(", ", "_")
        output = at / "data" / "taxi.duckdb"
        prepared.candidates.append(Candidate(name, (*OURS, "run", *options), at, output, environment, fresh=True))


def _knows_external() -> bool:
    environment = {**os.environ, EXTERNAL[0]: EXTERNAL[1]}
    return subprocess.run((*OURS, "config"), env=environment, capture_output=True, check=False).returncode == 0


def _add_peers(prepared: Prepared, asked: _Asked, once: tuple[str, ...], without: tuple[str, ...]) -> None:
    command = (sys.executable, str(SCRIPTS / "columns.py"), asked.dataset, asked.months[0])
    columns = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for peer in PEERS:
        missing = [name for name in peer.packages if importlib.util.find_spec(name) is None]
        if missing or peer.script in without:
            why = f"without {' and '.join(missing)} installed" if missing else "as it takes minutes"
            prepared.notes.append(f"{peer.name} is left out {why}.")
            continue
        at = asked.folder / peer.script
        words = (asked.template, peer.output, columns, asked.dataset, *asked.months)
        command = (sys.executable, str(SCRIPTS / f"{peer.script}.py"), *words)
        output, only_once = at / peer.output, peer.script in once
        prepared.candidates.append(
            Candidate(peer.name, command, at, output, peer.environment, fresh=True, once=only_once)
        )
