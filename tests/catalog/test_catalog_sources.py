"""Who publishes what, where, and how many rows."""

from pathlib import Path

import pytest

from taxi_ingest.catalog import Part, lacks
from taxi_ingest.catalog.months import month_range
from taxi_ingest.catalog.reading import (
    CatalogError,
    auto_source,
    dataset,
    datasets,
    estimated_size,
    expected_rows,
    read_sources,
    sources,
)
from taxi_ingest.errors import UsageError

SOURCES = """
[one]
title = "One"
format = "csv"
url = "https://one.example/{dataset}/{month}.csv"
auto = ["yellow"]
[one.months]
yellow = ["2019-01", ""]
"""


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('format = "csv"', 'format = "zip"', r"made_up\.toml, one: the format 'zip' is none of"),
        ("{month}", "month", r"`url` must contain \{dataset\} and \{month\}"),
        ('auto = ["yellow"]', 'auto = ["green"]', r"`auto` names green, which has no `months` here"),
        ('["2019-01", ""]', '["2019-01"]', r"`months` must be a table of ranges"),
        ('["2019-01", ""]', '["2019-01", "2018-12"]', r"`months` must be a table of ranges"),
        ('["2019-01", ""]', '["2019-01", "now"]', r"`months` must be a table of ranges"),
        ('title = "One"', "", r"`title` is missing"),
        ("[one]\n", 'two = "x"\n[one]\n', r"made_up\.toml, two: a source must be a table"),
    ],
)
def test_an_invalid_source_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in SOURCES
    path = tmp_path / "made_up.toml"
    path.write_text(SOURCES.replace(old, new), encoding="utf-8")
    with pytest.raises(CatalogError, match=sentence):
        read_sources(path)


def test_every_file_of_a_source_belongs_to_a_dataset() -> None:
    named = {name for source in sources().values() for name in (*source.months, *source.files)}
    assert named == set(datasets())


@pytest.mark.parametrize(
    ("name", "month", "source"),
    [
        ("yellow", "2018-12", "tlc"),
        ("yellow", "2019-01", "csv"),
        ("yellow", "2021-07", "csv"),
        ("yellow", "2021-08", "tlc"),
        ("green", "2019-01", "csv"),
        ("green", "2021-08", "tlc"),
        ("green", "2013-08", "tlc"),
        ("fhv", "2020-06", "csv"),
        ("fhv", "2022-01", "tlc"),
        ("fhvhv", "2020-06", "tlc"),
        ("zones", None, "tlc"),
    ],
)
def test_auto_uses_the_archive_where_it_has_the_month(name: str, month: str | None, source: str) -> None:
    assert auto_source(Part(name, month)) == source


@pytest.mark.parametrize(
    ("source", "part", "has"),
    [
        ("csv", Part("yellow", "2019-01"), True),
        ("csv", Part("yellow", "2021-08"), False),
        ("csv", Part("fhvhv", "2021-01"), False),
        ("csv", Part("zones"), False),
        ("tlc", Part("green", "2013-12"), False),
        ("tlc", Part("green", "2030-01"), True),
        ("tlc", Part("zones"), True),
    ],
)
def test_a_source_knows_what_it_publishes(source: str, part: Part, has: bool) -> None:
    assert sources()[source].publishes(part) is has


@pytest.mark.parametrize(
    ("source", "part", "url"),
    [
        (
            "csv",
            Part("green", "2019-10"),
            "https://github.com/DataTalksClub/nyc-tlc-data/releases/download/green/green_tripdata_2019-10.csv.gz",
        ),
        (
            "tlc",
            Part("fhvhv", "2025-01"),
            "https://d37ci6vzurychx.cloudfront.net/trip-data/fhvhv_tripdata_2025-01.parquet",
        ),
        ("tlc", Part("zones"), "https://d37ci6vzurychx.cloudfront.net/misc/taxi_zone_lookup.csv"),
    ],
)
def test_a_part_has_the_publishers_url(source: str, part: Part, url: str) -> None:
    assert sources()[source].url_of(part) == url


def test_a_file_the_source_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match=r"The source csv does not publish zones\. Use another --source\."):
        sources()["csv"].url_of(Part("zones"))


@pytest.mark.parametrize(
    ("source", "part", "file_format"),
    [
        ("csv", Part("green", "2019-10"), "csv"),
        ("tlc", Part("green", "2019-10"), "parquet"),
        ("tlc", Part("zones"), "csv"),
    ],
)
def test_a_part_has_the_format_of_its_file(source: str, part: Part, file_format: str) -> None:
    assert sources()[source].format_of(part) == file_format


@pytest.mark.parametrize(
    ("source", "name", "columns"),
    [
        ("csv", "yellow", ("Airport_fee",)),
        ("csv", "green", ()),
        ("csv", "fhv", ()),
        ("csv", "fhvhv", ()),
        ("tlc", "fhvhv", ("SR_Flag",)),
        ("tlc", "zones", ()),
    ],
)
def test_a_source_lacks_what_only_others_have(source: str, name: str, columns: tuple[str, ...]) -> None:
    assert lacks(dataset(name), sources()[source]) == columns


# Rows of TLC's Parquet files, all months of a year together.
TOTALS = {
    "yellow": {
        2009: 170_896_055,
        2010: 169_001_162,
        2011: 176_887_259,
        2012: 171_359_007,
        2013: 171_816_340,
        2014: 165_447_579,
        2015: 146_039_231,
        2016: 131_131_805,
        2017: 113_500_327,
        2018: 102_871_387,
        2019: 84_598_444,
        2020: 24_649_092,
        2021: 30_904_308,
        2022: 39_656_098,
        2023: 38_310_226,
    },
    "green": {
        2014: 15_837_009,
        2015: 19_233_765,
        2016: 16_385_541,
        2017: 11_737_059,
        2018: 8_899_718,
        2019: 6_300_985,
        2020: 1_734_176,
        2021: 1_068_755,
        2022: 840_402,
        2023: 787_060,
    },
    "fhv": {
        2015: 63_388_532,
        2016: 132_114_083,
        2017: 192_309_558,
        2018: 260_874_753,
        2019: 43_261_276,
        2020: 14_945_465,
        2021: 14_805_265,
        2022: 14_511_664,
        2023: 15_858_639,
    },
    "fhvhv": {
        2019: 234_630_264,
        2020: 143_309_871,
        2021: 174_596_652,
        2022: 212_416_083,
        2023: 232_490_020,
    },
}


@pytest.mark.parametrize(
    ("name", "year", "total"),
    [(name, year, rows) for name, years in TOTALS.items() for year, rows in years.items()],
)
def test_the_months_of_a_year_add_up_to_its_total(name: str, year: int, total: int) -> None:
    months = month_range(f"{year}-01", f"{year}-12")
    assert sum(expected_rows(name, month) or 0 for month in months) == total


def test_rows_are_known_for_every_month_tlc_published_to_2024_05() -> None:
    tlc = sources()["tlc"]
    months = [(name, month) for name, (first, _) in tlc.months.items() for month in month_range(first, "2024-05")]
    assert (len(months), [m for m in months if expected_rows(*m) is None]) == (487, [])


def test_rows_and_bytes_of_a_file_are_known() -> None:
    assert expected_rows("green", "2021-01") == 76_518
    assert estimated_size("green", "2021-01") == (76_518, 1_333_519)


@pytest.mark.parametrize(("name", "month"), [("green", "2013-08"), ("yellow", "2030-01"), ("zones", None)])
def test_unknown_row_counts_are_none(name: str, month: str | None) -> None:
    assert expected_rows(name, month) is None
