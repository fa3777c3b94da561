"""Whatever another program writes of a canonical table, in its own types and with its own options, comes back equal."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whole_file import plain_table

from taxi_ingest.catalog import Column, fit
from taxi_ingest.catalog.reading import dataset, datasets
from taxi_ingest.readers import reader
from taxi_ingest.readers.inspecting import inspect

PLAIN = {"int64": pa.int64(), "double": pa.float64(), "string": pa.string(), "timestamp": pa.timestamp("us")}
WRITABLE = st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=["Cc", "Cs", "Zs"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**53), 2**53) | st.integers(0, 265),
    "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 20_000).map(lambda n: n / 100),
    "string": st.text(WRITABLE | st.just(" "), min_size=1, max_size=8).map(str.strip).filter(bool),
    "timestamp": st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
    | st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1)).map(lambda time: time.replace(microsecond=0)),
}


def values_of(column: Column) -> st.SearchStrategy[Any]:
    """Canonical values of a column; where the catalog has codes of text, only those."""
    codes = sorted({code for code in column.codes.values() if code != ""}, key=str)
    return st.sampled_from(codes) if codes and column.type == "string" else VALUES[column.type]


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, pa.Table]:
    """A dataset and a table in its canonical schema, without rows of nulls alone."""
    known = draw(st.sampled_from(list(datasets().values())))
    rows = draw(st.integers(1, 6))
    first = known.columns[0]
    columns = [draw(st.lists(values_of(first), min_size=rows, max_size=rows))]
    for column in known.columns[1:]:
        columns.append(draw(st.lists(st.none() | values_of(column), min_size=rows, max_size=rows)))
    arrays = [pa.array(cells, PLAIN[c.type]) for cells, c in zip(columns, known.columns, strict=True)]
    return known.name, pa.table(arrays, names=[column.name for column in known.columns])


def pyarrow_csv(table: pa.Table, path: Path, quoting: str) -> None:
    pa_csv.write_csv(table, path, pa_csv.WriteOptions(quoting_style=quoting))


def pyarrow_parquet(table: pa.Table, path: Path, **options: Any) -> None:
    pq.write_table(table, path, **options)


def pyarrow_types(table: pa.Table, path: Path, text: Any, time: Any) -> None:
    swap = {pa.string(): text, pa.timestamp("us"): time}
    schema = pa.schema([(f.name, swap.get(f.type, f.type)) for f in table.schema])
    pq.write_table(table.cast(schema), path)


def duckdb_copy(table: pa.Table, path: Path, options: str) -> None:
    duckdb.connect().register("t", table).execute(f"COPY t TO '{path}' ({options})")


def polars_csv(table: pa.Table, path: Path, **options: Any) -> None:
    pl.from_arrow(table).write_csv(path, **options)  # type: ignore[union-attr]


def polars_parquet(table: pa.Table, path: Path, **options: Any) -> None:
    pl.from_arrow(table).write_parquet(path, **options)  # type: ignore[union-attr]


def pandas_csv(table: pa.Table, path: Path, **options: Any) -> None:
    table.to_pandas().to_csv(path, **options)


def pandas_parquet(table: pa.Table, path: Path, **options: Any) -> None:
    table.to_pandas().to_parquet(path, **options)


def pandas_nanoseconds(table: pa.Table, path: Path) -> None:
    frame = table.to_pandas()
    times = [name for name in frame if pd.api.types.is_datetime64_any_dtype(frame[name])]
    frame.astype(dict.fromkeys(times, "datetime64[ns]")).to_parquet(path)


Write = Callable[[pa.Table, Path], None]
WRITERS: dict[str, Write] = {
    **{f"pyarrow csv {q}": lambda t, p, q=q: pyarrow_csv(t, p, q) for q in ("needed", "all_valid")},
    **{
        f"pyarrow parquet {options}": lambda t, p, options=options: pyarrow_parquet(t, p, **options)
        for options in (
            {},
            {"compression": "zstd", "data_page_version": "2.0"},
            {"version": "1.0", "coerce_timestamps": "us", "use_dictionary": False},
            {"use_deprecated_int96_timestamps": True, "row_group_size": 2},
            {"write_page_checksum": True, "compression": "none", "store_schema": False},
        )
    },
    **{
        f"pyarrow {text} {time}": lambda t, p, text=text, time=time: pyarrow_types(t, p, text, time)
        for text, time in (
            (pa.large_string(), pa.timestamp("ns")),
            (pa.dictionary(pa.int32(), pa.string()), pa.timestamp("us")),
            (pa.string_view(), pa.timestamp("us")),
            (pa.binary(), pa.timestamp("us")),
        )
    },
    **{
        f"duckdb {options}": lambda t, p, options=options: duckdb_copy(t, p, options)
        for options in (
            "FORMAT csv, HEADER",
            "FORMAT csv, HEADER, FORCE_QUOTE *",
            "FORMAT csv, HEADER, COMPRESSION gzip",
            "FORMAT parquet",
            "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION V2",
            "FORMAT parquet, COMPRESSION uncompressed",
        )
    },
    **{
        f"polars csv {options}": lambda t, p, options=options: polars_csv(t, p, **options)
        for options in (
            {},
            {"quote_style": "always"},
            {"quote_style": "non_numeric", "include_bom": True, "line_terminator": "\r\n"},
            {"datetime_format": "%Y-%m-%d %H:%M:%S%.f"},
        )
    },
    **{
        f"polars parquet {name}": lambda t, p, name=name: polars_parquet(t, p, compression=name)
        for name in ("zstd", "snappy", "gzip", "lz4", "uncompressed")
    },
    **{
        f"pandas csv {options}": lambda t, p, options=options: pandas_csv(t, p, **options)
        for options in (
            {"index": False},
            {"index": True},
            {"index": False, "quoting": csv.QUOTE_ALL, "lineterminator": "\r\n"},
            {"index": False, "quoting": csv.QUOTE_NONNUMERIC},
        )
    },
    **{f"pandas parquet {index}": lambda t, p, i=index: pandas_parquet(t, p, index=i) for index in (None, True)},
    "pandas parquet nanoseconds": pandas_nanoseconds,
}


def read_back(path: Path, name: str) -> pa.Table:
    """The table that our reader makes of a file."""
    known, found = dataset(name), inspect(path)
    vintage = fit(known, found.format, found.columns, None).vintage
    batches = list(reader(found.format)(path, known, vintage))
    assert not [reject for batch in batches for reject in batch.rejects]
    return pa.concat_tables([plain_table(batch) for batch in batches])


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=12)
@given(made=tables())
def test_what_it_writes_comes_back_equal(writer: str, made: tuple[str, pa.Table]) -> None:
    name, table = made
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        WRITERS[writer](table, path)
        assert read_back(path, name).to_pylist() == table.to_pylist()
