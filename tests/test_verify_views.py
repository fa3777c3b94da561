"""`verify` of a view over the store (load.method = external): a month is judged by its own file."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import DATA, Command, Ran, query

MONTHS = ("2019-02", "2020-01", "2020-07")
EXTERNAL = {"TAXI_INGEST_LOAD__METHOD": "external"}


class Shown:
    """Three months in a view, and the command line."""

    def __init__(self, taxi: Command, folder: Path) -> None:
        self.taxi = taxi
        self.data = folder / "data"
        files = f"{DATA.as_uri()}/{{dataset}}_tripdata_{{month}}.csv"
        ran = taxi("run", "--month", ",".join(MONTHS), "--source", files, **EXTERNAL)
        assert ran.code == 0, ran.err

    def verify(self, *more: str) -> Ran:
        return self.taxi("verify", *more, **EXTERNAL)

    def object(self, month: str) -> Path:
        return self.data / "lake" / "yellow" / f"yellow_tripdata_{month}.parquet"

    @property
    def rows(self) -> list[tuple[int, ...]]:
        return query(self.data / "taxi.duckdb", "SELECT count(*) FROM yellow_tripdata GROUP BY file_month ORDER BY 1")


@pytest.fixture
def shown(taxi: Command, tmp_path: Path) -> Shown:
    return Shown(taxi, tmp_path)


def lose(file: Path) -> None:
    file.unlink()


def damage(file: Path) -> None:
    content = file.read_bytes()
    file.unlink()  # it may be a link to the Parquet file
    file.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("spoil", [lose, damage])
def test_a_spoilt_object_is_one_finding_and_the_other_months_are_compared(shown: Shown, spoil: object) -> None:
    spoil(shown.object("2020-01"))  # type: ignore[operator]
    document = shown.verify("--json").document
    (finding,) = document["left"]
    assert (finding["month"], finding["copy"], finding["step"]) == ("2020-01", "object", "upload")
    tables = {part["month"]: part["copies"]["table"] for part in document["parts"]}
    assert tables == {"2019-02": "intact", "2020-01": "counted", "2020-07": "intact"}


@pytest.mark.parametrize("spoil", [lose, damage])
def test_a_repair_of_a_spoilt_object_ends_0(shown: Shown, spoil: object) -> None:
    before = shown.rows
    spoil(shown.object("2020-01"))  # type: ignore[operator]
    ran = shown.verify("--repair", "--json")
    assert (ran.code, ran.document["left"], shown.rows) == (0, [], before), ran.err
    assert shown.verify().code == 0


def test_each_finding_is_one_line(shown: Shown) -> None:
    for month in MONTHS:
        lose(shown.object(month))
    found = shown.verify().out.splitlines()
    assert [line.split()[2] for line in found[:-1]] == [f"yellow-{month}" for month in MONTHS]
    assert "3 findings in 3 of 3 parts" in found[-1]
