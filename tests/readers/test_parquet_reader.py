"""TLC's Parquet to canonical rows: real files, damaged files, rejects, codes, and random files."""

from __future__ import annotations

import json
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from whole_file import DATA
from whole_parquet import CANONICAL, LAYOUTS, canonical_name, read_parquet, row_of

from taxi_ingest.catalog import Vintage
from taxi_ingest.catalog.reading import dataset
from taxi_ingest.errors import ContentError
from taxi_ingest.readers import parquet as parquet_reader
from taxi_ingest.readers.parquet import read

FILES = sorted(DATA.glob("*_tripdata_*.parquet"))
FOOTER_ONLY = DATA / "reference" / "yellow_tripdata_2024-04.footer-only.parquet"

FHV = LAYOUTS["fhv"]["2015-01"].split(",")
YELLOW_2010 = LAYOUTS["yellow"]["2010-01"].split(",")
NOON = datetime(2010, 2, 3, 12)


def meaning(name: str, published: dict[str, Any]) -> dict[str, Any]:
    """The canonical row of a published row, converted in plain Python."""
    values = {}
    for title, value in published.items():
        column = canonical_name(name, title)
        assert column
        if CANONICAL[name][column] == "int64" and value is not None:
            assert value == int(value)
            values[column] = int(value)
        else:
            values[column] = (value.strip() or None) if isinstance(value, str) else value
    return row_of(name, values)


def fhv(tmp_path: Path, columns: dict[str, Any], **settings: Any) -> Path:
    """Write a synthetic file of the dataset with the fewest columns; those not given are null."""
    rows = len(next(iter(columns.values())))
    path = tmp_path / "fhv_tripdata_2021-01.parquet"
    pq.write_table(pa.table(dict.fromkeys(FHV, pa.nulls(rows)) | columns), path, **settings)
    return path


def yellow_2010(tmp_path: Path, columns: dict[str, Any]) -> Path:
    """Write a synthetic file of 2010, when datetimes and codes were text; columns not given are null, but surcharge."""
    rows = len(next(iter(columns.values())))
    path = tmp_path / "yellow_tripdata_2010-02.parquet"
    pq.write_table(
        pa.table(dict.fromkeys(YELLOW_2010, pa.nulls(rows)) | {"surcharge": pa.repeat(0.5, rows)} | columns), path
    )
    return path


def fhv_layout() -> Vintage:
    return next(v for v in dataset("fhv").vintages if v.format == "parquet")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("batch_rows", [7, 131_072])
def test_every_value_of_a_real_file_equals_plain_python(path: Path, batch_rows: int) -> None:
    name = path.stem.partition("_")[0]
    expected = [meaning(name, row) for row in pq.read_table(path).to_pylist()]
    assert read_parquet(path, batch_rows=batch_rows).rows == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_of_a_real_file_is_counted(path: Path) -> None:
    assert read_parquet(path).lines == pq.read_metadata(path).num_rows > 0


def test_rows_in_a_published_schema_are_read(tmp_path: Path) -> None:
    schema = pq.read_schema(FOOTER_ONLY)
    samples = {pa.int32(): 2, pa.int64(): 3, pa.float64(): 0.5, pa.large_string(): "N", pa.timestamp("us"): NOON}
    row = {field.name: samples[field.type] for field in schema}
    path = tmp_path / "yellow_tripdata_2024-04.parquet"
    pq.write_table(pa.Table.from_pylist([row], schema=schema), path)
    assert read_parquet(path).rows == [meaning("yellow", row)]


def test_a_footer_without_its_rows_is_refused() -> None:
    with pytest.raises(ContentError, match=r"^yellow_tripdata_2024-04.footer-only.parquet is a damaged Parquet file"):
        read_parquet(FOOTER_ONLY)


def test_a_damaged_page_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = fhv(tmp_path, {"PUlocationID": list(range(10_000))}, compression="zstd")
    damaged = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(0).column(3).data_page_offset
    damaged[start + 30 : start + 90] = b"\xff" * 60
    path.write_bytes(damaged)
    with pytest.raises(ContentError, match=r"^fhv_tripdata_2021-01.parquet is a damaged Parquet file \([^\n]+\): "):
        read_parquet(path)


def test_a_page_that_disagrees_with_its_checksum_is_refused(tmp_path: Path) -> None:
    numbers = {"PUlocationID": [7] * 100}
    path = fhv(tmp_path, numbers, compression="none", use_dictionary=False, write_page_checksum=True)
    damaged = path.read_bytes().replace((7).to_bytes(8, "little") * 50, (8).to_bytes(8, "little") * 50, 1)
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with pytest.raises(ContentError):
        read_parquet(path)


@pytest.mark.parametrize("column", ["dispatching_base_num", "pickup_datetime"])
def test_text_that_is_not_utf8_is_refused_naming_the_column(tmp_path: Path, column: str) -> None:
    binary = pa.array([b"B02884", b"\xff\xfe"])
    path = fhv(tmp_path, {column: pa.Array.from_buffers(pa.string(), 2, binary.buffers())})
    with pytest.raises(ContentError, match=f"{column} is not valid UTF-8"):
        read_parquet(path)


def test_a_file_without_a_known_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"fruit": ["apple"]}), path)
    with pytest.raises(ContentError, match="has no column of fhv: it has fruit"):
        list(read(path, dataset("fhv"), fhv_layout()))


def test_a_file_without_rows_yields_none(tmp_path: Path) -> None:
    whole = read_parquet(fhv(tmp_path, {"PUlocationID": pa.array([], pa.int64())}))
    assert (whole.rows, whole.lines) == ([], 0)


def test_columns_are_matched_by_name_not_by_position(tmp_path: Path) -> None:
    path = tmp_path / "fhv_tripdata_2021-01.parquet"
    pq.write_table(pa.table({title: [i] if "ID" in title else [None] for i, title in enumerate(reversed(FHV))}), path)
    expected = {column: 6 - i if "ID" in column else None for i, column in enumerate(FHV)}
    assert read_parquet(path).rows == [expected]


def test_names_are_compared_without_case_and_blanks(tmp_path: Path) -> None:
    path = tmp_path / "fhv_tripdata_2021-01.parquet"
    pq.write_table(pa.table({f" {title.upper()} ": [1] if "ID" in title else [None] for title in FHV}), path)
    assert read_parquet(path).rows == [row_of("fhv", {"PUlocationID": 1, "DOlocationID": 1})]


def test_unknown_columns_are_not_read(tmp_path: Path) -> None:
    surprise = pa.array([[1]], pa.list_(pa.int64()))
    path = fhv(tmp_path, {"PUlocationID": [1], "surprise": surprise, "__index_level_0__": [5]})
    assert read_parquet(path).rows == [row_of("fhv", {"PUlocationID": 1})]


def test_a_row_with_an_invalid_date_is_rejected_as_json(tmp_path: Path) -> None:
    times = [str(NOON), "2010-13-45 99:00:00", str(NOON), "soon"]
    path = yellow_2010(tmp_path, {"vendor_id": ["CMT"] * 4, "pickup_datetime": times, "fare_amount": [2.5] * 4})
    whole = read_parquet(path, batch_rows=3)
    assert [(reject.line, reject.reason) for reject in whole.rejects] == [
        (2, "tpep_pickup_datetime: '2010-13-45 99:00:00' is not a date and time"),
        (4, "tpep_pickup_datetime: 'soon' is not a date and time"),
    ]
    published = {"vendor_id": "CMT", "pickup_datetime": "soon", "fare_amount": 2.5}
    assert json.loads(whole.rejects[1].raw) == dict.fromkeys(YELLOW_2010) | {"surcharge": 0.5} | published


def test_the_other_rows_of_a_batch_with_rejects_are_kept(tmp_path: Path) -> None:
    times = [str(NOON), "soon", str(NOON)]
    whole = read_parquet(yellow_2010(tmp_path, {"pickup_datetime": times, "fare_amount": [1.0, 2.0, 3.0]}))
    assert [row["fare_amount"] for row in whole.rows] == [1.0, 3.0]


def test_a_row_with_two_bad_cells_is_one_reject_with_both_reasons(tmp_path: Path) -> None:
    whole = read_parquet(yellow_2010(tmp_path, {"pickup_datetime": ["soon"], "dropoff_datetime": ["late"]}))
    assert [reject.reason for reject in whole.rejects] == [
        "tpep_pickup_datetime: 'soon' is not a date and time; tpep_dropoff_datetime: 'late' is not a date and time"
    ]


def test_times_and_nan_of_a_rejected_row_are_text(tmp_path: Path) -> None:
    columns = {"pickup_datetime": ["soon"], "dropoff_datetime": pa.array([NOON]), "fare_amount": [float("nan")]}
    (reject,) = read_parquet(yellow_2010(tmp_path, columns)).rejects
    raw = json.loads(reject.raw)
    assert (raw["dropoff_datetime"], raw["fare_amount"]) == ("2010-02-03 12:00:00.000000", "nan")


def test_rejects_count_as_rows_of_the_file(tmp_path: Path) -> None:
    whole = read_parquet(yellow_2010(tmp_path, {"pickup_datetime": ["soon", str(NOON), "soon"]}))
    assert (whole.lines, len(whole.rows), len(whole.rejects)) == (3, 1, 2)


def test_an_unknown_text_code_is_null(tmp_path: Path) -> None:
    whole = read_parquet(yellow_2010(tmp_path, {"payment_type": ["Cas", "IOU", "CRE"]}))
    assert [row["payment_type"] for row in whole.rows] == [2, None, 1]


def test_unknown_text_codes_are_counted(tmp_path: Path) -> None:
    columns = {"payment_type": ["Cas", " IOU ", "IOU", None], "store_and_fwd_flag": [0.5, 1.0, 0.5, 0.5]}
    whole = read_parquet(yellow_2010(tmp_path, columns), batch_rows=2)
    assert whole.codes == Counter({("payment_type", "IOU"): 2, ("store_and_fwd_flag", "0.5"): 3})


def test_codes_of_rejected_rows_are_not_counted(tmp_path: Path) -> None:
    columns = {"payment_type": ["IOU", "IOU"], "pickup_datetime": ["soon", str(NOON)]}
    assert read_parquet(yellow_2010(tmp_path, columns)).codes == Counter({("payment_type", "IOU"): 1})


def test_missing_rows_still_count_as_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fhv(tmp_path, {"PUlocationID": list(range(10))}, row_group_size=6)
    records = parquet_reader._records
    monkeypatch.setattr(parquet_reader, "_records", lambda *given: list(records(*given))[:-1])
    whole = read_parquet(path, batch_rows=2)
    assert (whole.lines, len(whole.rows)) == (10, 6)


def test_memory_does_not_grow_with_the_row_group(tmp_path: Path) -> None:
    rows = 4_000_000  # 32 MB in one row group that does not compress
    path = fhv(tmp_path, {"PUlocationID": pa.array(range(rows))}, row_group_size=rows, use_dictionary=False)
    before = pa.total_allocated_bytes()
    batches = read(path, dataset("fhv"), fhv_layout(), batch_rows=8192)
    assert max(pa.total_allocated_bytes() - before for _ in batches) < 12 << 20


def reading_threads() -> Iterator[threading.Thread]:
    return (thread for thread in threading.enumerate() if thread.name.startswith("read"))


def test_an_abandoned_read_leaves_no_thread(tmp_path: Path) -> None:
    path = fhv(tmp_path, {"PUlocationID": list(range(100))})
    batches = iter(read(path, dataset("fhv"), fhv_layout(), batch_rows=10))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not list(reading_threads())


WHOLE = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=5)
TIME = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(lambda time: time.replace(microsecond=0))
KINDS: dict[str, list[tuple[Any, Any]]] = {
    "int64": [
        (pa.int32(), WHOLE),
        (pa.int64(), WHOLE),
        (pa.float64(), WHOLE.map(float)),
        (pa.string(), st.one_of(WHOLE.map(str), WHOLE.map(lambda n: f" {n}.0"))),
    ],
    "double": [
        (pa.int64(), WHOLE),
        (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
        (pa.string(), WHOLE.map(lambda n: f"{n / 4}")),
    ],
    "string": [(pa.string(), TEXT), (pa.large_string(), TEXT), (pa.dictionary(pa.int32(), pa.string()), TEXT)],
    "timestamp": [
        *((pa.timestamp(unit), TIME) for unit in ("s", "ms", "us", "ns")),
        (pa.string(), TIME.map(str)),
        (pa.large_string(), st.one_of(TIME.map(str), st.just("soon"))),
    ],
}


def value(kind: str, cell: Any) -> Any:
    """The canonical value of a cell; raises ValueError if it has none."""
    if isinstance(cell, str):
        cell = cell.strip() or None
    if cell is None or kind == "string":
        return cell
    if kind == "timestamp":
        return datetime.fromisoformat(cell) if isinstance(cell, str) else cell
    return int(float(cell)) if kind == "int64" else float(cell)


@st.composite
def tables(draw: st.DrawFn) -> Any:
    """A table in the layout with the fewest columns, of random physical types, with some texts that are not dates."""
    rows = draw(st.integers(0, 12))
    columns = {}
    for title in FHV:
        kind, cells = draw(st.sampled_from([*KINDS[CANONICAL["fhv"][title]], (pa.null(), st.none())]))
        column = draw(st.lists(st.none() | cells, min_size=rows, max_size=rows))
        columns[title] = pa.array(column).cast(kind) if "dictionary" in str(kind) else pa.array(column, kind)
    return pa.table(columns)


@given(table=tables(), group=st.integers(1, 8), batch=st.integers(1, 5))
def test_random_tables_read_equal_whatever_their_types_and_row_groups(table: Any, group: int, batch: int) -> None:
    expected, rejected = [], []
    for number, row in enumerate(table.to_pylist(), 1):
        try:
            values = {title: value(CANONICAL["fhv"][title], cell) for title, cell in row.items()}
        except ValueError:
            rejected.append(number)
            continue
        if any(cell is not None for cell in values.values()):
            expected.append(values)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fhv_tripdata_2021-01.parquet"
        pq.write_table(table, path, row_group_size=group)
        whole = read_parquet(path, batch_rows=batch)
    assert (whole.rows, [reject.line for reject in whole.rejects]) == (expected, rejected)
    assert whole.lines == table.num_rows
