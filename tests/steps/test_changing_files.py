"""A file of one's own that changes while it is copied is no version of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taxi_ingest.catalog import Part
from taxi_ingest.errors import TransientError
from taxi_ingest.layout import Layout
from taxi_ingest.steps.download import Origin, download

LINES = b"a,b,c\n" + b"".join(b"%06d,2,3\n" % n for n in range(60_000))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"1,2,3\n")


def shrink(path: Path) -> None:
    with path.open("rb+") as file:
        file.truncate(100_000)


def overwrite(path: Path) -> None:
    with path.open("rb+") as file:
        file.seek(-100, 2)
        file.write(b"9")


def take_away(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [grow, shrink, overwrite, take_away])
def test_a_file_that_changes_while_it_is_copied_is_not_taken(tmp_path: Path, change: Callable[[Path], None]) -> None:
    published, data = tmp_path / "a.csv", tmp_path / "data"
    published.write_bytes(LINES)
    waiting = [change]
    with pytest.raises(TransientError, match="changed while it was copied"):
        download(
            Part("yellow", "2021-01"),
            Origin("mine", published.as_uri()),
            Layout(data),
            progress=lambda _: waiting.pop()(published) if waiting else None,
        )
    assert not [path for path in data.rglob("*") if path.is_file()]
