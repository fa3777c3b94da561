"""A lake of an earlier build has each mark in a sidecar beside its object: taken over, and no object is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conformance_of_stores import checksum
from lakes import READERS, killed_at_every_moment, parquet

from taxi_ingest.place import Place
from taxi_ingest.stores import Held, sweep
from taxi_ingest.stores.local import LocalStore

JANUARY, FEBRUARY = "yellow/yellow_tripdata_2021-01.parquet", "yellow/yellow_tripdata_2021-02.parquet"


def store_of(lake: Path) -> LocalStore:
    return LocalStore(Place.parse(str(lake)))


def write_sidecar(lake: Path, name: str, mark: str) -> None:
    """What earlier builds wrote beside an object."""
    stat, content = (lake / name).stat(), (lake / name).read_bytes()
    known = {"crc32c": checksum(content), "facts": {"rows": "3"}, "mark": mark}
    document = json.dumps(known | {"mtime_ns": stat.st_mtime_ns, "size": stat.st_size}, indent=1)
    (lake / f"{name}.json").write_text(document + "\n")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake of an earlier build, with 3 rows in January and 4 in February."""
    lake = tmp_path / "lake"
    for name, rows, mark in ((JANUARY, 3, "m1"), (FEBRUARY, 4, "m2")):
        parquet(lake / name, rows)
        write_sidecar(lake, name, mark)
    return lake


def held_by(lake: Path) -> dict[str, str]:
    return {name: held.mark for name, held in store_of(lake).held("yellow/").items()}


def objects(lake: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every object."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (lake / "yellow").glob("*.parquet")}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_marks_in_sidecars_are_held_and_a_listing_moves_nothing(lake: Path) -> None:
    before = files(lake.parent)
    assert (held_by(lake), files(lake.parent)) == ({JANUARY: "m1", FEBRUARY: "m2"}, before)


def test_a_sidecar_is_believed_only_for_the_bytes_it_was_written_for(lake: Path) -> None:
    parquet(lake / JANUARY, 9)
    assert held_by(lake) == {JANUARY: "", FEBRUARY: "m2"}


def test_a_sweep_moves_every_sidecar_and_touches_no_object(lake: Path) -> None:
    before = objects(lake)
    sweep(store_of(lake), lake.parent)
    assert files(lake.parent) == {
        f"lake/{JANUARY}", f"lake/{FEBRUARY}", f"lake.marks/{JANUARY}.json", f"lake.marks/{FEBRUARY}.json"
    }  # fmt: skip
    assert (objects(lake), held_by(lake)) == (before, {JANUARY: "m1", FEBRUARY: "m2"})


@pytest.mark.parametrize("rows", READERS.values(), ids=READERS)
def test_after_a_sweep_an_earlier_lake_opens_in_every_reader(lake: Path, rows: Callable[[Path], int]) -> None:
    sweep(store_of(lake), lake.parent)
    assert rows(lake) == 7


def test_a_sweep_killed_at_any_moment_loses_no_mark_and_the_next_one_goes_on(
    lake: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copies = killed_at_every_moment("sweep(store, lake.parent)", lake.parent, tmp_path_factory.mktemp("killed"))
    places = set()
    for folder in copies:
        killed, before = held_by(folder / "lake"), objects(folder / "lake")
        places.add(sum(name.startswith("lake/") and name.endswith(".json") for name in files(folder)))
        sweep(store_of(folder / "lake"), folder)
        after = READERS["DuckDB lake/**"](folder / "lake"), objects(folder / "lake"), held_by(folder / "lake")
        assert (killed, after) == ({JANUARY: "m1", FEBRUARY: "m2"}, (7, before, killed))
    assert places == {0, 1, 2}  # sidecars still there


def test_no_listing_misses_a_mark_while_a_sweep_moves_it(lake: Path) -> None:
    listings = 0
    with ThreadPoolExecutor(1) as pool:
        for _ in range(30):
            for name, mark in ((JANUARY, "m1"), (FEBRUARY, "m2")):
                (lake.parent / "lake.marks" / f"{name}.json").unlink(missing_ok=True)
                write_sidecar(lake, name, mark)
            sweeping = pool.submit(sweep, store_of(lake), lake.parent)
            while not sweeping.done():
                assert held_by(lake) == {JANUARY: "m1", FEBRUARY: "m2"}
                listings += 1
            sweeping.result()
            assert not (lake / f"{JANUARY}.json").exists()
    assert listings > 0


def test_a_mark_wins_over_a_sidecar_and_a_sweep_removes_the_sidecar(lake: Path) -> None:
    sweep(store_of(lake), lake.parent)
    write_sidecar(lake, JANUARY, "stale")
    before = held_by(lake)
    sweep(store_of(lake), lake.parent)
    assert (before[JANUARY], held_by(lake)[JANUARY]) == ("m1", "m1")
    assert not (lake / f"{JANUARY}.json").exists()


@pytest.mark.parametrize(
    "name",
    [
        "stats.csv.json",
        "yellow/trips.parquet.json",
        "yellow/deep/yellow_tripdata_2021-01.parquet.json",
        f"mine/{JANUARY}.json",
        f"{JANUARY}.json",
    ],
)
def test_json_beside_a_file_of_its_name_is_neither_moved_nor_deleted(lake: Path, name: str) -> None:
    theirs = lake / name
    parquet(theirs.with_suffix(""), 3)
    for content in ('{"doc": 1}', '{"doc": 2}'):
        theirs.write_text(content)
        sweep(store_of(lake), lake.parent)
        assert theirs.read_text() == content


@pytest.mark.parametrize("name", ["backup/yellow_tripdata_2021-01.parquet", f"backup/{JANUARY}"])
def test_a_sidecar_in_a_folder_that_is_no_dataset_stays_there(lake: Path, name: str) -> None:
    parquet(lake / name, 3)
    write_sidecar(lake, name, "m1")
    before = (lake / f"{name}.json").read_bytes()
    sweep(store_of(lake), lake.parent)
    assert (lake / f"{name}.json").read_bytes() == before


def test_the_json_of_others_outlives_a_put_and_a_removal_of_the_object_of_its_name(lake: Path) -> None:
    theirs = lake / f"{JANUARY}.json"
    theirs.write_text('{"doc": 1}')
    store = store_of(lake)
    store.put(parquet(lake.parent / "new.parquet", 5), JANUARY, mark="m3", facts={})
    assert (held_by(lake)[JANUARY], theirs.read_text()) == ("m3", '{"doc": 1}')
    store.remove(JANUARY)
    assert (JANUARY in held_by(lake), theirs.read_text()) == (False, '{"doc": 1}')


def test_a_removal_takes_the_sidecar_along(lake: Path) -> None:
    store_of(lake).remove(JANUARY)
    assert files(lake) == {FEBRUARY, f"{FEBRUARY}.json"}


def test_a_put_over_an_object_with_a_sidecar_leaves_only_the_new_mark(lake: Path) -> None:
    file = parquet(lake.parent / "new.parquet", 5)
    put = store_of(lake).put(file, JANUARY, mark="m3", facts={})
    assert store_of(lake).held(JANUARY) == {JANUARY: put} == {JANUARY: Held("m3", put.crc32c, file.stat().st_size)}
    assert not (lake / f"{JANUARY}.json").exists()


def test_a_sweep_moves_the_sidecar_of_a_deleted_object_and_leaves_the_json_of_others(lake: Path) -> None:
    (lake / JANUARY).unlink()
    (lake / "yellow" / "notes.json").write_text('{"mine": true}')
    sweep(store_of(lake), lake.parent)
    assert files(lake) == {FEBRUARY, "yellow/notes.json"}


BEGINNING = b'{\n "crc32c": "AAAAAA==",\n "facts": {'


@pytest.mark.parametrize(
    "left", [b"", b"\0" * 200, BEGINNING, BEGINNING[:5]], ids=["empty", "zeros", "cut", "cut soon"]
)
def test_what_a_crash_left_of_a_sidecar_goes_with_a_sweep_and_the_object_has_no_mark(lake: Path, left: bytes) -> None:
    (lake / f"{JANUARY}.json").write_bytes(left)
    before = objects(lake)
    sweep(store_of(lake), lake.parent)
    assert (held_by(lake), objects(lake)) == ({JANUARY: "", FEBRUARY: "m2"}, before)
    assert READERS["DuckDB lake/**"](lake) == 7


@pytest.mark.parametrize(
    "theirs",
    [b"rows: 3\n", b'{"doc": 1}\n{"doc": 2}\n', b'{"crc32c": "AAAAAA==", "mine": tr', b'{"x":' * 100_000],
    ids=["a text", "two documents", "cut", "nested"],
)
def test_what_is_no_json_and_does_not_begin_as_ours_is_left_alone(lake: Path, theirs: bytes) -> None:
    (lake / f"{JANUARY}.json").write_bytes(theirs)
    sweep(store_of(lake), lake.parent)
    store_of(lake).remove(JANUARY)
    assert (lake / f"{JANUARY}.json").read_bytes() == theirs
