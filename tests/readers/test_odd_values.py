"""Values that only some programs write: each has its own meaning, and none is a bug."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_parquet_types import layout
from whole_file import WholeFile, read_whole
from whole_parquet import read_parquet

from taxi_ingest.catalog.reading import dataset

NAT = -(2**63)
PICKUP = "tpep_pickup_datetime"
PARTLY_NAN = ["nan(1)", "-nan(ind)", "nan()", "NAN(IND)", "nan(snan)"]
ENDLESS = ["0e99999999999999999999", "1e-99999999999999999999", "-0e99999999999999999999"]


def one_column(folder: Path, column: str, array: Any) -> WholeFile:
    """A Parquet file with these values in one column, and fares beside them."""
    path = folder / "yellow_tripdata_2021-01.parquet"
    types = dict.fromkeys(layout("yellow", "2021-01"), pa.nulls(len(array)))
    pq.write_table(pa.table(types | {"extra": pa.repeat(0.5, len(array)), column: array}), path)
    return read_parquet(path)


def csv_of(folder: Path, passengers: str, fare: str = "1") -> WholeFile:
    names = layout("yellow", "2021-01")[:18]
    cells = dict.fromkeys(names, "") | {
        PICKUP: "2021-01-01 00:00:00",
        "passenger_count": passengers,
        "fare_amount": fare,
    }
    path = folder / "yellow_tripdata_2021-01.csv"
    path.write_text(f"{','.join(names)}\n{','.join(cells.values())}\n")
    return read_whole(path, dataset("yellow"))


@pytest.mark.parametrize("text", PARTLY_NAN + ENDLESS)
def test_what_is_no_whole_number_is_a_reject_of_csv(tmp_path: Path, text: str) -> None:
    whole = csv_of(tmp_path, text)
    assert [reject.reason for reject in whole.rejects] == [f"passenger_count: '{text}' is not a whole number"]


@pytest.mark.parametrize("text", PARTLY_NAN + ENDLESS)
def test_what_is_no_whole_number_is_a_reject_of_parquet(tmp_path: Path, text: str) -> None:
    whole = one_column(tmp_path, "passenger_count", pa.array([text, "2"]))
    assert ([row["passenger_count"] for row in whole.rows], len(whole.rejects)) == ([2], 1)


@pytest.mark.parametrize("text", PARTLY_NAN)
def test_what_is_no_number_is_a_reject(tmp_path: Path, text: str) -> None:
    assert [reject.reason for reject in csv_of(tmp_path, "1", text).rejects] == [
        f"fare_amount: '{text}' is not a number"
    ]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_numpys_null_of_a_time_is_null_and_counted(tmp_path: Path, unit: str) -> None:
    times = pa.array([NAT, 0, None, NAT], pa.int64()).view(pa.timestamp(unit))
    whole = one_column(tmp_path, PICKUP, times)
    assert [row[PICKUP] for row in whole.rows] == [None, datetime(1970, 1, 1), None, None]
    assert whole.changed == {(PICKUP, "NaT became null"): 2}


def test_a_row_of_numpys_nulls_alone_is_no_trip(tmp_path: Path) -> None:
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    types = dict.fromkeys(layout("yellow", "2021-01"), pa.nulls(2))
    times = pa.array([NAT, 0], pa.int64()).view(pa.timestamp("us"))
    pq.write_table(pa.table(types | {PICKUP: times}), path)
    whole = read_parquet(path)
    assert (len(whole.rows), whole.empty, whole.rejects) == (1, 1, [])


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view()])
def test_rows_of_views_are_rejected_like_others(tmp_path: Path, kind: pa.DataType) -> None:
    whole = one_column(tmp_path, "passenger_count", pa.array(["1", "one", "2"], kind))
    assert [row["passenger_count"] for row in whole.rows] == [1, 2]
    assert [reject.line for reject in whole.rejects] == [2]
