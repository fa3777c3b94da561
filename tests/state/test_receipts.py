"""Receipts: JSON both ways, picklable, and none at all when damaged."""

from __future__ import annotations

import dataclasses
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import duckdb
import pytest
from commands import Command
from conftest import ALL_UP_TO_DATE, DATA, Loaded

from taxi_ingest.catalog import Part
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import (
    TYPES,
    Downloaded,
    Parquetized,
    Receipt,
    Receipts,
    Uploaded,
    from_json,
    to_json,
)
from taxi_ingest.state.receipts import Loaded as LoadedReceipt
from taxi_ingest.writers.findings import UnknownCode
from taxi_ingest.writers.provenance import Writer

RECEIPTS: dict[Step, Receipt] = {
    "download": Downloaded(
        source="csv", url="https://host/a.csv", file="raw/yellow/yellow_tripdata_2021-01.csv",
        bytes=1, mtime_ns=2, sha256="ab", format="csv",
        columns=("VendorID", "Ä"), etag='"1"',
    ),
    "parquetize": Parquetized(
        mark="m", source="https://host/a.csv", raw_sha256="ab", raw_bytes=1, vintage="csv_2019", rows=3, rejects=1,
        writer=Writer(level=4), bytes=9, mtime_ns=8, crc32c="0000aaaa", lines=4, unknown_columns=("new",),
        unknown_codes=(UnknownCode("VendorID", "XYZ", 2),),
    ),
    "upload": Uploaded(at="gs://bucket/lake", object="yellow/a.parquet", mark="m", crc32c="0000aaaa", bytes=9),
    "load": LoadedReceipt(at="bigquery://project/trips", table="yellow_tripdata", mark="m", rows=3),
}  # fmt: skip

DAMAGED = ["{}", "[]", "null", "", "{", '"text"', "7", "[" * 100_000, '{"rows": [[[', "\x00\xff"]


def as_of_0_1(step: Step) -> dict[str, Any]:
    """The fields of a receipt as version 0.1 wrote it: without a checksum."""
    fields: dict[str, Any] = json.loads(to_json(RECEIPTS[step]))
    return {name: value for name, value in fields.items() if name not in {"checksum", "distrusted"}}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("left", ["checksum", "distrusted"])
def test_a_receipt_that_lost_its_checksum_to_damage_is_none(step: Step, left: str) -> None:
    text = to_json(RECEIPTS[step])
    damaged = text.replace("checksum" if left == "distrusted" else "distrusted", "chEcksum").replace('"m"', '"n"')
    assert from_json(step, damaged) is None


@pytest.mark.parametrize("step", STEPS)
def test_a_receipt_survives_json_and_pickle(step: Step) -> None:
    receipt = RECEIPTS[step]
    assert from_json(step, to_json(receipt)) == receipt
    assert pickle.loads(pickle.dumps(receipt)) == receipt


@pytest.mark.parametrize("text", DAMAGED)
@pytest.mark.parametrize("step", STEPS)
def test_a_damaged_receipt_is_none(step: Step, text: str) -> None:
    assert from_json(step, text) is None


@pytest.mark.parametrize("step", STEPS)
def test_a_receipt_with_a_value_of_another_type_is_none(step: Step) -> None:
    whole = as_of_0_1(step)
    for name, value in whole.items():
        wrong = {**whole, name: 7 if isinstance(value, str) else "seven"}
        assert from_json(step, json.dumps(wrong)) is None, name


@pytest.mark.parametrize("number", [10**400, 2**63, -1])
def test_a_receipt_with_an_impossible_number_is_none(number: int) -> None:
    facts = as_of_0_1("download")
    assert from_json("download", json.dumps(facts)) is not None
    assert from_json("download", json.dumps(facts | {"bytes": number})) is None


@pytest.mark.parametrize("step", STEPS)
def test_fields_of_a_later_version_are_passed_over(step: Step) -> None:
    body = to_json(RECEIPTS[step]).partition(',\n "checksum"')[0] + ',\n "from_the_future": {"a": 1}'
    later = f'{body},\n "checksum": "{zlib.crc32(body.encode()):08x}"\n}}\n'
    assert from_json(step, later) == RECEIPTS[step]


@pytest.mark.parametrize("step", STEPS)
def test_a_receipt_with_any_bit_changed_is_none(step: Step) -> None:
    text = to_json(RECEIPTS[step]).encode()
    for position in range(len(text) * 8):
        changed = bytearray(text)
        changed[position // 8] ^= 1 << position % 8
        assert from_json(step, bytes(changed)) is None, changed


def test_a_letter_changed_in_a_receipt_never_blanks_a_column(taxi: Command, tmp_path: Path) -> None:
    source = f"file://{DATA.parent / 'field' / 'receipt.csv'}"
    places = ("--month", "2021-01", "--source", source, "--data-dir", str(tmp_path / "d"))
    assert taxi("run", *places).code == 0
    receipt = tmp_path / "d" / "state" / "receipts" / "yellow" / "2021-01" / "download.json"
    receipt.write_text(receipt.read_text().replace("congestion_surcharge", "congestion_surcharga"))
    assert taxi("run", *places).code == 0
    with duckdb.connect(str(tmp_path / "d" / "taxi.duckdb")) as db:
        assert db.execute("select count(congestion_surcharge) from yellow_tripdata").fetchall() == [(300,)]


def test_a_receipt_is_found_again_by_another_process(tmp_path: Path) -> None:
    part, layout = Part("yellow", "2021-01"), Layout(tmp_path)
    for step in STEPS:
        Receipts(layout).put(part, step, RECEIPTS[step])
    found = Receipts(layout).of(part)
    assert {step: found.of(step) for step in STEPS} == RECEIPTS
    assert layout.parts_with_receipts() == [part]


def replaced(whole: dict[str, Any], how: str) -> str:
    """What is put in the place of a receipt."""
    text = json.dumps(whole)
    kinds = {
        "half a file": text[: len(text) // 2],
        "wrong types": json.dumps({name: [value] for name, value in whole.items()}),
        "another version's": json.dumps({"version": 99, "facts": whole}),
    }
    return kinds.get(how, how)


@pytest.mark.parametrize("how", ["{}", "[]", "null", "half a file", "wrong types", "another version's"])
@pytest.mark.parametrize("step", STEPS)
def test_a_run_over_a_damaged_receipt_ends_well_with_the_same_table(loaded: Loaded, step: Step, how: str) -> None:
    before = loaded.table
    path = Path(Layout(loaded.data).receipt(Part("yellow", "2020-01"), step))
    path.write_text(replaced(json.loads(path.read_text()), how))
    ran = loaded.run()
    assert (ran.code, loaded.table) == (0, before), ran.err
    # the object in the store carries what came from the web; footer, store and table prove the rest
    assert ran.steps == [ALL_UP_TO_DATE]
    assert from_json(step, path.read_bytes()) is not None


@pytest.mark.parametrize("file", ["raw/yellow/yellow_tripdata_2020-07.csv", "raw/yellow/../a", "/a", "a\0b", ""])
def test_a_download_receipt_of_another_part_is_none(tmp_path: Path, file: str) -> None:
    part, layout = Part("yellow", "2021-01"), Layout(tmp_path)
    receipt = RECEIPTS["download"]
    assert isinstance(receipt, Downloaded)
    Receipts(layout).put(part, "download", dataclasses.replace(receipt, file=file))
    assert Receipts(layout).of(part).download is None


def test_every_step_has_a_receipt_of_its_own() -> None:
    assert tuple(TYPES) == STEPS
    assert len(set(TYPES.values())) == len(STEPS)


OLD: dict[Step, dict[str, Any]] = {
    "download": {
        "bytes": 19419, "columns": ["VendorID"], "etag": "", "file": "raw/green/green_tripdata_2024-01.parquet",
        "format": "parquet", "last_modified": "", "mtime_ns": 1795592372488304552, "sha256": "806d",
        "source": "file:///in/{dataset}_{month}.parquet", "url": "file:///in/green_2024-01.parquet",
    },
    "parquetize": {
        "bytes": 17203, "crc32c": "3a96c1c4", "left_out": [], "lines": 500, "mark": "84fc", "mtime_ns": 2,
        "raw_bytes": 19419, "raw_sha256": "806d", "rejects": 0, "rows": 500, "rows_expected": None,
        "source": "file:///in/green_2024-01.parquet", "unknown_codes": [["VendorID", "XYZ", 2]],
        "unknown_columns": ["new"], "vintage": "parquet-2014", "vintage_expected": "",
        "writer": {"compression": "zstd", "level": 3, "row_group_rows": 131072},
    },
    "upload": {
        "at": "/data/lake", "bytes": 17203, "crc32c": "3a96c1c4", "mark": "84fc", "size": 17203,
        "object": "green/green_tripdata_2024-01.parquet",
    },
    "load": {"at": "duckdb:/data/taxi.duckdb", "mark": "84fc", "rows": 500, "table": "green_tripdata"},
}  # fmt: skip
"""Receipts as 0.1.0 wrote them."""


@pytest.mark.parametrize("step", STEPS)
def test_a_receipt_of_0_1_0_is_read_as_it_is(step: Step) -> None:
    receipt = from_json(step, json.dumps(OLD[step], indent=1, sort_keys=True))
    assert receipt is not None
    kept = json.loads(to_json(receipt))
    assert {name: kept[name] for name in OLD[step] if name in kept} == {
        name: value for name, value in OLD[step].items() if name in kept
    }


def test_a_parquet_receipt_of_0_1_0_restored_from_the_footer_is_read() -> None:
    facts = {"lines", "left_out", "rows_expected", "unknown_codes", "unknown_columns", "vintage_expected"}
    adopted = {name: value for name, value in OLD["parquetize"].items() if name not in facts}
    receipt = from_json("parquetize", json.dumps(adopted))
    assert isinstance(receipt, Parquetized)
    assert (receipt.rows, receipt.unknown_columns) == (500, ())
