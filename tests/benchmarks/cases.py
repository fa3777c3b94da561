"""What is compared: each case makes its input once, names its candidates, and checks that all did the same work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import idle
import loading
import whole
from measuring import Candidate
from prepared import HERE, Case, Input, Prepared, nothing_written, same_rows


def conversion(made: Input, *peers: str, also: Input | None = None) -> Callable[[Path, float], Prepared]:
    """We and `peers` convert an input; `also` is another one that we convert for comparison."""

    def prepare(folder: Path, scale: float) -> Prepared:
        path, rows = made.make(folder, scale)
        candidates = [_candidate("ours", path, made, folder)]
        if also is not None:
            candidates.append(_candidate("ours", also.make(folder, scale)[0], also, folder, "ours, no row spoilt"))
        return Prepared(rows, candidates + [_candidate(peer, path, made, folder) for peer in peers])

    return prepare


def _candidate(script: str, path: Path, made: Input, folder: Path, name: str = "") -> Candidate:
    other_rows, name = bool(name), name or script.replace("_", " ")
    output = folder / f"{name.replace(' ', '_').replace(',', '')}.parquet"
    command = (sys.executable, str(HERE / "candidates" / f"{script}.py"), str(path), str(output))
    return Candidate(name, (*command, made.dataset, made.month), folder, output, other_rows=other_rows)


def _yellow(*months: str, rows: int) -> tuple[Input, ...]:
    return tuple(Input("yellow", month, ".csv.gz", rows) for month in months)


YELLOW = Input("yellow", "2019-01", ".csv.gz", 1_400_000)
ALL = ("lesson", "pandas_chunks", "duckdb_copy", "polars_sink")
YEAR = [f"2019-{number:02d}" for number in range(1, 13)]

CASES = (
    Case("whole", "From the web to a table: CSV.gz, yellow, a month of 1.4 M rows", whole.way(
        *_yellow("2019-01", rows=1_400_000)), same_rows),
    Case("whole-large", "From the web to a table: CSV.gz, yellow, a month of 7.7 M rows", whole.way(
        *_yellow("2019-01", rows=7_700_000), once=("pandas_sqlite",)), same_rows),
    Case("whole-year", "From the web to a table: CSV.gz, yellow, 12 months of 1.37 M rows", whole.way(
        *_yellow(*YEAR, rows=1_370_000), without=("pandas_sqlite",)), same_rows),
    Case("whole-postgres", "From the web to Postgres: CSV.gz, yellow, a month of 1.4 M rows", whole.way_to_postgres(
        *_yellow("2019-01", rows=1_400_000), once=("pandas_postgres",)), same_rows),
    Case("load", "From Parquet to a table: yellow, a month of 4.0 M rows", loading.load, same_rows),
    Case("load-postgres", "From Parquet to Postgres: yellow, a month of 1.4 M rows", loading.load_postgres, same_rows),
    Case("csv", "CSV.gz, yellow, 1.4 M rows", conversion(YELLOW, *ALL), same_rows),
    Case("csv-large", "CSV.gz, yellow, 7.7 M rows", conversion(
        Input("yellow", "2019-01", ".csv.gz", 7_700_000), *ALL), same_rows),
    Case("csv-huge", "CSV.gz, fhvhv, 17 M rows", conversion(
        Input("fhvhv", "2019-02", ".csv.gz", 17_000_000), "duckdb_copy", "polars_sink"), same_rows),
    Case("dirty", "CSV.gz, yellow, 1.4 M rows, 1 in 10,000 spoilt", conversion(
        Input("yellow", "2019-01", ".csv.gz", 1_400_000, 0.0001), "duckdb_rejects", also=YELLOW), same_rows),
    Case("filthy", "CSV.gz, yellow, 1.4 M rows, 1 in 100 spoilt", conversion(
        Input("yellow", "2019-01", ".csv.gz", 1_400_000, 0.01), "duckdb_rejects", also=YELLOW), same_rows),
    Case("parquet", "Parquet, fhvhv, 10 M rows", conversion(
        Input("fhvhv", "2023-01", ".parquet", 10_000_000), "duckdb_copy", "polars_sink"), same_rows),
    Case("help", "--help", idle.help_text, nothing_written),
    Case("idle-month", "A month that is up to date", idle.month, nothing_written),
    Case("idle-backfill", "Every month of four datasets, up to date", idle.backfill, nothing_written),
    Case("held", "A month that is up to date, in a table of 1 M and of 301 M rows", loading.held, nothing_written),
)  # fmt: skip
"""Every comparison, in the order of the tables."""
