"""The load alone, and what a large table costs a run that has nothing to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from measuring import Candidate
from prepared import HERE, OURS, SERVER_LEFT_OUT, Input, Prepared, serving_postgres

MONTH = "2019-01"
MONTHS_MORE, ROWS_OF_EACH = 100, 3_000_000


def load(folder: Path, scale: float) -> Prepared:
    """`load` of a month that is converted already, beside DuckDB's own import of the same Parquet file."""
    rows, asked = _converted(folder, Input("yellow", MONTH, ".csv.gz", 4_000_000), scale, "data")
    data = folder / "data"
    parquet = data / "parquet" / "yellow" / f"yellow_tripdata_{MONTH}.parquet"
    command = (*OURS, "load", *asked, "--force", "--quiet")
    again = folder / "again.duckdb"
    replacing = (*command, "--warehouse", f"duckdb:{again}")
    subprocess.run(replacing, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    direct = folder / "direct.duckdb"
    script = (sys.executable, str(HERE / "candidates" / "duckdb_load.py"), str(parquet), str(direct), "yellow_tripdata")
    return Prepared(
        rows,
        [
            Candidate("taxi-ingest load, new file", command, folder, data / "taxi.duckdb"),
            Candidate("taxi-ingest load, month replaced", replacing, folder),
            Candidate("DuckDB, CREATE TABLE AS", script, folder, direct),
        ],
    )


def load_postgres(folder: Path, scale: float) -> Prepared:
    """`load` of a month that is converted already into Postgres, beside a COPY of the same Parquet file as CSV."""
    rows, asked = _converted(folder, Input("yellow", MONTH, ".csv.gz", 1_400_000), scale, "data")
    prepared = Prepared(rows, [])
    ours, theirs = prepared.ends.enter_context(serving_postgres(2))
    parquet = folder / "data" / "parquet" / "yellow" / f"yellow_tripdata_{MONTH}.parquet"
    command = (*OURS, "load", *asked, "--force", "--quiet")
    script = (sys.executable, str(HERE / "candidates" / "psycopg_parquet.py"), str(parquet), theirs, "yellow_tripdata")
    warehouse = (("TAXI_INGEST_GLOBAL__WAREHOUSE", ours),)
    prepared.candidates.append(Candidate("taxi-ingest load", command, folder, environment=warehouse, database=ours))
    prepared.candidates.append(Candidate("psycopg, COPY as CSV", script, folder, database=theirs))
    prepared.notes.append(SERVER_LEFT_OUT)
    return prepared


def held(folder: Path, scale: float) -> Prepared:
    """A run with nothing to do: the table has its month only, or three million rows of a hundred months besides."""
    prepared = Prepared(0, [])
    for name, months in (("small", 0), ("large", max(int(MONTHS_MORE * scale), 1))):
        shutil.rmtree(folder / name, ignore_errors=True)  # an interrupted comparison may have left it
        prepared.ends.callback(shutil.rmtree, folder / name)
        rows, asked = _converted(folder, Input("yellow", MONTH, ".csv.gz", 1_000_000), scale, name)
        run = (*OURS, "run", *asked)
        subprocess.run((*run, "--quiet"), cwd=folder, check=True, stdout=subprocess.DEVNULL)
        filling = (sys.executable, str(HERE / "filling.py"), str(folder / name / "taxi.duckdb"))
        subprocess.run((*filling, str(months), str(ROWS_OF_EACH)), check=True)
        _must_have_nothing_to_do((*run, "--json"))
        title = f"a table of {rows + months * ROWS_OF_EACH:,} rows"
        prepared.candidates.append(Candidate(title, (*run, "--quiet"), folder))
    return prepared


def _converted(folder: Path, made: Input, scale: float, data: str) -> tuple[int, tuple[str, ...]]:
    """Convert a month below the folder `data`; returns its rows, and the options that ask for it again."""
    published = folder / "published"
    published.mkdir(exist_ok=True)
    rows = made.publish(published, scale)
    source = f"file://{published}/{{dataset}}_tripdata_{{month}}{made.suffix}"
    asked = ("--source", source, "--dataset", made.dataset, "--month", made.month, "--data-dir", str(folder / data))
    command = (*OURS, "parquetize", *asked, "--quiet")
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return rows, asked


def _must_have_nothing_to_do(command: tuple[str, ...]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    steps = set(json.loads(ran.stdout)["parts"][0]["steps"].values())
    if steps != {"up_to_date"}:
        raise SystemExit(f"A run that should have nothing to do did something: {ran.stdout}")
