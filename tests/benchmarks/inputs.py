"""Makes up months of realistic size and spread: `inputs.py PATH DATASET MONTH ROWS BAD`. The same every time."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from taxi_ingest.catalog import Vintage, fold
from taxi_ingest.catalog.months import last_day
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.files import crc32c

BATCH = 200_000  # rows
ZONES, MOST_ZONES = 263, 60
RIDE = (60, 3600)  # seconds

CODES: dict[str, tuple[list[str], list[float]]] = {
    "vendorid": (["1", "2"], [0.34, 0.66]),
    "passenger_count": (["0", "1", "2", "3", "4", "5", "6"], [0.02, 0.73, 0.14, 0.04, 0.02, 0.03, 0.02]),
    "ratecodeid": (["1", "2", "3", "4", "5", "99"], [0.97, 0.02, 0.003, 0.002, 0.004, 0.001]),
    "store_and_fwd_flag": (["N", "Y"], [0.994, 0.006]),
    "payment_type": (["1", "2", "3", "4"], [0.72, 0.27, 0.006, 0.004]),
    "hvfhs_license_num": (["HV0003", "HV0005"], [0.74, 0.26]),
    "dispatching_base_num": ([f"B0{2400 + n}" for n in range(60)], [1 / 60] * 60),
    "originating_base_num": ([f"B0{2400 + n}" for n in range(60)], [1 / 60] * 60),
    "extra": (["0", "0.5", "1"], [0.5, 0.35, 0.15]),
    "mta_tax": (["0.5", "0"], [0.99, 0.01]),
    "improvement_surcharge": (["0.3", "0"], [0.99, 0.01]),
    "congestion_surcharge": (["2.5", "0", ""], [0.6, 0.1, 0.3]),
    "sr_flag": (["", "1"], [0.8, 0.2]),
}
"""Values that repeat, with their odds, by folded column name."""

FLAGS = (["N", "Y"], [0.97, 0.03])


def make(path: Path, dataset: str, month: str, rows: int, bad: float) -> None:
    """Write one file; its format follows from its suffix."""
    kind = "parquet" if path.suffix == ".parquet" else "csv"
    vintage = next(v for v in dataset_named(dataset).vintages if v.format == kind and v.covers(month))
    scratch = path.with_name(f"{path.name}.tmp")
    batches = _batches(dataset, vintage, month, rows)
    if kind == "parquet":
        _write_parquet(scratch, batches)
    else:
        _write_csv(scratch, batches, bad)
    scratch.replace(path)


def _write_parquet(path: Path, batches: Iterator[pa.Table]) -> None:
    first = next(batches)
    with pq.ParquetWriter(path, first.schema, compression="snappy") as writer:
        writer.write_table(first, row_group_size=1_000_000)
        for batch in batches:
            writer.write_table(batch, row_group_size=1_000_000)


def _write_csv(path: Path, batches: Iterator[pa.Table], bad: float) -> None:
    random = np.random.default_rng(7)
    with gzip.open(path, "wb", compresslevel=6) as out:
        for number, batch in enumerate(batches):
            text = io.BytesIO()
            if number == 0:
                text.write(",".join(batch.column_names).encode() + b"\n")
            options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
            body = io.BytesIO()
            pyarrow.csv.write_csv(batch, body, options)
            text.write(_spoilt(body.getvalue(), bad, random) if bad else body.getvalue())
            out.write(text.getvalue())


def _spoilt(text: bytes, bad: float, random: np.random.Generator) -> bytes:
    """`text` with about a share `bad` of its lines spoilt: an amount that is no number, or a field too many."""
    lines = text.split(b"\n")
    for at in random.choice(len(lines) - 1, round(bad * len(lines)), replace=False):
        before = lines[at].rpartition(b",")[0]
        lines[at] = before + b",abc" if random.random() < 0.5 else lines[at] + b",1,2"
    return b"\n".join(lines)


def _batches(dataset: str, vintage: Vintage, month: str, rows: int) -> Iterator[pa.Table]:
    random = np.random.default_rng(1)
    types = {column.name: column.type for column in dataset_named(dataset).columns}
    seconds = last_day(month).day * 86_400
    for start in range(0, rows, BATCH):
        count = min(BATCH, rows - start)
        spread = np.arange(start, start + count) * seconds // rows + random.integers(-1800, 1800, count)
        pickups = np.datetime64(f"{month}-01T00:00:00", "s") + np.clip(spread, 0, seconds - 1)
        rides = random.integers(*RIDE, count)
        columns = {}
        for name in vintage.columns:
            kind = types.get(vintage.names.get(fold(name), ""), "string")
            columns[name] = _column(fold(name), kind, pickups, rides, random, vintage.format)
        yield pa.table(columns)


def _column(
    name: str, kind: str, pickups: np.ndarray, rides: np.ndarray, random: np.random.Generator, file_format: str
) -> pa.Array:
    count = len(pickups)
    if kind == "timestamp":
        moved = rides if "dropoff" in name else -rides // 12 if "request" in name or "on_scene" in name else 0
        return pa.array(pickups + moved).cast(pa.timestamp("s" if file_format == "csv" else "us"))
    if name in CODES or name.endswith("_flag"):
        values, odds = CODES.get(name, FLAGS)
        return _coded(values, odds, kind, random, count)
    if "location" in name:
        return pa.array(1 + (ZONES * random.random(count) ** 3).astype(np.int64))
    if name == "trip_time":
        return pa.array(rides)
    if kind == "double":
        return pa.array(np.round(random.gamma(2.0, 4.0, count) * 100) / 100)
    return pa.nulls(count, pa.string())


def _coded(values: list[str], odds: list[float], kind: str, random: np.random.Generator, count: int) -> pa.Array:
    texts = pa.array([value or None for value in values])
    chosen = texts.take(pa.array(random.choice(len(values), count, p=np.array(odds) / sum(odds))))
    return chosen.cast({"int64": pa.int64(), "double": pa.float64()}.get(kind, pa.string()))


if __name__ == "__main__":
    made = Path(sys.argv[1])
    make(made, sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
    Path(f"{made}.crc32c").write_text(crc32c(made))
