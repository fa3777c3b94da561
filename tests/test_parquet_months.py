"""TLC's Parquet through the whole pipeline, in one table with the CSV months of the same dataset."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import DATA, Command, Load, Publisher

CANONICAL: dict[str, dict[str, str]] = json.loads((DATA.parent / "canonical_columns.json").read_text())
FILES = sorted(DATA.glob("*_tripdata_*.parquet"))


def table(folder: Path, dataset: str, month: str) -> list[tuple[Any, ...]]:
    names = ", ".join(f'"{name}"' for name in CANONICAL[dataset])
    with duckdb.connect(str(folder / "data" / "taxi.duckdb"), read_only=True) as db:
        return db.execute(
            f"SELECT {names} FROM {dataset}_tripdata WHERE file_month = DATE '{month}-01' ORDER BY rowid"
        ).fetchall()


def independent_reading(path: Path, dataset: str) -> list[tuple[Any, ...]]:
    """The rows of a published file by plain Python: names compared without case, whole doubles as numbers."""
    rows = []
    for published in pq.read_table(path).to_pylist():
        values = {name.strip().lower(): value for name, value in published.items()}
        rows.append(tuple(plain(values.get(name.lower()), kind) for name, kind in CANONICAL[dataset].items()))
    return rows


def plain(value: Any, kind: str) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    if kind == "int64" and value is not None:
        assert value == int(value)
        return int(value)
    return value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_value_of_a_real_month_is_that_of_an_independent_reading(load: Load, tmp_path: Path, path: Path) -> None:
    dataset, month = path.stem.split("_tripdata_")
    ran = load(dataset, month, path.read_bytes())
    assert ran.code == 0, ran.err
    expected = independent_reading(path, dataset)
    assert expected
    assert table(tmp_path, dataset, month) == expected


def test_csv_and_parquet_months_share_one_table(load: Load, tmp_path: Path) -> None:
    sizes = {}
    for path in (DATA / "green_tripdata_2014-01.csv", DATA / "green_tripdata_2019-10.csv", *FILES):
        dataset, month = path.stem.split("_tripdata_")
        if dataset == "green":
            ran = load(dataset, month, path.read_bytes())
            sizes[month] = ran.document["parts"][0]["rows"]
            assert ran.code == 0, ran.err
    with duckdb.connect(str(tmp_path / "data" / "taxi.duckdb"), read_only=True) as db:
        counted = db.execute("SELECT strftime(file_month, '%Y-%m'), count(*) FROM green_tripdata GROUP BY 1").fetchall()
    assert dict(counted) == sizes
    assert len(sizes) >= 9


def csv_twin(path: Path, folder: Path) -> bytes:
    """A month's Parquet as TLC's CSV of the time would have had it."""
    rows = pq.read_table(path).to_pylist()
    out = folder / "twin.csv"
    with out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(rows[0])
        writer.writerows([("" if value is None else value) for value in row.values()] for row in rows)
    return out.read_bytes()


def test_csv_and_parquet_of_one_month_make_the_same_table(load: Load, tmp_path: Path) -> None:
    (path,) = [path for path in FILES if path.stem == "green_tripdata_2021-01"]
    load("green", "2021-01", path.read_bytes())
    from_parquet = table(tmp_path, "green", "2021-01")
    again = load("green", "2021-01", csv_twin(path, tmp_path), "--force")
    assert again.document["parts"][0]["rejects"] == 0
    assert table(tmp_path, "green", "2021-01") == from_parquet


def test_another_source_replaces_a_part_only_when_asked(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a/2019-10.csv"] = (DATA / "green_tripdata_2019-10.csv").read_bytes()
    publisher.files["/b/2019-10.csv"] = (DATA / "green_tripdata_2019-02.csv").read_bytes()
    part = ("--dataset", "green", "--month", "2019-10", "--json")
    taxi("run", *part, "--source", publisher.url + "/a/{month}.csv")
    first = table(tmp_path, "green", "2019-10")
    kept = taxi("run", *part)
    assert (kept.document["parts"][0]["source"], table(tmp_path, "green", "2019-10")) == (
        publisher.url + "/a/{month}.csv",
        first,
    )
    taxi("run", *part, "--source", publisher.url + "/b/{month}.csv")
    replaced = table(tmp_path, "green", "2019-10")
    assert (len(replaced), replaced == first) == (8, False)


def test_the_footer_tells_where_the_rows_came_from_and_nothing_of_the_run(
    load: Load, publisher: Publisher, tmp_path: Path
) -> None:
    path = DATA / "green_tripdata_2019-10.csv"
    load("green", "2019-10", path.read_bytes())
    (parquet,) = (tmp_path / "data" / "parquet" / "green").iterdir()
    told = json.loads(pq.read_metadata(parquet).metadata[b"taxi_ingest"])
    assert sorted(told) == [
        "mark", "raw_bytes", "raw_sha256", "rejects", "rows", "source", "vintage", "writer"
    ]  # fmt: skip
    assert (told["rows"], told["raw_bytes"], told["vintage"]) == (8, path.stat().st_size, "csv-2019")
    assert told["source"] == "http://127.0.0.1/green_tripdata_2019-10.csv"


@pytest.mark.parametrize(
    ("months", "notice"),
    [
        ("2021-06..2021-09", "2021-06..2021-07 from csv, 2021-08..2021-09 from tlc"),
        ("2021-06..2021-07", ""),
        ("2022-01", ""),
    ],
)
def test_a_range_that_mixes_sources_says_so_in_one_line(taxi: Command, months: str, notice: str) -> None:
    # nothing is reached: the proxy of the tests answers nobody
    ran = taxi("download", "--month", months, TAXI_INGEST_DOWNLOAD__TRIES="1")
    lines = [line for line in ran.out.splitlines() if "differ by a few rows" in line]
    assert len(lines) == (1 if notice else 0)
    assert all(notice in line and "csv lacks Airport_fee" in line for line in lines)
