"""The datasets' files: their contents, and the errors for invalid ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_ingest.catalog.reading import CatalogError, dataset, datasets, default_dataset, read_dataset
from taxi_ingest.errors import UsageError

GOOD = """
title = "Made up"
table = "made_up"
first = "2020-01"
cluster_by = "at"

[[columns]]
name = "Flag"
type = "string"
unit = "Y/N"
meaning = "A flag."
since = "2020-01"
codes = { y = "Y", "*" = "" }

[[columns]]
name = "at"
type = "timestamp"
unit = "New York wall clock"
meaning = "A time."
since = "2020-01"

[[vintages]]
name = "csv-2020"
format = "csv"
first = "2020-01"
last = "2020-12"
columns = ["flag", "Old_At", "Junk"]
aliases = { old_at = "at" }
leaves_out = ["junk"]

[[vintages]]
name = "csv-2021"
format = "csv"
first = "2021-01"
columns = ["Flag", "at"]
"""

SINGLE = """
title = "Made up"
table = "made_up"
monthly = false
[[columns]]
name = "a"
type = "int64"
unit = "code"
meaning = "A code."
[[vintages]]
name = "csv"
format = "csv"
columns = ["A"]
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a catalog file and return its path."""

    def write_one(text: str) -> Path:
        path = tmp_path / "made_up.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_one


def spoil(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def test_a_good_file_is_read(write: Callable[[str], Path]) -> None:
    made = read_dataset(write(GOOD))
    assert [v.names for v in made.vintages] == [
        {"flag": "Flag", "old_at": "at"},
        {"flag": "Flag", "at": "at"},
    ]


def test_columns_left_out_are_folded(write: Callable[[str], Path]) -> None:
    assert read_dataset(write(GOOD)).vintages[0].leaves_out == ("junk",)


def test_a_dataset_without_months_is_read(write: Callable[[str], Path]) -> None:
    assert read_dataset(write(SINGLE)).vintages[0].covers(None)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('title = "Made up"', 'title = "', r"made_up\.toml: invalid TOML: "),
        ('title = "Made up"', "", r"made_up\.toml: `title` is missing\."),
        ('title = "Made up"', "title = 1", r"`title` must be a non-empty string"),
        ('title = "Made up"', 'titel = "Made up"', r"unknown key `titel`; did you mean `title`\?$"),
        ('table = "made_up"', 'table = "made up"', r"'made up' is not a table name"),
        ('table = "made_up"', 'table = "2nd"', r"'2nd' is not a table name"),
        ('cluster_by = "at"', 'cluster_by = "At"', r"`cluster_by` is not a column: At"),
        ('cluster_by = "at"', "monthly = 1", r"`monthly` must be true or false"),
        ('cluster_by = "at"', "monthly = false", r"`first` and `last` are not allowed"),
        ('name = "at"', 'name = "fLAG"', r"column twice: flag"),
        ('name = "at"', 'name = "file_month"', r"column twice: file_month"),
        ('type = "timestamp"', 'type = "date"', r"column at: the type 'date' is none of int64, double"),
        ('unit = "Y/N"', 'units = "Y/N"', r"column Flag: unknown key `units`; did you mean `unit`\?"),
        ('meaning = "A flag."', "", r"column Flag: `meaning` is missing"),
        (
            'meaning = "A flag."',
            'meaning = " "',
            r"column Flag: `meaning` must be a non-empty string",
        ),
        ('since = "2020-01"\ncodes', "codes", r"column Flag: `since` is missing"),
        ('since = "2020-01"\ncodes', 'since = "2019-12"\ncodes', r"column Flag: `since` is .* before"),
        ('since = "2020-01"\ncodes', 'since = "2020"\ncodes', r"`since` must be a month such as 2021-01"),
        ('y = "Y"', "y = 1", r"column Flag: the code y = 1 does not fit the type string"),
        ('y = "Y"', 'Y = "Y"', r"the code 'Y' must be written trimmed and in lower case"),
        ('type = "string"', 'type = "int64"', r"the code y = 'Y' does not fit the type int64"),
        ('type = "string"', 'type = "double"', r"the code y = 'Y' does not fit the type double"),
        ('format = "csv"\nfirst = "2021-01"', 'format = "json"\nfirst = "2021-01"', r"'json' is none of csv"),
        ('name = "csv-2021"', 'name = "csv-2020"', r"vintage twice: csv-2020"),
        (
            'first = "2021-01"',
            'first = "2021-02"',
            r"vintage csv-2021: there is a gap between it and csv-2020",
        ),
        ('first = "2021-01"', 'first = "2020-12"', r"vintage csv-2021: its months overlap those of csv-2020"),
        ('last = "2020-12"', "", r"vintage csv-2021: its months overlap those of csv-2020"),
        ('last = "2020-12"', 'last = "2019-12"', r"vintage csv-2020: `first` is missing or after `last`"),
        ('first = "2021-01"', "", r"vintage csv-2021: `first` is missing"),
        (
            'first = "2020-01"\ncluster',
            'first = "2020-02"\ncluster',
            r"`first` is not the first month of any",
        ),
        ('"Junk"]', '"Junk", "JUNK "]', r"vintage csv-2020: published column twice: junk"),
        ("old_at =", "new_at =", r"vintage csv-2020: .* names new_at, which is not a published column"),
        ('old_at = "at"', 'old_at = "on"', r"the alias old_at maps to on, which is not a canonical column"),
        ('leaves_out = ["junk"]', "", r"no canonical column for junk; add an alias or list it in `leaves_out`"),
        ('leaves_out = ["junk"]', 'leaves_out = ["junk", "x"]', r"names x, which is not a published column"),
        ('["Flag", "at"]', '["Flag", ""]', r"vintage csv-2021: `columns` must be a list of non-empty strings"),
    ],
)
def test_an_invalid_file_is_refused_naming_file_and_place(
    write: Callable[[str], Path], old: str, new: str, sentence: str
) -> None:
    with pytest.raises(CatalogError, match=sentence):
        read_dataset(write(spoil(GOOD, old, new)))


def test_two_published_columns_for_one_canonical_column_are_refused(write: Callable[[str], Path]) -> None:
    text = spoil(GOOD, 'leaves_out = ["junk"]', "")
    with pytest.raises(CatalogError, match="vintage csv-2020: canonical column twice: at"):
        read_dataset(write(spoil(text, '{ old_at = "at" }', '{ old_at = "at", junk = "at" }')))


def test_true_is_not_a_number_among_the_codes(write: Callable[[str], Path]) -> None:
    text = spoil(SINGLE, 'unit = "code"', 'unit = "code"\ncodes = { yes = true }')
    with pytest.raises(CatalogError, match="does not fit the type int64"):
        read_dataset(write(text))


def test_the_default_dataset_comes_first_then_names_in_order() -> None:
    assert list(datasets()) == ["yellow", "fhv", "fhvhv", "green", "zones"]


def test_the_default_dataset_is_yellow() -> None:
    assert default_dataset().name == "yellow"


def test_an_unknown_dataset_is_refused_with_the_known_and_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'yelow'\. Did you mean yellow\? Known datasets: yellow, fhv, fhvhv, green"):
        dataset("yelow")


@pytest.mark.parametrize(("name", "count"), [("yellow", 25), ("green", 26), ("fhv", 7), ("fhvhv", 26), ("zones", 4)])
def test_a_dataset_has_all_its_canonical_columns(name: str, count: int) -> None:
    assert len(dataset(name).columns) == count


@pytest.mark.parametrize(
    ("name", "file_format", "first", "last"),
    [
        ("yellow", "csv", "2009-01", "2022-02"),
        ("green", "csv", "2013-08", "2022-02"),
        ("fhv", "csv", "2015-01", "2022-02"),
        ("fhvhv", "csv", "2019-02", "2022-02"),
        ("yellow", "parquet", "2009-01", ""),
        ("green", "parquet", "2014-01", ""),
        ("fhv", "parquet", "2015-01", ""),
        ("fhvhv", "parquet", "2019-02", ""),
    ],
)
def test_the_vintages_cover_all_published_months(name: str, file_format: str, first: str, last: str) -> None:
    found = [v for v in dataset(name).vintages if v.format == file_format]
    assert (found[0].first, found[-1].last) == (first, last)


@pytest.mark.parametrize("name", ["yellow", "green", "fhv", "fhvhv"])
def test_every_column_is_filled_by_some_vintage(name: str) -> None:
    filled = {canonical for v in dataset(name).vintages for canonical in v.names.values()}
    assert {c.name for c in dataset(name).columns} == filled


@pytest.mark.parametrize("name", ["yellow", "green", "fhv", "fhvhv"])
def test_no_column_is_filled_before_a_file_holds_it(name: str) -> None:
    held = dataset(name).vintages
    early = [
        c.name for c in dataset(name).columns if c.since < min(v.first for v in held if c.name in v.names.values())
    ]
    assert early == []


@pytest.mark.parametrize("name", ["yellow", "green"])
@pytest.mark.parametrize(
    ("column", "text", "code"),
    [
        ("VendorID", "cmt", 1),
        ("VendorID", "vts", 2),
        ("VendorID", "dds", 3),
        ("payment_type", "cre", 1),
        ("payment_type", "crd", 1),
        ("payment_type", "credit", 1),
        ("payment_type", "cas", 2),
        ("payment_type", "csh", 2),
        ("payment_type", "cash", 2),
        ("payment_type", "no", 3),
        ("payment_type", "noc", 3),
        ("payment_type", "no charge", 3),
        ("payment_type", "dis", 4),
        ("payment_type", "dispute", 4),
        ("payment_type", "unk", 5),
        ("payment_type", "na", 5),
        ("store_and_fwd_flag", "1", "Y"),
        ("store_and_fwd_flag", "1.0", "Y"),
        ("store_and_fwd_flag", "y", "Y"),
        ("store_and_fwd_flag", "0", "N"),
        ("store_and_fwd_flag", "0.0", "N"),
        ("store_and_fwd_flag", "n", "N"),
        ("store_and_fwd_flag", "*", ""),
    ],
)
def test_a_text_code_becomes_tlcs_code(name: str, column: str, text: str, code: int | str) -> None:
    assert next(c for c in dataset(name).columns if c.name == column).codes[text] == code


def test_no_other_column_has_codes() -> None:
    coded = {c.name for d in datasets().values() for c in d.columns if c.codes}
    assert coded == {"VendorID", "payment_type", "store_and_fwd_flag"}
