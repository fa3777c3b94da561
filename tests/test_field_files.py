"""Files that people really have, as they load through the whole pipeline: what they hold, or a refusal that helps.

`data/field` holds one small file a kind of trouble, numbered; data/README.md says what each is.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow.parquet as pq
import pytest
from commands import Command, Ran
from conftest import DATA

FIELD = DATA.parent / "field"


@pytest.fixture
def load(taxi: Command, tmp_path: Path) -> Any:
    """Run the pipeline on a file of `data/field`: `load(name, dataset, month)`."""

    def run(name: str, dataset: str = "yellow", month: str = "2020-01", *more: str) -> Ran:
        source = f"file://{FIELD / name}"
        months = () if dataset == "zones" else ("--month", month)
        return taxi("run", "--source", source, "--dataset", dataset, *months, "--data-dir", str(tmp_path / "d"), *more)

    return run


@pytest.fixture
def rows(tmp_path: Path) -> Any:
    """Ask the table: `rows("select …")`."""

    def ask(query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(tmp_path / "d" / "taxi.duckdb"), read_only=True) as db:
            return db.execute(query).fetchall()

    return ask


def test_int96_times_of_any_year_are_right(load: Any, rows: Any) -> None:
    assert load("01-fhv.parquet", "fhv").code == 0
    found = rows("select dropOff_datetime::varchar from fhv_tripdata order by dispatching_base_num limit 9")
    assert [time for (time,) in found] == [
        "2262-04-11 23:00:00", "2262-04-12 00:00:00", "2263-01-01 00:00:00", "3019-02-03 17:30:00",
        "9999-12-31 23:59:59", "1677-09-22 00:00:00", "1677-09-20 00:00:00", "1582-10-04 00:00:00",
        "0001-01-01 00:00:00",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["02-decimal_10_2.parquet", "02-decimal_19_4.parquet"])
def test_a_decimal_is_the_same_number_as_the_double_beside_it(load: Any, rows: Any, name: str) -> None:
    assert load(name, "green", "2021-01").code == 0
    assert rows("select count(*), count(*) filter (fare_amount <> total_amount) from green_tripdata") == [(200, 0)]


def test_zones_and_coordinates_of_one_file_are_all_loaded(load: Any, rows: Any) -> None:
    ran = load("03-yellow_2019_both.csv")
    assert (ran.code, "unknown columns" in ran.out) == (0, False)
    columns = "PULocationID", "DOLocationID", "congestion_surcharge", "pickup_longitude"
    counted = ", ".join(f"count({column})" for column in columns)
    assert rows(f"select count(*), {counted} from yellow_tripdata") == [(100, 100, 100, 100, 100)]


def test_an_airport_fee_in_csv_is_loaded(load: Any, rows: Any) -> None:
    assert load("03-yellow_csv_with_airport_fee.csv").code == 0
    ((fees,),) = rows("select count(Airport_fee) from yellow_tripdata")
    assert fees == 100


def test_our_own_parquet_taken_in_again_gives_the_same_rows(taxi: Command, tmp_path: Path) -> None:
    first = f"file://{DATA / 'yellow_tripdata_2015-01.csv'}"
    again = f"file://{tmp_path}/a/parquet/yellow/yellow_tripdata_2015-01.parquet"
    for source, folder in ((first, "a"), (again, "b")):
        ran = taxi("run", "--source", source, "--month", "2015-01", "--data-dir", str(tmp_path / folder), "--strict")
        assert ran.code == 0, ran.err
    tables = [f"'{tmp_path}/{folder}/parquet/yellow/yellow_tripdata_2015-01.parquet'" for folder in "ab"]
    ((lost,),) = duckdb.sql(f"select count(*) from (from {tables[0]} except all from {tables[1]})").fetchall()
    ((rows,),) = duckdb.sql(f"select count(*) from {tables[1]}").fetchall()
    assert (lost, rows > 0) == (0, True)


@pytest.mark.parametrize("name", ["07-yellow_polars.csv", "07-yellow_polars.parquet"])
def test_nan_is_null_and_told(load: Any, rows: Any, name: str) -> None:
    ran = load(name)
    assert (ran.code, "congestion_surcharge: NaN became null, 20 times" in ran.out) == (0, True)
    ((total, filled),) = rows("select sum(congestion_surcharge), count(congestion_surcharge) from yellow_tripdata")
    assert (math.isfinite(total), filled) == (True, 80)


@pytest.mark.parametrize(
    ("name", "month"), [("08-yellow_2016-07_excel.csv", "2016-07"), ("08-yellow_one_comma.csv", "2020-01")]
)
def test_a_padded_header_is_no_trouble(load: Any, rows: Any, name: str, month: str) -> None:
    ran = load(name, "yellow", month)
    assert (ran.code, "unknown columns" in ran.out) == (0, False), ran.err
    lines = (FIELD / name).read_text().count("\n") - 1
    assert rows("select count(*), count(total_amount) from yellow_tripdata") == [(lines, lines)]


@pytest.mark.parametrize("again", [["run --force"], ["download --force", "run"], ["download --force", "load --force"]])
def test_a_file_without_rows_never_replaces_a_month(taxi: Command, tmp_path: Path, rows: Any, again: list[str]) -> None:
    published = tmp_path / "m.csv"
    options = ("--source", f"file://{published}", "--month", "2020-01", "--data-dir", str(tmp_path / "d"))
    shutil.copyfile(FIELD / "15-full.csv", published)
    assert taxi("run", *options).code == 0
    published.unlink()
    shutil.copyfile(FIELD / "15-header_only.csv", published)
    ran = [taxi(*command.split(), *options) for command in again][-1]
    assert (ran.code, "take it with --allow-empty" in ran.out + ran.err) == (1, True)
    assert rows("select count(*) from yellow_tripdata") == [(100,)]


def test_an_empty_month_is_taken_when_it_is_allowed(load: Any, rows: Any) -> None:
    assert load("15-header_only.csv", "yellow", "2020-01", "--allow-empty").code == 0
    assert rows("select count(*) from yellow_tripdata") == [(0,)]


def test_rows_of_commas_are_no_trips_and_told(load: Any, rows: Any) -> None:
    ran = load("17-yellow_5_empty_rows.csv")
    assert (ran.code, "5 lines without any value were left out" in ran.out) == (0, True)
    assert rows("select count(*), count(tpep_pickup_datetime) from yellow_tripdata") == [(100, 100)]


def test_a_file_of_another_month_is_loaded_and_told(load: Any, rows: Any) -> None:
    ran = load("18-yellow_2020-01.csv", "yellow", "2021-09")
    assert ran.code == 0
    assert "only 0% of the pickups lie in 2021-09, 0% in the months beside it" in ran.out
    assert rows("select count(*) from yellow_tripdata") == [(100,)]


def test_a_file_of_the_month_beside_tells_so(load: Any) -> None:
    ran = load("18-yellow_2020-01.csv", "yellow", "2020-02")
    assert "only 0% of the pickups lie in 2020-02, 98% in the months beside it" in ran.out


def test_a_file_of_another_month_fails_when_strict(load: Any) -> None:
    load("18-yellow_2020-01.csv", "yellow", "2021-09")
    ran = load("18-yellow_2020-01.csv", "yellow", "2021-09", "--strict")
    assert (ran.code, "Only 0% of the pickups lie in 2021-09" in ran.err + ran.out) == (1, True)


def test_sql_servers_seven_digits_are_read(load: Any, rows: Any) -> None:
    ran = load("19-yellow_sqlserver.csv")
    assert (ran.code, "digits below" in ran.out) == (0, False)
    assert rows("select count(tpep_pickup_datetime), max(tpep_pickup_datetime)::varchar from yellow_tripdata") == [
        (100, "2020-01-01 00:59:54")
    ]


def test_a_file_cut_in_a_line_is_refused(load: Any) -> None:
    ran = load("20-cut_in_a_line.csv")
    assert (ran.code, "breaks off within line" in ran.err + ran.out) == (1, True)


def test_a_file_cut_in_a_value_is_told(load: Any, taxi: Command, tmp_path: Path) -> None:
    whole = (FIELD / "15-full.csv").read_bytes()
    (tmp_path / "cut.csv").write_bytes(whole[: whole.index(b"\n", 5000) - 1])
    ran = taxi("run", "--source", f"file://{tmp_path}/cut.csv", "--month", "2020-01", "--data-dir", str(tmp_path / "d"))
    assert (ran.code, "the last line has no line end" in ran.out) == (0, True)


@pytest.mark.parametrize("hole", [(300_000, 800_000), (300_000, 308_192)], ids=["to the end", "in the middle"])
def test_a_file_with_nul_bytes_anywhere_is_refused(taxi: Command, tmp_path: Path, hole: tuple[int, int]) -> None:
    header, body = (FIELD / "15-full.csv").read_bytes().split(b"\n", 1)
    content = bytearray(header + b"\n" + body * 90)
    content[slice(*hole)] = bytes(len(content[slice(*hole)]))
    (tmp_path / "nul.csv").write_bytes(content)
    ran = taxi("run", "--source", f"file://{tmp_path}/nul.csv", "--month", "2020-01", "--data-dir", str(tmp_path / "d"))
    assert (ran.code, "NUL bytes" in ran.err + ran.out) == (1, True)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("21-semicolons.csv", "has semicolons between its fields instead of commas: save it as CSV with commas"),
        ("21-tabs.csv", "has tabs between its fields"),
        ("21-utf16.csv", "is text in UTF-16: save it as CSV with commas, in UTF-8"),
        ("21-bzip2.csv.bz2", "is a bzip2 file: unpack it"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_a_remedy_that_helps(load: Any, name: str, what: str) -> None:
    ran = load(name)
    said = ran.err + ran.out
    assert (ran.code, f"{name} {what}" in said, ".part" in said, "download it again" in said) == (
        1,
        True,
        False,
        False,
    ), said


def test_text_written_as_bytes_is_read(load: Any, rows: Any) -> None:
    assert load("22-green_binary_text.parquet", "green", "2021-01").code == 0
    ((count, flags),) = rows("select count(*), count(store_and_fwd_flag) from green_tripdata")
    assert (count > 0, flags > 0) == (True, True)


def test_times_in_new_yorks_zone_are_its_wall_clock(load: Any, rows: Any) -> None:
    assert load("22-green_tz_new_york.parquet", "green", "2021-01").code == 0
    file = FIELD / "22-green_tz_new_york.parquet"
    earliest = pq.read_table(file)["lpep_pickup_datetime"].to_pylist()
    wall_clock = [(min(earliest).astimezone(ZoneInfo("America/New_York")).strftime("%Y-%m-%d %H:%M:%S"),)]
    assert rows("select min(lpep_pickup_datetime)::varchar from green_tripdata") == wall_clock


def test_zones_may_be_parquet(load: Any, rows: Any) -> None:
    assert load("22-zones.parquet", "zones").code == 0
    assert rows("select count(*) from taxi_zone_lookup") == [(265,)]
