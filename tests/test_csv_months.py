"""Every CSV layout ever published, through the whole pipeline into one table a dataset."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import oracle
import pytest
from conftest import DATA, Load, Ran, process

CANONICAL: dict[str, dict[str, str]] = json.loads((DATA.parent / "canonical_columns.json").read_text())
DUCKDB_TYPES = {"int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}
FILES = sorted(DATA.glob("*_tripdata_*.csv"))


def months_of(dataset: str) -> list[str]:
    return [path.stem.rpartition("_")[2] for path in FILES if path.stem.startswith(f"{dataset}_")]


class AllMonths:
    """Every sample of every dataset, loaded by one run each into one warehouse."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "data" / "taxi.duckdb"
        self.parts: dict[tuple[str, str], Any] = {}
        for dataset in CANONICAL:
            if months_of(dataset):
                ran = self._load(dataset, folder)
                assert ran.code == 0, ran.err
                self.parts |= {(dataset, part["month"]): part for part in ran.document["parts"]}

    @staticmethod
    def _load(dataset: str, folder: Path) -> Ran:
        template = DATA.as_uri() + "/{dataset}_tripdata_{month}.csv"
        arguments = ["--dataset", dataset, "--month", ",".join(months_of(dataset)), "--source", template, "--json"]
        return process([sys.executable, "-m", "taxi_ingest", "run", *arguments], folder)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as db:
            return db.execute(sql).fetchall()

    def month(self, dataset: str, month: str) -> list[tuple[Any, ...]]:
        names = ", ".join(f'"{name}"' for name in CANONICAL[dataset])
        return self.query(f"SELECT {names} FROM {dataset}_tripdata WHERE file_month = DATE '{month}-01' ORDER BY rowid")


@pytest.fixture(scope="module")
def all_months(tmp_path_factory: pytest.TempPathFactory) -> AllMonths:
    return AllMonths(tmp_path_factory.mktemp("months"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_value_of_a_real_month_is_that_of_an_independent_reading(all_months: AllMonths, path: Path) -> None:
    dataset, month = path.stem.split("_tripdata_")
    expected = oracle.read_csv(path, dataset, CANONICAL[dataset])
    assert expected.rows
    assert all_months.month(dataset, month) == [tuple(row.values()) for row in expected.rows]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_line_of_a_real_month_is_a_row_or_a_reject(all_months: AllMonths, path: Path) -> None:
    dataset, month = path.stem.split("_tripdata_")
    lines = [line for line in path.read_bytes().split(b"\n") if line.strip(b"\r")]
    part = all_months.parts[dataset, month]
    assert part["rows"] + part["rejects"] == len(lines) - 1


@pytest.mark.parametrize("dataset", [name for name in CANONICAL if months_of(name)])
def test_all_months_share_one_list_of_columns_and_types(all_months: AllMonths, dataset: str) -> None:
    columns = all_months.query(
        f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{dataset}_tripdata' "
        "ORDER BY column_index"
    )
    canonical = [(name, DUCKDB_TYPES[kind]) for name, kind in CANONICAL[dataset].items()]
    assert columns == [*canonical, ("file_month", "DATE")]


@pytest.mark.parametrize("dataset", [name for name in CANONICAL if months_of(name)])
def test_the_table_holds_every_month_and_no_other(all_months: AllMonths, dataset: str) -> None:
    held = all_months.query(f"SELECT DISTINCT file_month FROM {dataset}_tripdata ORDER BY 1")
    assert held == [(date.fromisoformat(f"{month}-01"),) for month in months_of(dataset)]


# ---- synthetic: months of which no real sample could be had

YELLOW_2010 = (
    "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,pickup_longitude,pickup_latitude,"
    "rate_code,store_and_fwd_flag,dropoff_longitude,dropoff_latitude,payment_type,fare_amount,surcharge,mta_tax,"
    "tip_amount,tolls_amount,total_amount"
)
YELLOW_2010_ROW = "CMT,2010-02-03 04:05:06,2010-02-03 04:15:06,1,1.5,-73.9,40.7,1,0,-73.8,40.8,Cas,6.5,.5,.5,0,0,7.5"
FHVHV_2021_06 = (
    "dispatching_base_num,pickup_datetime,dropoff_datetime,PULocationID,DOLocationID,SR_Flag,Affiliated_base_number"
)
FHV_ARCHIVE = (
    "dispatching_base_num,pickup_datetime,dropOff_datetime,PUlocationID,DOlocationID,SR_Flag,Affiliated_base_number"
)


def rows_of(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "data" / "taxi.duckdb"), read_only=True) as db:
        return db.execute(sql).fetchall()


def test_synthetic_over_long_rows_of_2010_02_are_rejects_with_their_lines(load: Load, tmp_path: Path) -> None:
    lines = [YELLOW_2010, "\r", *[YELLOW_2010_ROW] * 3, YELLOW_2010_ROW + ",1,2", YELLOW_2010_ROW]
    ran = load("yellow", "2010-02", ("\n".join(lines) + "\n").encode())
    (part,) = ran.document["parts"]
    assert (ran.code, part["rows"], part["rejects"]) == (0, 4, 1)
    (rejects,) = (tmp_path / "data" / "rejects" / "yellow").glob("*.csv")
    assert rejects.read_text().splitlines()[1].startswith("6,")


def test_synthetic_fhvhv_2021_06_has_no_licence_and_no_shift_of_columns(load: Load, tmp_path: Path) -> None:
    row = "B02510,2021-06-01 00:00:01,2021-06-01 00:10:00,7,8,N,B02511"
    assert load("fhvhv", "2021-06", f"{FHVHV_2021_06}\n{row}\n".encode(), "--strict").code == 0
    assert rows_of(
        tmp_path, 'SELECT hvfhs_license_num, dispatching_base_num, "PULocationID", "SR_Flag" FROM fhvhv_tripdata'
    ) == [(None, "B02510", 7, "N")]


def test_synthetic_fhv_of_the_archive_is_read_in_its_own_spelling(load: Load, tmp_path: Path) -> None:
    row = "B00001,2019-01-01 00:30:00,2019-01-01 02:51:55,,264.0,,B00013"
    ran = load("fhv", "2019-01", f"{FHV_ARCHIVE}\n{row}\n".encode())
    assert (ran.code, ran.err.count("unknown")) == (0, 0)
    assert rows_of(tmp_path, 'SELECT "DOlocationID", "Affiliated_base_number" FROM fhv_tripdata') == [(264, "B00013")]


# ---- variants and broken files


def test_an_export_in_the_archives_columns_loads(load: Load) -> None:
    body = (DATA / "variants" / "fhv_tripdata_2020-04.parquet-export.csv").read_bytes()
    (part,) = load("fhv", "2020-04", body).document["parts"]
    assert part["rows"] == len(body.splitlines()) - 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("variants/fhvhv_tripdata_2020-04.parquet-export.csv", "fit no known csv layout"),
        ("variants/yellow_tripdata_2018-01.locale-dates.csv", "could not be read; max_rejects allows"),
        ("malformed/fhv_tripdata_2021-01.lfs-pointer.parquet", "LFS"),
        ("malformed/green_tripdata_2019-10.truncated.csv.gz", "gzip"),
        ("malformed/yellow_tripdata_2009-01.json-error.csv", "JSON"),
        ("malformed/yellow_tripdata_2024-01.truncated.parquet", "Parquet"),
    ],
)
def test_what_is_refused_says_why_and_leaves_the_good_month(
    load: Load, tmp_path: Path, name: str, sentence: str
) -> None:
    dataset = Path(name).name.split("_")[0]
    good = next(path for path in FILES if path.stem.startswith(f"{dataset}_") and "2019-" in path.stem)
    month = good.stem.rpartition("_")[2]
    assert load(dataset, month, good.read_bytes()).code == 0
    before = rows_of(tmp_path, f"FROM {dataset}_tripdata")
    ran = load(dataset, month, (DATA / name).read_bytes(), "--force")
    assert (ran.code, rows_of(tmp_path, f"FROM {dataset}_tripdata")) == (1, before)
    assert sentence in " ".join(ran.err.split())


def test_after_a_refusal_the_next_run_still_holds_the_good_month(load: Load, tmp_path: Path) -> None:
    good = (DATA / "yellow_tripdata_2019-02.csv").read_bytes()
    load("yellow", "2019-02", good)
    load("yellow", "2019-02", b"<!DOCTYPE html><html></html>", "--force")
    again = load("yellow", "2019-02", good)
    assert (again.code, set(again.steps[0].values())) == (0, {"up_to_date"})


def test_a_gzip_month_is_the_same_as_a_plain_one(load: Load, tmp_path: Path) -> None:
    body = (DATA / "green_tripdata_2014-01.csv").read_bytes()
    load("green", "2014-01", body)
    plain = rows_of(tmp_path, "FROM green_tripdata")
    load("green", "2014-01", gzip.compress(body), "--force")
    assert rows_of(tmp_path, "FROM green_tripdata") == plain


# ---- rules that the whole step keeps


def yellow_2019(*rows: str) -> bytes:
    header = (DATA / "yellow_tripdata_2019-02.csv").read_bytes().split(b"\r\n")[0].decode()
    return "\r\n".join([header, *rows, ""]).encode()


GOOD = "1,2019-02-01 00:00:01,2019-02-01 00:10:00,1,2.1,1,N,48,234,1,9,0.5,0.5,2,0,0.3,12.3,0"
BAD = GOOD.replace("2.1", "far")


def test_ten_rejects_are_allowed_in_a_short_file(load: Load) -> None:
    (part,) = load("yellow", "2019-02", yellow_2019(*[GOOD] * 20, *[BAD] * 10)).document["parts"]
    assert (part["rows"], part["rejects"]) == (20, 10)


def test_more_rejects_than_allowed_fail_and_are_kept_to_look_at(load: Load, tmp_path: Path) -> None:
    ran = load("yellow", "2019-02", yellow_2019(*[GOOD] * 20, *[BAD] * 11))
    assert (ran.code, ran.steps[0]["parquetize"]) == (1, "failed")
    (rejects,) = (tmp_path / "data" / "rejects" / "yellow").glob("*.csv")
    lines = rejects.read_text().splitlines()
    assert (len(lines), lines[1]) == (12, f"22,trip_distance: 'far' is not a number,\"{BAD}\"")


def test_an_unknown_column_is_reported_and_kept_out(load: Load) -> None:
    body = yellow_2019(GOOD).replace(b"congestion_surcharge", b"congestion_surcharge,mood").replace(b",0\r", b",0,x\r")
    ran = load("yellow", "2019-02", body)
    assert (ran.code, "unknown columns were left out: mood" in ran.err) == (0, True)


def test_an_unknown_column_fails_a_strict_run(load: Load) -> None:
    body = yellow_2019(GOOD).replace(b"congestion_surcharge", b"congestion_surcharge,mood").replace(b",0\r", b",0,x\r")
    ran = load("yellow", "2019-02", body, "--strict")
    assert (ran.code, "does not know: mood" in ran.err) == (1, True)


def test_an_unknown_code_becomes_null_and_is_reported(load: Load, tmp_path: Path) -> None:
    ran = load("yellow", "2010-02", f"{YELLOW_2010}\n{YELLOW_2010_ROW.replace('Cas', 'IOU')}\n".encode())
    assert "unknown code 'IOU' in payment_type became null 1 times" in ran.err
    assert rows_of(tmp_path, "SELECT payment_type, VendorID FROM yellow_tripdata") == [(None, 1)]


def test_an_unknown_code_fails_a_strict_run(load: Load) -> None:
    body = f"{YELLOW_2010}\n{YELLOW_2010_ROW.replace('Cas', 'IOU')}\n".encode()
    assert load("yellow", "2010-02", body, "--strict").code == 1


def test_the_same_input_gives_the_same_bytes_from_another_place(load: Load, tmp_path: Path) -> None:
    body = (DATA / "yellow_tripdata_2019-02.csv").read_bytes()
    load("yellow", "2019-02", body)
    first = (tmp_path / "data" / "parquet" / "yellow" / "yellow_tripdata_2019-02.parquet").read_bytes()
    load("yellow", "2019-02", body, "--data-dir", str(tmp_path / "other"))
    assert (tmp_path / "other" / "parquet" / "yellow" / "yellow_tripdata_2019-02.parquet").read_bytes() == first
