"""Source templates: {dataset} and {month} and nothing else, on the command line and in receipts."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import DATA, Command, Loaded

from taxi_ingest.state.receipts import Downloaded, from_json, to_json

TEMPLATES = [
    "https://host.invalid/{month.x}",
    "https://host.invalid/{month[x]}",
    "https://host.invalid/{dataset.__init__.__globals__}",
    "https://host.invalid/{month:>400000000}",
    "https://host.invalid/{month:>99999999999}",
    "https://host.invalid/{month!r}",
    "https://host.invalid/{}",
    "https://host.invalid/{0}",
    "https://host.invalid/{{month}}",
    "https://host.invalid/{{dataset}month}",
    "https://host.invalid/{month",
    "https://host.invalid/month}",
    "https://[::1/{month}",
    "https://[/{month}",
    "https://[{month}]/x",
    "https:///{month}",
    "https://:443/{month}",
    "https://host.invalid:99999/{month}",
    "http://a..b/{month}",
    "http://.a/{month}",
    f"http://{'a' * 300}/{{month}}",
    f"http://{'{month}' * 10}.invalid/",
    "http://\u2100/{month}",
    "file:///{month!s}",
    "demo:",
    "demo:yellow/2021-01?rows=100&seed=1",
]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_nobody_can_fill_ends_2_with_one_sentence(taxi: Command, tmp_path: Path, template: str) -> None:
    for verb, month in (("run", "2021-01"), ("plan", "latest")):
        ran = taxi(verb, "--month", month, "--source", template)
        assert (ran.code, len(ran.err.splitlines()), list(tmp_path.iterdir())) == (2, 1, []), ran.err


def test_dataset_and_month_are_filled_in_wherever_they_stand(taxi: Command, tmp_path: Path) -> None:
    copies = tmp_path / "copies" / "2020-01" / "yellow"
    copies.mkdir(parents=True)
    shutil.copy(DATA / "yellow_tripdata_2020-01.csv", copies / "yellow-2020-01.csv")
    template = f"file://{tmp_path}/copies/{{month}}/{{dataset}}/{{dataset}}-{{month}}.csv"
    ran = taxi("run", "--month", "2020-01", "--source", template, "--json")
    assert (ran.code, ran.document["parts"][0]["source"]) == (0, template), ran.err


def forget_the_file(data: Path, source: Any) -> None:
    """Change what a receipt says of its source, and remove what makes the download unnecessary."""
    (receipt,) = data.glob("state/receipts/yellow/*/download.json")
    known = from_json("download", receipt.read_bytes())
    assert isinstance(known, Downloaded)
    receipt.write_text(to_json(replace(known, source=source)))
    shutil.rmtree(data / "raw")
    shutil.rmtree(data / "parquet")


# one of each kind that a receipt is read by: every template above is refused by the same code
RECORDED = [*TEMPLATES[:4], TEMPLATES[12], TEMPLATES[-1], "", "demo", "x", "u:p@h", "https://h.invalid/\0{month}"]


@pytest.mark.parametrize("source", RECORDED)
def test_a_receipt_with_a_template_that_nobody_can_fill_fails_its_part(loaded: Loaded, source: str) -> None:
    forget_the_file(loaded.data, source)
    ran = loaded.taxi("run", "--month", "2020-01", "--json", TAXI_INGEST_DOWNLOAD__TRIES="1")
    assert (ran.code, "bug" in ran.err) == (1, False), ran.err
    assert ran.steps[0]["download"] == "failed"
    assert loaded.taxi("plan", "--month", "2020-01", "--json").code == 0
    assert loaded.taxi("status", "--json").code == 0
    assert loaded.run().code == 0  # which names the source


def test_the_demo_makes_again_what_its_receipt_says(taxi: Command, tmp_path: Path) -> None:
    demo = ("--month", "2021-01", "--data-dir", "d", "--json")
    first = taxi("run", *demo, "--source", "demo", TAXI_INGEST_DEMO__ROWS="100").document["parts"][0]
    receipt = tmp_path / "d" / "state" / "receipts" / "yellow" / "2021-01" / "download.json"
    forget_the_file(tmp_path / "d", first["source"])
    before = json.loads(receipt.read_text())
    (again,) = taxi("run", *demo).document["parts"]  # the demo of today would make 200,000 rows
    assert (again["source"], again["rows"], again["steps"]["download"]) == (first["source"], 100, "done")
    assert json.loads(receipt.read_text())["sha256"] == before["sha256"]
