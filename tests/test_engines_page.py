"""docs/engines.md works as it stands: its plain loop, and its workers that share nothing."""

from __future__ import annotations

import re
import sys
import uuid
from pathlib import Path

from conftest import MONTH, REPOSITORY, process, query

BLOCKS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "engines.md").read_text(), re.DOTALL)


def run(folder: Path, code: str, **environment: str) -> str:
    (folder / "engine.py").write_text(code)
    ran = process([sys.executable, "engine.py"], folder, environment)
    assert ran.code == 0, ran.err
    return ran.out


def test_the_plain_loop_loads_three_months(tmp_path: Path) -> None:
    said = run(tmp_path, BLOCKS[0])
    assert [line.split()[0] for line in said.splitlines()] == ["yellow-2021-01", "yellow-2021-02", "yellow-2021-03"]
    assert query(tmp_path / "data" / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(3000,)]


def test_workers_that_share_nothing_fill_the_store_and_the_table(gcs_server: str, tmp_path: Path) -> None:
    imports = "\n".join(line for line in BLOCKS[0].splitlines() if line.startswith("from"))
    where = {
        "STORAGE_EMULATOR_HOST": gcs_server,
        "TMPDIR": str(tmp_path / "scratch"),
        "TAXI_INGEST_GLOBAL__SOURCE": MONTH.parent.as_uri() + "/{dataset}_tripdata_{month}.csv",
        "TAXI_INGEST_GLOBAL__STORE": f"gs://demo-bucket/{uuid.uuid4().hex}",
        "TAXI_INGEST_GLOBAL__WAREHOUSE": f"duckdb:{tmp_path / 'taxi.duckdb'}",
    }
    (tmp_path / "scratch").mkdir()
    for call in ("to_store('2020-01')", "to_table('2020-01')"):
        run(tmp_path, f"{imports}\n{BLOCKS[1]}\n{call}\n", **where)
    assert query(tmp_path / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata") == [(999,)]
    assert list((tmp_path / "scratch").glob("taxi-ingest-*")) == []


def test_the_other_engines_pages_are_python() -> None:
    assert len([compile(block, "engines.md", "exec") for block in BLOCKS]) == 4
