"""A folder as store: conformance, and what is special to files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conformance_of_stores import *  # noqa: F403
from conformance_of_stores import NAME, Bench

from taxi_ingest import stores
from taxi_ingest.errors import StoreError


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    lake = tmp_path / "lake"

    def overwrite(name: str, content: bytes) -> None:
        (lake / name).write_bytes(content)

    def forget(name: str) -> None:
        (lake / f"{name}.json").unlink()

    return Bench(stores.connect(str(lake)), tmp_path, overwrite, forget, lambda name: (lake / name).read_bytes())


def test_the_object_is_a_hard_link_where_that_is_possible(bench: Bench) -> None:
    path = bench.file(b"content")
    bench.store.put(path, NAME, mark="m1", facts={})
    assert path.samefile(bench.store.object_url(NAME))


def test_an_overwrite_of_equal_size_is_noticed_by_its_time(bench: Bench) -> None:
    put = bench.put(b"content")
    path = Path(bench.store.object_url(NAME))
    before = path.stat()
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert bench.store.held("trips/")[NAME].crc32c != put.crc32c


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../x", "a//x", "a\\x", "x.json", "."])
def test_names_that_lead_astray_are_refused(bench: Bench, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name of an object"):
        bench.put(b"content", name=name)
