"""What every store must do. A kind's test module imports these tests and defines the fixture `bench`.

The fixture returns a `Bench`: the store, and what others could do to its objects without it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import pytest

from taxi_ingest.errors import StoreError
from taxi_ingest.place import Place
from taxi_ingest.stores import Held, ReadsBack, Removes, Store, open_store, read_back, sweep

NAME = "trips/trips_2021-01.parquet"


@dataclass
class Bench:
    """A store under test.

    `overwrite` (new bytes) and `forget` (metadata removed) change an object without the store; `read` and `facts` look
    at one. `read_url` reads what `Store.url` returned. `unusable` is a place of the same kind that cannot be used.
    """

    store: Store
    folder: Path
    overwrite: Callable[[str, bytes], None]
    forget: Callable[[str], None]
    read: Callable[[str], bytes]
    facts: Callable[[str], dict[str, str]]
    read_url: Callable[[str], bytes]
    unusable: Place

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


def test_an_overwrite_by_others_shows_in_the_checksum(bench: Bench) -> None:
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


def test_no_false_checksum_is_held_for_a_file_that_changes_while_it_is_put(bench: Bench) -> None:
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
def test_impossible_names_are_refused_in_a_sentence(bench: Bench, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name of an object"):
        bench.put(b"content", name=name)
    with pytest.raises(StoreError, match="cannot be the name of an object"):
        bench.store.url(name)


def test_the_url_of_an_object_leads_to_its_content(bench: Bench) -> None:
    bench.put(b"content")
    assert bench.read_url(bench.store.url(NAME)) == b"content"


def test_an_object_is_fetched_as_it_was_put(bench: Bench) -> None:
    bench.put(b"content")
    bench.store.get(NAME, bench.folder / "fetched" / "a.parquet")
    assert (bench.folder / "fetched" / "a.parquet").read_bytes() == b"content"


def test_a_fetched_file_is_its_own(bench: Bench) -> None:
    bench.put(b"content")
    bench.store.get(NAME, bench.folder / "mine.parquet")
    (bench.folder / "mine.parquet").write_bytes(b"changed")
    assert bench.read(NAME) == b"content"


def test_an_object_that_is_not_there_leaves_the_file_as_it_was(bench: Bench) -> None:
    bench.put(b"content")
    file = bench.file(b"before", "mine.parquet")
    with pytest.raises(StoreError, match=r"There is no .*missing\.parquet"):
        bench.store.get("trips/missing.parquet", file)
    assert (file.read_bytes(), list(bench.folder.glob(".*"))) == (b"before", [])


def test_its_place_opens_the_same_store(bench: Bench) -> None:
    put = bench.put(b"content")
    assert open_store(bench.store.place).held("trips/") == {NAME: put}


def test_held_connects_somewhere_only_if_it_needs_a_network(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    connect, addresses = socket.socket.connect, []

    def recorded(self: socket.socket, address: object) -> None:
        addresses.append(address)
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", recorded)
    open_store(bench.store.place).held("trips/")
    assert bool(addresses) == bench.store.needs_network


def test_a_usable_store_passes_every_check(bench: Bench) -> None:
    checks = list(bench.store.checks())
    assert [check for check in checks if not (check.ok and check.sentence)] == []
    assert checks


def test_checks_change_nothing(bench: Bench) -> None:
    put = bench.put(b"content")
    list(bench.store.checks())
    assert bench.store.held("") == {NAME: put}


def test_a_store_that_cannot_be_used_fails_a_check_with_a_sentence(bench: Bench) -> None:
    failed = [check for check in open_store(bench.unusable).checks() if not check.ok]
    assert [bool(check.sentence) for check in failed] == [True]


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


def test_a_sweep_leaves_every_object(bench: Bench) -> None:
    put = bench.put(b"content")
    sweep(bench.store, bench.folder)
    assert (bench.store.held("trips/"), bench.read(NAME)) == ({NAME: put}, b"content")


def test_of_a_store_that_removes_objects_only_the_one_named_goes(bench: Bench) -> None:
    name = "trips/trips_2021-02.parquet"
    held = {NAME: bench.put(b"content"), name: bench.put(b"more", "m2", name)}
    if isinstance(bench.store, Removes):
        for _ in range(2):  # the second time there is none
            bench.store.remove(name)
        del held[name]
    assert (bench.store.held(""), bench.read(NAME)) == (held, b"content")


def test_what_is_read_back_is_what_the_bytes_are_whatever_the_listing_says(bench: Bench) -> None:
    put = bench.put(b"content")
    listed = Held("m1", checksum(b"listed"), 6)
    if isinstance(bench.store, ReadsBack):
        assert bench.store.read_back(NAME) == put
        assert read_back(bench.store, NAME, listed) == put
    else:
        assert read_back(bench.store, NAME, listed) == listed
