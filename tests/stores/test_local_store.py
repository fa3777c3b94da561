"""A folder as store: conformance, and what is special to files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conformance_of_stores import *  # noqa: F403
from conformance_of_stores import NAME, Bench

from taxi_ingest.errors import StoreError
from taxi_ingest.place import Place
from taxi_ingest.stores import open_store


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    lake = tmp_path / "lake"

    def overwrite(name: str, content: bytes) -> None:
        (lake / name).write_bytes(content)

    def forget(name: str) -> None:
        (lake / f"{name}.json").unlink()

    def facts(name: str) -> dict[str, str]:
        return dict(json.loads((lake / f"{name}.json").read_bytes())["facts"])

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


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another filesystem, where hard links cannot reach."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_the_object_is_a_hard_link_where_that_is_possible(bench: Bench) -> None:
    path = bench.file(b"content")
    bench.store.put(path, NAME, mark="m1", facts={})
    assert path.samefile(bench.store.url(NAME))


def test_a_file_of_another_filesystem_is_copied(bench: Bench, elsewhere: Path) -> None:
    (elsewhere / "a").write_bytes(b"content")
    bench.store.put(elsewhere / "a", NAME, mark="m1", facts={})
    assert bench.read(NAME) == b"content"


KILLED_AT_1_MB = """
import resource, signal, sys
from pathlib import Path
from taxi_ingest.place import Place
from taxi_ingest.stores import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
open_store(Place.parse(sys.argv[1])).put(Path(sys.argv[2]), sys.argv[3], mark="m1", facts={})
"""


def test_a_copy_killed_in_the_middle_leaves_nothing_held(bench: Bench, elsewhere: Path) -> None:
    (elsewhere / "a").write_bytes(b"x" * 5_000_000)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AT_1_MB, bench.store.place.url, str(elsewhere / "a"), NAME], check=False
    )
    left = [path for path in Path(bench.store.place.url).rglob("*") if path.is_file()]
    assert (killed.returncode, [path.stat().st_size for path in left]) == (-signal.SIGXFSZ, [1_000_000])
    assert bench.store.held("trips/") == {}


def test_an_overwrite_of_equal_size_is_noticed_by_its_time(bench: Bench) -> None:
    put = bench.put(b"content")
    path = Path(bench.store.url(NAME))
    before = path.stat()
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert bench.store.held("trips/")[NAME].crc32c != put.crc32c


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../x", "a//x", "a\\x", "x.json", ".", "a/.x", "a\tx"])
def test_names_that_lead_astray_are_refused(bench: Bench, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name of an object"):
        bench.put(b"content", name=name)


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"mark": null, "crc32c": "00000000"}', '{"crc32c": "00000000"}'])
def test_a_damaged_sidecar_bears_no_mark(bench: Bench, damaged: str) -> None:
    put = bench.put(b"content")
    Path(f"{bench.store.url(NAME)}.json").write_text(damaged)
    assert bench.store.held("trips/")[NAME] == replace(put, mark="")


def test_a_link_to_nothing_is_no_object(bench: Bench) -> None:
    path = Path(bench.store.url(NAME))
    path.parent.mkdir(parents=True)
    path.symlink_to("nowhere")
    assert bench.store.held("trips/") == {}


def test_a_sidecar_with_any_bit_changed_is_no_bug(bench: Bench) -> None:
    bench.put(b"content")
    sidecar = Path(f"{bench.store.url(NAME)}.json")
    whole = sidecar.read_bytes()
    for bit in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        sidecar.write_bytes(changed)
        assert NAME in bench.store.held("trips/")
