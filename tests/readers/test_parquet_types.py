"""Every physical type that a published column ever had is read as the canonical type.

The files are synthetic: columns and types are those of the month, values are made up. The types come from
`data/type_flips.json`, extracted from the footers of published files.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from whole_file import DATA, WholeFile
from whole_parquet import CANONICAL, FLIPS, LAYOUTS, canonical_name, read_parquet, row_of

from taxi_ingest.errors import SchemaError

CELLS = [
    (name, column, month, kind)
    for name, columns in FLIPS["flips"].items()
    for column, history in columns.items()
    for first, last, kind in history
    for month in dict.fromkeys([first, last])
]
ARROW = {
    "null": pa.null(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "timestamp[us]": pa.timestamp("us"),
}

INT96 = DATA.parent / "field" / "01-fhv.parquet"
INT96_TIMES = [
    datetime(2262, 4, 11, 23), datetime(2262, 4, 12), datetime(2263, 1, 1), datetime(3019, 2, 3, 17, 30),
    datetime(9999, 12, 31, 23, 59, 59), datetime(1677, 9, 22), datetime(1677, 9, 20), datetime(1582, 10, 4),
    datetime(1, 1, 1),
]  # fmt: skip
MORNING, EVENING = datetime(2015, 3, 8, 2, 30), datetime(2015, 12, 31, 23, 59, 59)
NOTHING = [None, None, None, None]
USUAL = {
    ("int64", "int64"): ([1, 99, None, 264], [1, 99, None, 264]),
    ("int64", "double"): ([1.0, 99.0, None, 264.0], [1, 99, None, 264]),
    ("int64", "string"): (["1", " 99", None, "264.0"], [1, 99, None, 264]),
    ("double", "double"): ([0.0, -2.75, None, 0.1], [0.0, -2.75, None, 0.1]),
    ("string", "string"): (["B02884", " b00013 ", None, " "], ["B02884", "b00013", None, None]),
    ("timestamp", "timestamp[us]"): ([MORNING, EVENING, None, MORNING], [MORNING, EVENING, None, MORNING]),
    ("timestamp", "string"): ([str(MORNING), f" {EVENING}", None, ""], [MORNING, EVENING, None, None]),
}
CODED = {
    ("VendorID", "string"): (["CMT", "vts", None, "DDS "], [1, 2, None, 3]),
    ("payment_type", "string"): (["CASH", "Cre", None, "NA "], [2, 1, None, 5]),
    ("store_and_fwd_flag", "string"): (["Y", "0", None, "*"], ["Y", "N", None, None]),
    ("store_and_fwd_flag", "double"): ([1.0, 0.0, None, 0.0], ["Y", "N", None, "N"]),
}
SAME_KIND = {"int32": "int64", "large_string": "string"}


def values(name: str, column: str | None, kind: str) -> tuple[list[Any], list[Any]]:
    """The values written to a column of that physical type, and the canonical values expected back."""
    if kind == "null" or column is None:
        return (NOTHING, NOTHING)
    plain = SAME_KIND.get(kind, kind)
    return CODED.get((column, plain)) or USUAL[CANONICAL[name][column], plain]


def layout(name: str, month: str) -> list[str]:
    """The columns of a month's file."""
    return LAYOUTS[name][max(first for first in LAYOUTS[name] if first <= month)].split(",")


def type_in(name: str, published: str, month: str) -> str:
    """The physical type of a column in a month."""
    for column, history in FLIPS["flips"][name].items():
        for first, last, kind in history:
            if column.lower() == published.lower() and first <= month <= last:
                return str(kind)
    canonical = canonical_name(name, published)
    assert canonical
    return str(FLIPS["default"][CANONICAL[name][canonical]])


def synthetic(tmp_path: Path, name: str, month: str, types: dict[str, str]) -> tuple[Path, list[dict[str, Any]]]:
    """Write a file with these columns and types; returns it and the canonical rows it holds."""
    arrays: dict[str, Any] = {}
    meant: dict[str, list[Any]] = {}
    for published, kind in types.items():
        canonical = canonical_name(name, published)
        physical, meaning = values(name, canonical, kind)
        arrays[published] = pa.array(physical, ARROW[kind])
        if canonical:
            meant[canonical] = meaning
    path = tmp_path / f"{name}_tripdata_{month}.parquet"
    pq.write_table(pa.table(arrays), path)
    rows = [row_of(name, {column: cells[i] for column, cells in meant.items()}) for i in range(4)]
    return path, [row for row in rows if any(value is not None for value in row.values())]


@pytest.mark.parametrize(("name", "column", "month", "kind"), CELLS, ids=lambda cell: cell)
def test_a_month_with_its_own_types_yields_the_canonical_values(
    tmp_path: Path, name: str, column: str, month: str, kind: str
) -> None:
    types = {published: type_in(name, published, month) for published in layout(name, month)}
    (published,) = (p for p in types if p.lower() == column.lower())
    types[published] = kind
    path, rows = synthetic(tmp_path, name, month, types)
    assert read_parquet(path).rows == rows


@pytest.mark.parametrize(("name", "month"), [(name, month) for name, layouts in LAYOUTS.items() for month in layouts])
def test_every_column_may_be_of_null_type(tmp_path: Path, name: str, month: str) -> None:
    path, rows = synthetic(tmp_path, name, month, dict.fromkeys(layout(name, month), "null"))
    assert read_parquet(path).rows == rows


def one_column(tmp_path: Path, column: str, array: Any, month: str = "2021-01") -> WholeFile:
    """Read a synthetic file in which one column is `array`, `extra` is 0.5 and the others are null."""
    name = "yellow"
    types = dict.fromkeys(layout(name, month), pa.nulls(len(array))) | {"extra": pa.repeat(0.5, len(array))}
    path = tmp_path / f"{name}_tripdata_{month}.parquet"
    pq.write_table(pa.table(types | {column: array}), path)
    return read_parquet(path)


def cells(whole: WholeFile, column: str) -> list[Any]:
    return [row[column] for row in whole.rows]


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int16(), pa.uint8(), pa.uint64(), pa.float32(), pa.decimal128(9, 2), pa.string()],
    ids=str,
)
def test_whole_numbers_may_be_of_any_numeric_type(tmp_path: Path, kind: Any) -> None:
    array = pa.array([1, None, 6]).cast(pa.decimal128(19, 0) if "decimal" in str(kind) else kind).cast(kind)
    assert cells(one_column(tmp_path, "VendorID", array), "VendorID") == [1, None, 6]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float16(), pa.float32(), pa.decimal128(9, 2)], ids=str)
def test_amounts_may_be_of_any_numeric_type(tmp_path: Path, kind: Any) -> None:
    array = pa.array([Decimal("7.00"), None]).cast(pa.float64()).cast(kind)
    assert cells(one_column(tmp_path, "fare_amount", array), "fare_amount") == [7.0, None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_may_have_any_unit(tmp_path: Path, unit: str) -> None:
    array = pa.array([EVENING, None], pa.timestamp(unit))
    assert cells(one_column(tmp_path, "tpep_pickup_datetime", array), "tpep_pickup_datetime") == [EVENING, None]


def test_times_are_truncated_to_microseconds(tmp_path: Path) -> None:
    array = pa.array([1_999], pa.timestamp("ns"))
    found = cells(one_column(tmp_path, "tpep_pickup_datetime", array), "tpep_pickup_datetime")
    assert found == [datetime(1970, 1, 1, 0, 0, 0, 1)]


def test_a_date_becomes_midnight(tmp_path: Path) -> None:
    array = pa.array([date(2021, 1, 2)])
    found = cells(one_column(tmp_path, "tpep_pickup_datetime", array), "tpep_pickup_datetime")
    assert found == [datetime(2021, 1, 2)]


@pytest.mark.parametrize("of", [pa.string(), pa.large_string()], ids=str)
def test_text_may_be_dictionary_encoded(tmp_path: Path, of: Any) -> None:
    array = pa.array([" Y", None, "n", " Y"]).cast(of).dictionary_encode()
    found = one_column(tmp_path, "store_and_fwd_flag", array)
    assert cells(found, "store_and_fwd_flag") == ["Y", None, "N", "Y"]


def test_text_times_may_be_dictionary_encoded(tmp_path: Path) -> None:
    array = pa.array([str(EVENING), None, str(EVENING)]).dictionary_encode()
    found = cells(one_column(tmp_path, "tpep_pickup_datetime", array), "tpep_pickup_datetime")
    assert found == [EVENING, None, EVENING]


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()], ids=str)
def test_a_numeric_flag_becomes_a_letter(tmp_path: Path, kind: Any) -> None:
    found = one_column(tmp_path, "store_and_fwd_flag", pa.array([0, 1, None]).cast(kind))
    assert cells(found, "store_and_fwd_flag") == ["N", "Y", None]


def refusal(tmp_path: Path, column: str, array: Any) -> str:
    with pytest.raises(SchemaError) as caught:
        one_column(tmp_path, column, array)
    return str(caught.value)


@pytest.mark.parametrize(("value", "shown"), [(1.5, "1.5"), (float("inf"), "inf"), (1e19, "1e+19")])
def test_a_double_that_is_not_whole_is_refused_with_column_row_and_example(
    tmp_path: Path, value: float, shown: str
) -> None:
    assert refusal(tmp_path, "passenger_count", pa.array([1.0, None, 2.0, value, 7.5])).startswith(
        f"yellow_tripdata_2021-01.parquet: the column passenger_count has type double and, in row 4, "
        f"the value {shown}, which is not a 64-bit whole number."
    )


def test_a_time_with_a_zone_is_refused(tmp_path: Path) -> None:
    array = pa.array([EVENING], pa.timestamp("us", "UTC"))
    assert refusal(tmp_path, "tpep_pickup_datetime", array).startswith(
        "yellow_tripdata_2021-01.parquet: the column tpep_pickup_datetime has type timestamp[us, tz=UTC]; "
        "expected dates and times of the New York wall clock, without a time zone. The file was written by parquet-cpp"
    )


@pytest.mark.parametrize("zone", ["America/New_York", "US/Eastern"])
def test_a_time_in_new_yorks_zone_is_its_wall_clock(tmp_path: Path, zone: str) -> None:
    noon_in_winter, noon_in_summer = datetime(2021, 1, 2, 17, tzinfo=UTC), datetime(2021, 7, 2, 16, tzinfo=UTC)
    array = pa.array([noon_in_winter, noon_in_summer, None], pa.timestamp("us", zone))
    found = cells(one_column(tmp_path, "tpep_pickup_datetime", array), "tpep_pickup_datetime")
    assert found == [datetime(2021, 1, 2, 12), datetime(2021, 7, 2, 12), None]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()], ids=str)
def test_bytes_that_are_text_are_text(tmp_path: Path, kind: Any) -> None:
    found = one_column(tmp_path, "store_and_fwd_flag", pa.array([b"Y", None, b" n"], kind))
    assert cells(found, "store_and_fwd_flag") == ["Y", None, "N"]


def test_a_boolean_flag_becomes_a_letter(tmp_path: Path) -> None:
    found = one_column(tmp_path, "store_and_fwd_flag", pa.array([True, None, False]))
    assert cells(found, "store_and_fwd_flag") == ["Y", None, "N"]


FARES = [Decimal("7.39"), Decimal("0.07"), None, Decimal("-123.45"), Decimal("199.99")]


@pytest.mark.parametrize(
    "kind",
    [pa.decimal128(10, 2), pa.decimal128(18, 3), pa.decimal128(19, 4), pa.decimal128(38, 9), pa.decimal256(50, 9)],
    ids=str,
)
def test_a_decimal_becomes_the_nearest_double(tmp_path: Path, kind: Any) -> None:
    fares = [Decimal(n) / 100 for n in range(20_001)] + FARES
    found = cells(one_column(tmp_path, "fare_amount", pa.array(fares).cast(kind)), "fare_amount")
    assert found == [None if fare is None else float(fare) for fare in fares]


def test_an_int96_time_is_right_in_every_year() -> None:
    assert [row["dropOff_datetime"] for row in read_parquet(INT96, "fhv_tripdata_2020-01").rows[:9]] == INT96_TIMES


@pytest.mark.parametrize("unit", ["ns", "int96"])
def test_digits_below_the_microsecond_are_cut_and_counted(tmp_path: Path, unit: str) -> None:
    array = pa.array([1_999, 2_000, None, -3_001_000], pa.timestamp("ns"))
    types = dict.fromkeys(layout("yellow", "2021-01"), pa.nulls(4)) | {"extra": pa.repeat(0.5, 4)}
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    table = pa.table(types | {"tpep_pickup_datetime": array})
    pq.write_table(table, path, use_deprecated_int96_timestamps=unit == "int96")
    whole = read_parquet(path)
    assert whole.rows[0]["tpep_pickup_datetime"] == datetime(1970, 1, 1, 0, 0, 0, 1)
    assert whole.changed == {("tpep_pickup_datetime", "digits below the microsecond were cut"): 1}


def test_nanoseconds_before_1970_are_cut_towards_the_past_as_int96_is(tmp_path: Path) -> None:
    array = pa.array([-1_500, -2_000, 1_500], pa.timestamp("ns"))
    found = cells(one_column(tmp_path, "tpep_pickup_datetime", array), "tpep_pickup_datetime")
    assert [(time - datetime(1970, 1, 1)) // timedelta(microseconds=1) for time in found] == [-2, -2, 1]


@pytest.mark.parametrize("column", ["passenger_count", "fare_amount"])
def test_nan_is_null_and_counted(tmp_path: Path, column: str) -> None:
    whole = one_column(tmp_path, column, pa.array([1.0, float("nan"), None, float("nan")]))
    assert cells(whole, column) == [1.0, None, None, None]
    assert whole.changed == {(column, "NaN became null"): 2}


@pytest.mark.parametrize("cells_written", [[1.0, float("nan"), None], [float("nan")] * 3])
def test_nan_in_a_column_of_text_is_null_and_counted(tmp_path: Path, cells_written: list[Any]) -> None:
    whole = one_column(tmp_path, "store_and_fwd_flag", pa.array(cells_written, pa.float64()))
    nans = sum(cell is not None and cell != 1.0 for cell in cells_written)
    assert cells(whole, "store_and_fwd_flag") == ["Y" if cell == 1.0 else None for cell in cells_written]
    assert (whole.changed, whole.codes) == ({("store_and_fwd_flag", "NaN became null"): nans}, {})


def test_a_zoned_time_that_would_wrap_round_is_refused(tmp_path: Path) -> None:
    array = pa.array([0, -(2**63) + 1], pa.int64()).cast(pa.timestamp("us", "America/New_York"))
    assert "in row 2" in refusal(tmp_path, "tpep_pickup_datetime", array)


def test_a_row_whose_values_are_unknown_codes_alone_is_rejected(tmp_path: Path) -> None:
    types = dict.fromkeys(layout("yellow", "2021-01"), pa.nulls(2))
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    pq.write_table(pa.table(types | {"store_and_fwd_flag": pa.array(["what?", "Y"])}), path)
    whole = read_parquet(path)
    assert [(r.line, r.reason) for r in whole.rejects] == [(1, "no value in any column that is loaded")]
    assert (len(whole.rows), whole.empty, whole.codes) == (1, 0, {})


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_infinity_is_refused_by_name(tmp_path: Path, value: float) -> None:
    assert f"in row 2, the value {value}, which is infinite, or no number that a double holds exactly" in refusal(
        tmp_path, "fare_amount", pa.array([1.0, value])
    )


def test_a_row_without_any_value_is_no_trip(tmp_path: Path) -> None:
    types = dict.fromkeys(layout("yellow", "2021-01"), pa.nulls(3))
    path = tmp_path / "yellow_tripdata_2021-01.parquet"
    pq.write_table(pa.table(types | {"VendorID": pa.array([1, None, 2])}), path)
    whole = read_parquet(path)
    assert (cells(whole, "VendorID"), whole.lines, whole.empty) == ([1, 2], 3, 1)


def test_a_time_beyond_microseconds_is_refused_with_column_and_row(tmp_path: Path) -> None:
    array = pa.array([0, 2**60], pa.timestamp("ms"))
    message = refusal(tmp_path, "tpep_pickup_datetime", array)
    assert message.startswith(
        "yellow_tripdata_2021-01.parquet: the column tpep_pickup_datetime has type timestamp[ms] and, in row 2, "
    )
    assert "which is out of range for microseconds" in message


@pytest.mark.parametrize(
    ("column", "array", "expected"),
    [
        ("VendorID", pa.array([EVENING]), "expected whole numbers"),
        ("fare_amount", pa.array([True]), "expected numbers"),
        ("tpep_pickup_datetime", pa.array([20210102]), "expected dates and times"),
        ("store_and_fwd_flag", pa.array([EVENING]), "expected text"),
        ("VendorID", pa.array([True]), "expected whole numbers"),
    ],
)
def test_a_type_that_means_something_else_is_refused(tmp_path: Path, column: str, array: Any, expected: str) -> None:
    message = refusal(tmp_path, column, array)
    assert f"the column {column} has type {array.type}; {expected}" in message


def test_a_text_that_is_not_a_number_is_rejected_naming_column_and_value(tmp_path: Path) -> None:
    whole = one_column(tmp_path, "passenger_count", pa.array(["1", "two", " 3 "]))
    assert [(reject.line, reject.reason) for reject in whole.rejects] == [
        (2, "passenger_count: 'two' is not a whole number")
    ]
    assert cells(whole, "passenger_count") == [1, 3]
