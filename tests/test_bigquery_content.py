"""`verify --content`: the values of months in BigQuery, at a cost that is said before it arises."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Any

import pytest
from conftest import Cloud, Ran

TABLE = "$.yellow_tripdata"
MONTH = "file_month = DATE '2019-02-01'"
ONE = f"{MONTH} AND total_amount = (SELECT MAX(total_amount) FROM {TABLE} WHERE {MONTH})"


def anew(table: str, columns: str) -> str:
    """A statement that makes a table anew; the server miscounts rows after an UPDATE."""
    return f"CREATE OR REPLACE TABLE {table} AS SELECT {columns} FROM {table}"


def findings(ran: Ran) -> list[tuple[str, str, str]]:
    """Month, copy and what is wrong, of every finding."""
    document = ran.document
    return [(one["month"], one["copy"], one["wrong"]) for part in document["parts"] for one in part["findings"]]


def answered(cloud: Cloud, answer: str) -> tuple[Any, str]:
    """The document, and all that was said, of `verify --content` on a terminal where somebody answers."""
    command = [sys.executable, "-m", "taxi_ingest", "verify", *cloud.places, "--content", "--json"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        cwd=cloud.folder,
        env={**os.environ, **cloud.environment},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as asked:
        os.write(ours, f"{answer}\n".encode())
        out, err = asked.communicate(timeout=240)
    os.close(ours)
    os.close(theirs)
    return Ran(asked.returncode, out.decode(), err.decode()).document, err.decode()


def test_two_months_as_they_were_loaded_are_intact_and_no_staging_table_stays_behind(cloud: Cloud) -> None:
    cloud.run("yellow")
    cloud.run("yellow", month="2019-06")
    ran = cloud.verify("--content", "--yes")
    assert (ran.code, [part["copies"]["table"] for part in ran.document["parts"]]) == (0, ["intact", "intact"]), ran.err
    assert [table.table_id for table in cloud.client.list_tables(cloud.name)] == ["_loads", "yellow_tripdata"]


def test_a_table_without_months_is_compared_too(cloud: Cloud) -> None:
    cloud.run("zones")
    assert cloud.verify("--content", "--yes").document["parts"][0]["copies"]["table"] == "intact"
    cloud.ask(anew("$.taxi_zone_lookup", "* REPLACE (IF(LocationID = 1, 'Nowhere', Zone) AS Zone)"))
    assert findings(cloud.verify("--content", "--yes")) == [
        (None, "table", "has other values than the Parquet in Zone")
    ]


@pytest.mark.parametrize(
    ("harm", "wrong"),
    [
        (
            anew(TABLE, f"* REPLACE (IF({ONE}, tip_amount + 0.01, tip_amount) AS tip_amount)"),
            "has other values than the Parquet in tip_amount",
        ),
        (f"INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE {ONE}", "rows, and"),
    ],
)
def test_a_change_behind_our_back_is_found_in_its_month_alone_and_mended(cloud: Cloud, harm: str, wrong: str) -> None:
    cloud.run("yellow")
    cloud.run("yellow", month="2019-06")
    before = cloud.ask(f"SELECT COUNT(*), SUM(tip_amount) FROM {TABLE}")
    cloud.ask(harm)
    ran = cloud.verify("--content", "--yes", "--repair")
    ((month, copy, said),) = findings(ran)
    assert (month, copy, wrong in said) == ("2019-02", "table", True), said
    assert (ran.code, cloud.ask(f"SELECT COUNT(*), SUM(tip_amount) FROM {TABLE}")) == (0, before), ran.err


def test_the_cost_is_said_and_refused_where_nobody_can_agree(cloud: Cloud) -> None:
    cloud.run("yellow")
    ran = cloud.verify("--content")
    assert (ran.code, ran.out) == (2, "")
    assert "bills at most 21.0 MB: $0.0001" in ran.err
    assert "Add --yes, or leave --content out" in ran.err


@pytest.mark.parametrize(("answer", "table", "billed"), [("y", "intact", 20 << 20), ("n", "counted", 0)])
def test_whoever_is_asked_decides(cloud: Cloud, answer: str, table: str, billed: int) -> None:
    cloud.run("yellow")
    document, said = answered(cloud, answer)
    assert (document["parts"][0]["copies"]["table"], document["bytes_billed_at_most"]) == (table, billed), said
    assert "bills at most 21.0 MB" in said


def test_a_row_of_a_month_that_no_load_recorded_is_found_without_any_cost(cloud: Cloud) -> None:
    cloud.run("yellow")
    cloud.ask(f"INSERT INTO {TABLE} (VendorID, file_month) VALUES (1, DATE '2030-01-01')")
    assert findings(cloud.verify()) == [
        (None, "table", "has 1 rows that no load recorded, with file_month = DATE '2030-01-01'")
    ]
