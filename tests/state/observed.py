"""A part of which everything is done, and what is decided about one of which not everything is."""

from __future__ import annotations

from dataclasses import replace

from taxi_ingest.catalog import Part
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.state.decide import Observed, Wanted, decide
from taxi_ingest.state.mark import mark
from taxi_ingest.state.receipts import Downloaded, Loaded, Parquetized, PartReceipts, Uploaded
from taxi_ingest.writers.provenance import Writer

PART = Part("yellow", "2021-01")
HEADER = (
    "VendorID", "tpep_pickup_datetime", "tpep_dropoff_datetime", "passenger_count", "trip_distance", "RatecodeID",
    "store_and_fwd_flag", "PULocationID", "DOLocationID", "payment_type", "fare_amount", "extra", "mta_tax",
    "tip_amount", "tolls_amount", "improvement_surcharge", "total_amount", "congestion_surcharge",
)  # fmt: skip
DOWNLOADED = Downloaded(
    source="csv", url="", file="raw/a.csv", bytes=100, mtime_ns=1, sha256="ab" * 32, format="csv", columns=HEADER
)
MARK = mark(PART, DOWNLOADED)
PARQUET = Parquetized(
    mark=MARK, source="csv", raw_sha256="ab" * 32, raw_bytes=100, vintage="v", rows=7, rejects=0, writer=Writer(),
    bytes=50, mtime_ns=2, crc32c="0000aaaa",
)  # fmt: skip
STORED = Uploaded(at="/lake", object="yellow/a.parquet", mark=MARK, crc32c="0000aaaa", bytes=50)
MONTH = Loaded(at="duckdb:/taxi.duckdb", table="yellow_tripdata", mark=MARK, rows=7)

RECEIPTS = PartReceipts(download=DOWNLOADED, parquetize=PARQUET, upload=STORED, load=MONTH)
DONE = Observed(part=PART, receipts=RECEIPTS, raw_present=True, parquet=PARQUET, stored=STORED, month=MONTH)
DAMAGED = replace(DONE, parquet=None, parquet_damaged=True)
OTHER_BYTES = replace(DONE, stored=replace(STORED, crc32c="bbbb"))
WANTED = Wanted(source="", writer=Writer(), targets=frozenset({"load"}), kept=frozenset({"parquet"}))


def without(step: Step) -> Observed:
    """Everything is done, but the receipt of `step` is missing."""
    return replace(DONE, receipts=replace(RECEIPTS, **{step: None}))


def actions(now: Observed, wanted: Wanted = WANTED) -> dict[Step, str]:
    return {step: decide(step, now, wanted).action for step in STEPS}


def all_but(**steps: str) -> dict[str, str]:
    return dict.fromkeys(STEPS, "up_to_date") | steps
