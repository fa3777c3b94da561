"""The first run on a lake of an earlier build, whose marks lie beside the objects, redoes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
from conftest import ALL_UP_TO_DATE, Loaded


def move_marks_beside_objects(data: Path) -> None:
    """Give the lake the form that earlier builds gave it."""
    for mark in (data / "lake.marks").glob("*/*.json"):
        mark.rename(data / "lake" / mark.relative_to(data / "lake.marks"))
    shutil.rmtree(data / "lake.marks")


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every file."""
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_the_first_run_on_an_earlier_lake_touches_no_object_and_readers_open_it(loaded: Loaded) -> None:
    objects = state_of(loaded.data / "lake")
    move_marks_beside_objects(loaded.data)
    ran = loaded.run()
    assert (ran.code, ran.steps) == (0, [ALL_UP_TO_DATE]), ran.err
    assert state_of(loaded.data / "lake") == objects
    assert duckdb.execute("SELECT count(*) FROM read_parquet($1)", [f"{loaded.data}/lake/**"]).fetchall() == [(999,)]


def test_looking_at_an_earlier_lake_changes_nothing(loaded: Loaded) -> None:
    move_marks_beside_objects(loaded.data)
    lake = state_of(loaded.data / "lake")
    (planned,) = loaded.run(verb="plan").document["parts"]
    loaded.look("status")
    assert "run" not in {step["action"] for step in planned["steps"].values()}
    assert (state_of(loaded.data / "lake"), (loaded.data / "lake.marks").exists()) == (lake, False)


def test_a_fresh_machine_does_not_believe_the_mark_of_an_object_that_was_overwritten(loaded: Loaded) -> None:
    (there,) = (loaded.data / "lake" / "yellow").iterdir()
    whole = there.read_bytes()
    there.unlink()
    there.write_bytes(whole[:-1] + b"?")
    ran = loaded.run("--data-dir", "fresh", "--store", str(loaded.data / "lake"))
    assert (ran.code, ran.steps[0]["upload"], there.read_bytes()) == (0, "done", whole), ran.err


def test_unfinished_objects_of_early_builds_go_and_those_of_another_data_directory_stay(loaded: Loaded) -> None:
    folder = loaded.data / "lake" / "yellow"
    nobodys, theirs = folder / ".a.parquet.abcdefgh.tmp", folder / ".a.parquet.0123456789abcdef.abcdefgh.tmp"
    for unfinished in (nobodys, theirs):
        unfinished.touch()
    assert loaded.run().code == 0
    assert (nobodys.exists(), theirs.exists()) == (False, True)
