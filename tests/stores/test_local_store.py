"""A folder as store: conformance, and what is special to files."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from conformance_of_stores import *  # noqa: F403
from conformance_of_stores import NAME, Bench, checksum
from lakes import elsewhere, killed_after_1_mb

from taxi_ingest.errors import StoreError
from taxi_ingest.place import Place
from taxi_ingest.stores import Held, open_store

__all__ = ["elsewhere"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    lake, marks = tmp_path / "lake", tmp_path / "lake.marks"

    def overwrite(name: str, content: bytes) -> None:
        (lake / name).write_bytes(content)

    def forget(name: str) -> None:
        (marks / f"{name}.json").unlink()

    def facts(name: str) -> dict[str, str]:
        return dict(json.loads((marks / f"{name}.json").read_bytes())["facts"])

    store = open_store(Place.parse(str(lake)))
    (tmp_path / "file").touch()
    return Bench(
        store,
        tmp_path,
        overwrite,
        forget,
        read=lambda name: (lake / name).read_bytes(),
        facts=facts,
        read_url=lambda url: Path(url).read_bytes(),
        unusable=Place.parse(str(tmp_path / "file" / "lake")),
    )


def mark_file(bench: Bench) -> Path:
    return bench.folder / "lake.marks" / f"{NAME}.json"


def test_the_object_is_a_hard_link_where_that_is_possible(bench: Bench) -> None:
    path = bench.file(b"content")
    bench.store.put(path, NAME, mark="m1", facts={})
    assert path.samefile(bench.store.url(NAME))


def test_a_file_of_another_filesystem_is_copied(bench: Bench, elsewhere: Path) -> None:
    (elsewhere / "a").write_bytes(b"content")
    bench.store.put(elsewhere / "a", NAME, mark="m1", facts={})
    assert bench.read(NAME) == b"content"


def test_a_copy_killed_in_the_middle_leaves_nothing_held(bench: Bench, elsewhere: Path) -> None:
    (elsewhere / "a").write_bytes(b"x" * 5_000_000)
    killed_after_1_mb(Path(bench.store.place.path), elsewhere / "a", NAME)
    left = [path for path in bench.folder.rglob("*") if path.is_file() and path.stat().st_size]
    assert [path.stat().st_size for path in left] == [1_000_000]
    assert bench.store.held("trips/") == {}


def test_an_overwrite_of_equal_size_is_noticed_by_its_time(bench: Bench) -> None:
    put = bench.put(b"content")
    path = Path(bench.store.url(NAME))
    before = path.stat()
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert bench.store.held("trips/")[NAME].crc32c != put.crc32c


@pytest.mark.parametrize(
    "name", ["/etc/x", "../x", "a/../x", "a//x", "a\\x", "x.json", "x.marks/a", ".", "a/.x", "a\tx"]
)
def test_names_that_lead_astray_are_refused(bench: Bench, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name of an object"):
        bench.put(b"content", name=name)


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"mark": null, "crc32c": "00000000"}', '{"crc32c": "00000000"}'])
def test_an_object_with_a_damaged_mark_has_none(bench: Bench, damaged: str) -> None:
    put = bench.put(b"content")
    mark_file(bench).write_text(damaged)
    assert bench.store.held("trips/")[NAME] == replace(put, mark="")


def test_a_link_to_nothing_is_no_object(bench: Bench) -> None:
    path = Path(bench.store.url(NAME))
    path.parent.mkdir(parents=True)
    path.symlink_to("nowhere")
    assert bench.store.held("trips/") == {}


def test_a_mark_with_any_bit_changed_is_no_bug(bench: Bench) -> None:
    bench.put(b"content")
    path = mark_file(bench)
    whole = path.read_bytes()
    for bit in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        assert NAME in bench.store.held("trips/")


def test_a_mark_does_not_count_for_other_bytes(bench: Bench) -> None:
    bench.put(b"content")
    bench.overwrite(NAME, b"another")
    assert bench.store.held("trips/") == {NAME: Held("", checksum(b"another"), 7)}


def test_a_mark_outlives_a_touch_of_its_object(bench: Bench) -> None:
    put = bench.put(b"content")
    os.utime(bench.store.url(NAME), ns=(1, 1))
    assert bench.store.held("trips/") == {NAME: put}


def test_a_linked_store_has_the_same_marks_by_either_name(bench: Bench) -> None:
    put = bench.put(b"content")
    link = bench.folder / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(bench.store.place.path)
    assert open_store(Place.parse(str(link))).held("trips/") == {NAME: put}


def test_marks_are_in_the_store_where_nothing_can_be_made_beside_it(bench: Bench) -> None:
    (bench.folder / "lake.marks").touch()
    put = bench.put(b"content")
    assert {path.name for path in Path(bench.store.place.path).iterdir()} == {"trips", ".marks"}
    assert (bench.store.held(""), bench.store.held(".marks/")) == ({NAME: put}, {})


def test_whoever_may_use_the_store_may_use_its_marks(bench: Bench) -> None:
    lake = Path(bench.store.place.path)
    lake.mkdir()
    lake.chmod(0o2775)
    bench.put(b"content")
    assert (bench.folder / "lake.marks").stat().st_mode == lake.stat().st_mode
