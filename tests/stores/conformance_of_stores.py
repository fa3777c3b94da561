"""What every store must do. A kind's test module imports these tests and brings a fixture `bench`.

The fixture gives a `Bench`: the store, and what a stranger could do to it without us.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import pytest

from taxi_ingest.errors import StoreError
from taxi_ingest.stores import Held, Store

NAME = "trips/trips_2021-01.parquet"


@dataclass
class Bench:
    """A store under test; `overwrite` and `forget` are a stranger's doing: new bytes, metadata removed.

    `read` and `facts` look at an object without us.
    """

    store: Store
    folder: Path
    overwrite: Callable[[str, bytes], None]
    forget: Callable[[str], None]
    read: Callable[[str], bytes]
    facts: Callable[[str], dict[str, str]]

    def file(self, content: bytes, name: str = "a.parquet") -> Path:
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return path

    def put(self, content: bytes, mark: str = "m1", name: str = NAME) -> Held:
        return self.store.put(self.file(content, f"{mark}.parquet"), name, mark=mark, facts={"rows": "7"})


def checksum(content: bytes) -> str:
    return google_crc32c.Checksum(content).digest().hex()


def test_nothing_is_held_before_the_first_put(bench: Bench) -> None:
    assert bench.store.held("trips/") == {}


def test_what_was_put_is_held_with_mark_and_checksum(bench: Bench) -> None:
    put = bench.put(b"content")
    assert put == Held("m1", checksum(b"content"), 7)
    assert bench.store.held("trips/") == {NAME: put}
    assert bench.read(NAME) == b"content"


def test_the_facts_are_kept_with_the_object(bench: Bench) -> None:
    bench.put(b"content")
    assert bench.facts(NAME).items() >= {"rows": "7"}.items()


def test_other_content_replaces_the_object(bench: Bench) -> None:
    bench.put(b"content")
    bench.put(b"other content", mark="m2")
    assert bench.store.held("trips/") == {NAME: Held("m2", checksum(b"other content"), 13)}


def test_the_same_content_may_be_put_again(bench: Bench) -> None:
    assert bench.put(b"content") == bench.put(b"content")


def test_the_very_same_file_may_be_put_again(bench: Bench) -> None:
    path = bench.file(b"content")
    for _ in range(2):
        bench.store.put(path, NAME, mark="m1", facts={})
    assert bench.read(NAME) == b"content"


def test_a_strangers_overwrite_shows_in_the_checksum(bench: Bench) -> None:
    bench.put(b"content")
    bench.overwrite(NAME, b"CONTENT")
    assert bench.store.held("trips/")[NAME].crc32c == checksum(b"CONTENT")


def test_an_object_without_its_metadata_has_no_mark(bench: Bench) -> None:
    bench.put(b"content")
    bench.forget(NAME)
    assert bench.store.held("trips/")[NAME].mark == ""


def test_a_prefix_lists_its_folder_and_no_neighbour(bench: Bench) -> None:
    for name in ("trips/a.parquet", "trips/deep/b.parquet", "trips2/c.parquet"):
        bench.put(b"content", name=name)
    assert sorted(bench.store.held("trips/")) == ["trips/a.parquet", "trips/deep/b.parquet"]


def test_of_a_file_that_changes_while_it_is_put_no_false_checksum_is_held(bench: Bench) -> None:
    path = bench.file(b"x" * 20_000_000)

    def spoil(_: int) -> None:
        with path.open("r+b") as file:
            file.write(b"y" * 20_000_000)

    with contextlib.suppress(StoreError):
        bench.store.put(path, NAME, mark="m1", facts={}, progress=spoil)
    assert {held.crc32c for held in bench.store.held("trips/").values()} <= {checksum(bench.read(NAME))}


def test_a_file_that_cannot_be_read_leaves_the_object_as_it_was(bench: Bench) -> None:
    put = bench.put(b"content")
    with pytest.raises(FileNotFoundError):
        bench.store.put(bench.folder / "missing.parquet", NAME, mark="m2", facts={})
    assert bench.store.held("trips/") == {NAME: put}


@pytest.mark.parametrize("name", ["", "a\nb.parquet", "a\rb.parquet"])
def test_odd_names_are_refused_in_a_sentence(bench: Bench, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name of an object"):
        bench.put(b"content", name=name)


def test_of_two_writers_one_whole_object_stays(bench: Bench) -> None:
    contents = {f"m{n}": str(n).encode() * 9_000_000 for n in (1, 2)}

    def write(mark: str) -> None:
        try:
            bench.put(contents[mark], mark=mark)
        except StoreError as error:
            lost.append(str(error))

    lost: list[str] = []
    threads = [threading.Thread(target=write, args=(mark,)) for mark in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = bench.store.held("trips/")[NAME]
    assert bench.read(NAME) in contents.values()
    assert held.crc32c == checksum(bench.read(NAME))
    assert all("Another writer" in sentence or "Run again" in sentence for sentence in lost)
