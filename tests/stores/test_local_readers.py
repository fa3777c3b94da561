"""A folder store opens as a folder: nothing but whole objects is in it, at any moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from lakes import READERS, elsewhere, killed_after_1_mb, killed_at_every_moment, parquet

from taxi_ingest.place import Place
from taxi_ingest.stores import sweep
from taxi_ingest.stores.local import LocalStore

__all__ = ["elsewhere"]

JANUARY, FEBRUARY = "trips/trips_2021-01.parquet", "trips/trips_2021-02.parquet"

reader = pytest.mark.parametrize("rows", READERS.values(), ids=READERS)


def store_of(lake: Path) -> LocalStore:
    return LocalStore(Place.parse(str(lake)))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake with 3 rows in January."""
    january = parquet(tmp_path / "parquet" / "trips" / "january.parquet", 3)
    store_of(tmp_path / "lake").put(january, JANUARY, mark="m1", facts={})
    return tmp_path / "lake"


@reader
def test_a_lake_opens_in_every_reader(lake: Path, rows: Callable[[Path], int]) -> None:
    store_of(lake).put(parquet(lake.parent / "february.parquet", 4), FEBRUARY, mark="m2", facts={})
    assert rows(lake) == 7


@reader
def test_a_lake_opens_in_every_reader_while_a_half_copied_object_is_there(
    lake: Path, elsewhere: Path, rows: Callable[[Path], int]
) -> None:
    killed_after_1_mb(lake, parquet(elsewhere / "february.parquet", 1_000_000), FEBRUARY)
    assert rows(lake) == 3


@pytest.fixture(scope="module")
def killed_puts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of January being replaced by 5 rows, each killed a moment later than the one before."""
    folder = tmp_path_factory.mktemp("before")
    january = parquet(folder / "parquet" / "trips" / "january.parquet", 3)
    store_of(folder / "lake").put(january, JANUARY, mark="m1", facts={})
    parquet(folder / "parquet" / "trips" / "new.parquet", 5)
    put = f'store.put(lake.parent / "parquet/trips/new.parquet", {JANUARY!r}, mark="m2", facts={{}})'
    return killed_at_every_moment(put, folder, tmp_path_factory.mktemp("killed"))


@reader
def test_a_lake_opens_in_every_reader_whenever_a_put_is_killed(
    killed_puts: list[Path], rows: Callable[[Path], int]
) -> None:
    seen = [rows(folder / "lake") for folder in killed_puts]
    assert (seen, set(seen)) == (sorted(seen), {3, 5})


def test_an_object_never_bears_the_mark_of_another_whenever_a_put_is_killed(killed_puts: list[Path]) -> None:
    rows = READERS["DuckDB lake/**"]
    found = {(rows(folder / "lake"), store_of(folder / "lake").held("")[JANUARY].mark) for folder in killed_puts}
    assert found == {(3, "m1"), (3, ""), (5, ""), (5, "m2")}


def test_a_sweep_removes_what_a_put_leaves_whenever_it_is_killed(killed_puts: list[Path]) -> None:
    left = [hidden for folder in killed_puts for hidden in folder.rglob(".*")]
    for folder in killed_puts:
        sweep(store_of(folder / "lake"), folder / "parquet")
    assert (len(left) > 0, [path for path in left if path.exists()]) == (True, [])


@pytest.fixture(scope="module")
def repeated_puts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of the first put ever, killed at one moment or another and then repeated."""
    folder = tmp_path_factory.mktemp("new")
    parquet(folder / "parquet" / "trips" / "new.parquet", 5)
    put = f'store.put(lake.parent / "parquet/trips/new.parquet", {JANUARY!r}, mark="m1", facts={{}})'
    killed = killed_at_every_moment(put, folder, tmp_path_factory.mktemp("killed"))
    for copy in killed:
        store_of(copy / "lake").put(copy / "parquet" / "trips" / "new.parquet", JANUARY, mark="m1", facts={})
    return killed


@reader
def test_a_lake_opens_in_every_reader_after_its_first_put_was_killed_and_repeated(
    repeated_puts: list[Path], rows: Callable[[Path], int]
) -> None:
    assert {rows(folder / "lake") for folder in repeated_puts} == {5}


def test_a_first_put_that_was_killed_leads_to_a_mark_when_it_is_repeated(repeated_puts: list[Path]) -> None:
    assert {store_of(folder / "lake").held("")[JANUARY].mark for folder in repeated_puts} == {"m1"}
