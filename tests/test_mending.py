"""What `verify` found is mended as far as it can be: what cannot be mended keeps nothing else from it."""

from __future__ import annotations

from pathlib import Path

import duckdb
from conftest import MONTH, Command, Loaded
from planting import flip


def test_a_raw_file_that_nobody_has_any_more_does_not_keep_the_table_from_being_mended(loaded: Loaded) -> None:
    before = loaded.table
    flip(loaded.data / "raw" / "yellow" / MONTH.name, 4321, keep_time=True)
    with duckdb.connect(str(loaded.data / "taxi.duckdb")) as db:
        db.execute("DELETE FROM yellow_tripdata WHERE rowid = 5")
    loaded.publisher.files.clear()
    repaired = loaded.run("--repair", verb="verify")
    assert (repaired.code, [left["copy"] for left in repaired.document["left"]]) == (1, ["raw"])
    assert (len(loaded.table), sorted(map(repr, loaded.table))) == (len(before), sorted(map(repr, before)))


def test_a_raw_file_that_parquetize_needs_blocks_the_steps_behind_it(loaded: Loaded) -> None:
    flip(loaded.data / "raw" / "yellow" / MONTH.name, 4321, keep_time=True)
    loaded.taxi("verify")
    (parquet,) = loaded.data.glob("parquet/*/*.parquet")
    parquet.unlink()
    loaded.publisher.files.clear()
    ran = loaded.run()
    assert (ran.code, ran.steps) == (
        1, [{"download": "failed", "parquetize": "blocked", "upload": "blocked", "load": "blocked"}]
    )  # fmt: skip


def test_months_that_a_view_shows_from_another_store_are_found_and_mended(taxi: Command, tmp_path: Path) -> None:
    demo = ("--source", "demo", "--data-dir", "data", "--month", "2021-01..2021-02")
    external = {"TAXI_INGEST_LOAD__METHOD": "external", "TAXI_INGEST_DEMO__ROWS": "100"}
    assert taxi("run", *demo, "--store", "first", **external).code == 0
    assert taxi("run", *demo[:-1], "2021-01", "--store", "second", **external).code == 0
    found = taxi("verify", *demo, "--store", "second", "--repair", "--json", **external)
    wrong = [(one["month"], one["wrong"]) for part in found.document["parts"] for one in part["findings"]]
    first = tmp_path / "first" / "yellow" / "yellow_tripdata_2021-02.parquet"
    assert wrong == [("2021-02", f"the view shows a file of another store: {first}")]
    assert (found.code, found.document["left"]) == (0, []), found.err
    with duckdb.connect(str(tmp_path / "data" / "taxi.duckdb"), read_only=True) as db:
        files = db.execute("SELECT DISTINCT file FROM _loads ORDER BY 1").fetchall()
    assert [Path(file).parts[-3] for (file,) in files] == ["second", "second"]
