"""Lakes of real Parquet for tests: whoever reads them, and a process that is killed at every moment of its work."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest


def parquet(path: Path, rows: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"n": range(rows)}), path)
    return path


def _duckdb(pattern: str) -> int:
    with duckdb.connect() as db:
        (row,) = db.execute("SELECT count(*) FROM read_parquet($1)", [pattern]).fetchall()
    return int(row[0])


def _polars(pattern: Path) -> int:
    return int(pl.scan_parquet(pattern).select(pl.len()).collect().item())


READERS: dict[str, Callable[[Path], int]] = {
    "DuckDB lake/**": lambda lake: _duckdb(f"{lake}/**"),
    "DuckDB lake/*/*": lambda lake: _duckdb(f"{lake}/*/*"),
    "DuckDB lake/**/*.parquet": lambda lake: _duckdb(f"{lake}/**/*.parquet"),
    "pyarrow lake/trips": lambda lake: int(ds.dataset(lake / "trips").count_rows()),
    "pyarrow lake/trips, as Parquet": lambda lake: int(ds.dataset(lake / "trips", format="parquet").count_rows()),
    "pyarrow lake": lambda lake: int(ds.dataset(lake).count_rows()),
    "Polars lake/trips": lambda lake: _polars(lake / "trips"),
    "Polars lake/trips/*": lambda lake: _polars(lake / "trips" / "*"),
    "Polars lake/**/*.parquet": lambda lake: _polars(lake / "**" / "*.parquet"),
    "Polars lake": _polars,
    "pandas lake/trips": lambda lake: len(pd.read_parquet(lake / "trips")),
}
"""Each counts the rows of a lake whose only dataset is `trips`."""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another filesystem, where hard links cannot reach."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


_KILLED_AFTER_1_MB = """
import resource, signal, sys
from pathlib import Path
from taxi_ingest.place import Place
from taxi_ingest.stores import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
open_store(Place.parse(sys.argv[1])).put(Path(sys.argv[2]), sys.argv[3], mark="m1", facts={})
"""


def killed_after_1_mb(lake: Path, file: Path, name: str) -> None:
    """Put a file of another filesystem in a process that is killed when it has copied 1 MB."""
    command = [sys.executable, "-c", _KILLED_AFTER_1_MB, str(lake), str(file), name]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGXFSZ


_KILLER = """
import itertools, os, shutil, signal, sys
from pathlib import Path
import google_crc32c
from taxi_ingest.place import Place
from taxi_ingest.stores import open_store, sweep
from taxi_ingest.stores.local import LocalStore

folder, to = Path(sys.argv[1]), Path(sys.argv[2])

def work(lake):
    store = open_store(Place.parse(str(lake)))
    WORK

for moment in itertools.count():
    copy = to / str(moment)
    shutil.copytree(folder, copy)
    child = os.fork()
    if not child:
        events = itertools.count()
        def hook(event, _):
            if (event == "open" or event.startswith("os.")) and next(events) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        work(copy / "lake")
        os._exit(0)
    if not os.waitpid(child, 0)[1]:
        break
"""


def killed_at_every_moment(work: str, folder: Path, to: Path) -> list[Path]:
    """Do `work`, a statement on `store`, on copies of `folder`, killed before the first, second … look at the disk.

    The store is `lake` in the folder. Returns the copies' folders, by moment; in the last one it came to its end.
    """
    subprocess.run([sys.executable, "-c", _KILLER.replace("WORK", work), str(folder), str(to)], check=True, timeout=60)
    return sorted(to.iterdir(), key=lambda path: int(path.name))
