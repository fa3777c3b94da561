"""Which vintage a file's header fits: every published layout, and some that were never published."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_ingest.catalog import PANDAS_INDEX, Dataset, Vintage, fit, fold, mark
from taxi_ingest.catalog.reading import dataset
from taxi_ingest.errors import SchemaError

HEADERS = Path(__file__).with_name("published_headers.txt")
ARCHIVE_2019 = (
    "dispatching_base_num,pickup_datetime,dropOff_datetime,PUlocationID,DOlocationID,SR_Flag,Affiliated_base_number"
)
YELLOW_2021 = dataset("yellow").vintages[4].columns


def published() -> Iterator[tuple[str, str, str, str, str]]:
    """Dataset, month, format, vintage and header line of each file in the list."""
    for line in HEADERS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, file_format, header, vintage, months = line.split("|")
            for month in months.split():
                yield name, month, file_format, vintage, header


@pytest.mark.parametrize(("name", "month", "file_format", "vintage", "header"), list(published()))
def test_a_published_header_fits_the_vintage_of_its_month(
    name: str, month: str, file_format: str, vintage: str, header: str
) -> None:
    columns = next(csv.reader([header]))
    found = fit(dataset(name), file_format, columns, None if month == "-" else month)
    assert (found.vintage.name, found.unknown, found.expected) == (vintage, (), "")


def vintage(name: str, *columns: str, first: str = "2021-01", last: str = "2021-12") -> Vintage:
    return Vintage(name, "csv", columns, {fold(c): c for c in columns}, first=first, last=last)


def with_vintages(*vintages: Vintage) -> Dataset:
    return Dataset("made_up", "Made up", "made_up", (), vintages)


def test_the_months_own_vintage_wins_a_tie() -> None:
    old, new = vintage("old", "a", "b", last="2020-12"), vintage("new", "a", "b")
    assert fit(with_vintages(old, new), "csv", ["b", "a"], "2021-05").vintage is new


def test_the_vintage_with_fewest_columns_left_over_beats_the_months_own() -> None:
    short, long = vintage("short", "a"), vintage("long", "a", "b", first="2022-01", last="")
    assert fit(with_vintages(short, long), "csv", ["a", "b"], "2021-05").vintage is long


def test_another_vintage_than_the_month_suggests_is_noted() -> None:
    short, long = vintage("short", "a"), vintage("long", "a", "b", first="2022-01", last="")
    assert fit(with_vintages(short, long), "csv", ["a", "b"], "2021-05").expected == "short"


def test_a_month_after_the_last_vintage_takes_what_fits() -> None:
    only = vintage("only", "a", "b")
    assert fit(with_vintages(only), "csv", ["a", "b"], "2030-01").vintage is only


def test_unknown_columns_are_named_as_published_without_stray_spaces() -> None:
    found = fit(dataset("yellow"), "csv", [*YELLOW_2021, " New_Fee "], "2021-01")
    assert found.unknown == ("New_Fee",)


def test_the_pandas_index_is_not_an_unknown_column() -> None:
    columns = dataset("yellow").vintages[6].columns
    assert fit(dataset("yellow"), "parquet", [*columns, PANDAS_INDEX], "2010-02").unknown == ()


def test_a_layout_of_another_format_is_not_considered() -> None:
    columns = dataset("fhvhv").vintages[-1].columns
    with pytest.raises(SchemaError, match="fit no known csv layout"):
        fit(dataset("fhvhv"), "csv", columns, "2025-01")


def test_the_month_without_the_licence_column_does_not_read_it() -> None:
    header = (
        "dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag,Affiliated_base_number"
    )
    found = fit(dataset("fhvhv"), "csv", header.split(","), "2021-06")
    assert "hvfhs_license_num" not in found.vintage.names.values()


def test_the_layout_without_licence_is_accepted_in_other_months() -> None:
    columns = next(v for v in dataset("fhvhv").vintages if v.name == "csv-2021-06").columns
    found = fit(dataset("fhvhv"), "csv", columns, "2021-07")
    assert (found.vintage.name, found.expected) == ("csv-2021-06", "csv-2021-07")


@pytest.mark.parametrize("month", ["2019-01", "2019-12", "2020-03"])
def test_the_archive_spelling_fits_the_seven_column_layout(month: str) -> None:
    found = fit(dataset("fhv"), "csv", ARCHIVE_2019.split(","), month)
    assert (found.vintage.name, found.unknown, found.expected) == ("csv-2020-07", (), "csv-2019")


def test_the_first_publication_of_early_2018_fits_the_layout_of_2017() -> None:
    columns = next(v for v in dataset("fhv").vintages if v.name == "csv-2017-07").columns
    assert fit(dataset("fhv"), "csv", columns, "2018-03").vintage.name == "csv-2017-07"


def test_the_base_of_2018_is_read_from_the_column_that_holds_it() -> None:
    names = next(v for v in dataset("fhv").vintages if v.name == "csv-2018").names
    source = [published for published, canonical in names.items() if canonical == "dispatching_base_num"]
    assert source == ["dispatching_base_number"]


@pytest.mark.parametrize("name", ["csv-2009", "csv-2010", "parquet-2009", "parquet-2010"])
def test_the_old_surcharge_is_the_column_extra(name: str) -> None:
    assert next(v for v in dataset("yellow").vintages if v.name == name).names["surcharge"] == "extra"


def test_both_spellings_of_the_airport_fee_are_one_column() -> None:
    spelt = next(v for v in dataset("yellow").vintages if v.name == "parquet-2011")
    assert spelt.names["airport_fee"] == "Airport_fee"


def test_a_refusal_lists_missing_and_extra_columns() -> None:
    header = [c for c in YELLOW_2021 if c != "extra"] + ["extras"]
    with pytest.raises(SchemaError, match=r"Compared with csv-2019, it lacks: extra; it also has: extras\."):
        fit(dataset("yellow"), "csv", header, "2021-01")


def test_a_refusal_names_dataset_month_and_the_file_to_edit() -> None:
    with pytest.raises(SchemaError, match=r"^yellow 2021-01: .* a newer taxi-ingest may know it"):
        fit(dataset("yellow"), "csv", ["a"], "2021-01")


def test_a_format_the_dataset_never_had_is_refused_with_the_remedy() -> None:
    with pytest.raises(SchemaError, match=r"zones: the catalog has no arrow layout.*--source"):
        fit(dataset("zones"), "arrow", ["LocationID"], None)


def test_a_header_that_names_a_column_twice_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"a column twice: extra\."):
        fit(dataset("yellow"), "csv", [*YELLOW_2021, "EXTRA "], "2021-01")


def test_months_and_descriptions_of_a_vintage_do_not_change_the_mark() -> None:
    a, b = vintage("a", "x"), vintage("b", "x", first="2022-01", last="")
    assert mark("00", 1, with_vintages(a), a) == mark("00", 1, with_vintages(b), b)


@pytest.mark.parametrize(("sha", "size", "column"), [("01", 1, "x"), ("00", 2, "x"), ("00", 1, "y")])
def test_different_bytes_or_another_layout_change_the_mark(sha: str, size: int, column: str) -> None:
    a, b = vintage("v", "x"), vintage("v", column)
    assert mark("00", 1, with_vintages(a), a) != mark(sha, size, with_vintages(b), b)
