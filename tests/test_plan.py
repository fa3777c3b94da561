"""The plan: what a run would do, and the true reason for it; a run with the same options then does just that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from conftest import MONTH, Command, Loaded, Publisher

RECEIPTS = "state/receipts/yellow/2020-01"
DEPENDS = "depends on the file that is downloaded"
NEW = {
    "download": "not downloaded yet",
    "parquetize": "not converted yet",
    "upload": "the store has no such object",
    "load": "the table lacks the month",
}

Touch = Callable[[Loaded], None]


def delete(*names: str) -> Touch:
    def touch(loaded: Loaded) -> None:
        for name in names:
            path = loaded.data / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return touch


def sql(*statements: str) -> Touch:
    def touch(loaded: Loaded) -> None:
        with duckdb.connect(str(loaded.data / "taxi.duckdb")) as db:
            for statement in statements:
                db.execute(statement)

    return touch


def spoil_parquet(loaded: Loaded) -> None:
    (parquet,) = loaded.data.glob("parquet/yellow/*.parquet")
    parquet.unlink()  # the folder store shares the file
    parquet.write_bytes(b"PAR1 not really PAR1")


def overwrite_object(loaded: Loaded) -> None:
    (there,) = loaded.data.glob("lake/yellow/*.parquet")
    there.unlink()
    there.write_bytes(b"another's")


def republish(loaded: Loaded) -> None:
    loaded.publisher.files["/yellow_tripdata_2020-01.csv"] = b"".join(MONTH.read_bytes().splitlines(True)[:101])
    loaded.run("--force", verb="download")


def nothing(_: Loaded) -> None:
    pass


# touched → options, environment, and the reasons of the steps that must run
TOUCHED: dict[str, tuple[Touch, list[str], dict[str, str], dict[str, str]]] = {
    "nothing": (nothing, [], {}, {}),
    "raw file deleted": (delete("raw"), [], {}, {}),
    "parquet deleted": (delete("parquet"), [], {}, {"parquetize": "the Parquet file is missing"}),
    "raw and parquet deleted": (
        delete("raw", "parquet"),
        [],
        {},
        {
            "download": "the raw file is gone and parquetize needs it",
            "parquetize": "the Parquet file is missing",
        },
    ),
    "parquet spoiled": (spoil_parquet, [], {}, {"parquetize": "the Parquet file was changed by someone else"}),
    "object deleted": (delete("lake"), [], {}, {"upload": "the store has no such object"}),
    "object overwritten": (
        overwrite_object,
        [],
        {},
        {"upload": "the object's bytes are not those of the Parquet file"},
    ),
    "table deleted": (delete("taxi.duckdb"), [], {}, {"load": "the table lacks the month"}),
    "month deleted": (
        sql("DELETE FROM yellow_tripdata"),
        [],
        {},
        {"load": "rows of the month are missing from the table, or too many"},
    ),
    "rows doubled": (
        sql("INSERT INTO yellow_tripdata FROM yellow_tripdata"),
        [],
        {},
        {"load": "rows of the month are missing from the table, or too many"},
    ),
    "month of another file": (
        sql("UPDATE _loads SET mark = 'another'"),
        [],
        {},
        {"load": "the table holds the month from another file"},
    ),
    "writer settings changed": (
        nothing,
        [],
        {"TAXI_INGEST_PARQUETIZE__COMPRESSION": "snappy"},
        {
            "parquetize": "the writer settings changed",
            "upload": "the object's bytes are not those of the Parquet file",
        },
    ),
    "published file changed": (
        republish,
        [],
        {},
        {
            "parquetize": "the file, its layout or the way it is read changed",
            "upload": "the object in the store has other rows",
            "load": "the table holds the month from another file",
        },
    ),
    "another warehouse": (nothing, ["--warehouse", "duckdb:other.duckdb"], {}, {"load": "the table lacks the month"}),
    "another store": (nothing, ["--store", "other"], {}, {"upload": "the store has no such object"}),
    "receipts of three steps deleted": (
        delete(f"{RECEIPTS}/parquetize.json", f"{RECEIPTS}/upload.json", f"{RECEIPTS}/load.json"),
        [],
        {},
        {},
    ),
    "another data directory": (nothing, ["--data-dir", "fresh"], {}, NEW),
    "forced": (nothing, ["--force"], {}, dict.fromkeys(NEW, "forced")),
}


@pytest.mark.parametrize("touched", TOUCHED)
def test_the_plan_names_the_true_reason_and_the_run_acts_on_it(loaded: Loaded, touched: str) -> None:
    touch, options, environment, reasons = TOUCHED[touched]
    touch(loaded)
    (planned,) = loaded.run(*options, verb="plan", **environment).document["parts"]
    will = {step: foreseen["why"] for step, foreseen in planned["steps"].items() if foreseen["action"] == "run"}
    assert will == reasons
    ran = loaded.run(*options, **environment)
    where = options if "--data-dir" in options else []
    attempts = loaded.look("history", ran.document["run"], *where)["attempts"]
    assert {attempt["step"]: attempt["why"] for attempt in attempts} == reasons


def test_what_hangs_on_a_file_still_to_come_is_a_maybe(loaded: Loaded) -> None:
    shutil.rmtree(loaded.data / "state")
    shutil.rmtree(loaded.data / "lake.marks")  # what an object carries would tell
    (planned,) = loaded.run(verb="plan").document["parts"]
    maybe = {"action": "maybe", "why": DEPENDS}
    assert planned["steps"] == {
        "download": {"action": "run", "why": "not downloaded yet"},
        **dict.fromkeys(("parquetize", "upload", "load"), maybe),
    }


def test_another_source_makes_the_later_steps_a_maybe(loaded: Loaded, publisher: Publisher) -> None:
    other = publisher.url + "/other_{month}.csv"
    (planned,) = loaded.run("--source", other, verb="plan").document["parts"]
    assert planned["steps"]["download"]["why"] == f"another source: {other}, before {publisher.template}"
    assert {planned["steps"][step]["action"] for step in ("parquetize", "upload", "load")} == {"maybe"}


def test_a_plan_touches_nothing(loaded: Loaded) -> None:
    def everything() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in loaded.data.parent.rglob("*")}

    before = everything()
    assert loaded.run("--month", "2020-02", "--dataset", "yellow,green", verb="plan").code == 0
    assert (everything(), loaded.publisher.requests) == (before, [])


def test_a_plan_in_an_empty_folder_leaves_it_empty(taxi: Command, tmp_path: Path) -> None:
    ran = taxi("plan", "--month", "2019-01..2021-12", "--dataset", "all")
    assert (ran.code, list(tmp_path.iterdir())) == (0, []), ran.err
    assert "yellow-2019-01..2021-07 (31 months) from csv" in ran.out


def test_the_plan_sums_what_the_catalog_knows(taxi: Command) -> None:
    document = taxi("plan", "--month", "2023-01..2023-02", "--source", "tlc", "--json").document
    assert document["rows"] == 3066766 + 2913955
    assert (
        document["download_bytes"] == sum(part["download_bytes"] for part in document["parts"]) == 47673370 + 47748012
    )
    assert document["disk_bytes"] > 2 * document["download_bytes"]
    assert document["disk_free"] > 0


def test_an_up_to_date_month_plans_no_bytes(loaded: Loaded) -> None:
    document = loaded.run(verb="plan").document
    assert (document["rows"], document["download_bytes"], document["disk_bytes"]) == (0, 0, 0)


def test_a_plan_can_be_made_while_a_run_is_on(loaded: Loaded) -> None:
    from filelock import FileLock

    with FileLock(loaded.data / "state" / "lock"):
        assert loaded.run(verb="plan").code == 0
