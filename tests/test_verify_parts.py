"""Which parts `verify`, `clean` and `status` look at: those with receipts that --month and --dataset name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA, Command, Ran

from taxi_ingest.catalog import Part
from taxi_ingest.report import console
from taxi_ingest.report.verdicts import summary
from taxi_ingest.verification import Checked, Verdict

FILES = f"{DATA.as_uri()}/{{dataset}}_tripdata_{{month}}.csv"


def held(taxi: Command, *parts: tuple[str, str]) -> None:
    """Load these parts."""
    for dataset, month in parts:
        ran = taxi("run", "--dataset", dataset, "--month", month, "--source", FILES)
        assert ran.code == 0, ran.err


def looked_at(ran: Ran) -> list[tuple[str, str]]:
    return [(part["dataset"], part["month"]) for part in ran.document["parts"]]


def test_a_month_is_looked_at_in_every_dataset_that_holds_it(taxi: Command) -> None:
    held(taxi, ("green", "2019-02"), ("yellow", "2019-02"), ("yellow", "2020-01"))
    assert looked_at(taxi("verify", "--month", "2019-02", "--json")) == [("green", "2019-02"), ("yellow", "2019-02")]
    assert looked_at(taxi("verify", "--dataset", "green", "--json")) == [("green", "2019-02")]
    assert looked_at(taxi("status", "--month", "2019-02", "--json")) == [("green", "2019-02"), ("yellow", "2019-02")]


@pytest.mark.parametrize("verb", ["verify", "status"])
def test_latest_is_the_newest_that_is_held_of_each_dataset(taxi: Command, verb: str) -> None:
    held(taxi, ("green", "2019-02"), ("yellow", "2019-02"), ("yellow", "2020-01"))
    assert looked_at(taxi(verb, "--month", "latest", "--json")) == [("green", "2019-02"), ("yellow", "2020-01")]
    assert looked_at(taxi(verb, "--month", "2019-03..latest", "--json")) == [("yellow", "2020-01")]


def test_clean_knows_the_newest_held_month_too(taxi: Command) -> None:
    held(taxi, ("yellow", "2019-02"), ("yellow", "2020-01"))
    ran = taxi("clean", "--parquet", "--month", "latest", "--dry-run", "--json")
    assert [file["month"] for file in ran.document["files"]] == ["2020-01"]


def test_where_nothing_is_looked_at_verify_does_not_end_0(taxi: Command) -> None:
    held(taxi, ("green", "2019-02"))
    for named in (["--month", "2020-02"], ["--dataset", "yellow", "--month", "latest"]):
        ran = taxi("verify", *named)
        assert (ran.code, "only of green-2019-02." in ran.err) == (2, True), ran.err


def test_a_month_that_is_none_is_refused_where_nothing_is_held(taxi: Command) -> None:
    ran = taxi("verify", "--month", "2020-13")
    assert (ran.code, "is not a month" in ran.err) == (2, True)


def test_a_database_that_is_in_use_is_told_in_one_sentence(taxi: Command, tmp_path: Path) -> None:
    held(taxi, ("yellow", "2020-01"))
    hold = "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(tmp_path / "data" / "taxi.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        holder.stdout.readline()
        ran = taxi("verify", "--json")
        holder.communicate("")
    (finding,) = ran.document["left"]
    sentence = f"{finding['wrong']}; {finding['remedy']}."
    assert sentence.endswith("). Close it and run again; then verify again.")


@pytest.mark.parametrize(
    ("parts_with_findings", "said"),
    [(0, "1 finding in 0 of 2 parts and in rows that are of no part"), (1, "2 findings in 1 of 2 parts and in rows")],
)
def test_rows_of_no_part_are_counted_as_no_part(
    parts_with_findings: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Checked.present("table", "a table", "has too many rows")
    found = [(wrong,) if number < parts_with_findings else () for number in range(2)]
    verdicts = [Verdict(Part("yellow", f"2020-0{n + 1}"), checked) for n, checked in enumerate(found)]
    summary(console(), [*verdicts, Verdict(Part("yellow"), (wrong,))], 0.1, repairs=False)
    assert said in capsys.readouterr().out
