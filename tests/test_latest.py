"""`latest`: the newest month that the publisher has."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MONTH, Command, Publisher, answer
from dates import months_ago


def months(taxi: Command, *arguments: str) -> list[str]:
    ran = taxi("plan", *arguments, "--json", TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS="0")
    assert ran.code == 0, ran.err
    return [f"{part['dataset']} {part['month']}" for part in ran.document["parts"]]


def test_latest_is_the_newest_month_that_is_there(taxi: Command, publisher: Publisher) -> None:
    for number in (3, 4, 7):
        publisher.files[f"/yellow_tripdata_{months_ago(number)}.csv"] = MONTH.read_bytes()
    assert months(taxi, "--month", "latest", "--source", publisher.template) == [f"yellow {months_ago(3)}"]


def test_a_range_goes_up_to_the_latest_of_each_dataset(taxi: Command, publisher: Publisher) -> None:
    publisher.files[f"/yellow_tripdata_{months_ago(2)}.csv"] = b""
    publisher.files[f"/green_tripdata_{months_ago(3)}.csv"] = b""
    found = months(
        taxi, "--month", f"{months_ago(3)}..latest", "--dataset", "yellow,green", "--source", publisher.template
    )
    assert found == [f"yellow {months_ago(3)}", f"yellow {months_ago(2)}", f"green {months_ago(3)}"]


def test_nothing_is_fetched_to_find_it(taxi: Command, publisher: Publisher) -> None:
    publisher.files[f"/yellow_tripdata_{months_ago(2)}.csv"] = MONTH.read_bytes()
    months(taxi, "--month", "latest", "--source", publisher.template)
    assert [path[-11:-4] for path in publisher.requests] == [months_ago(0), months_ago(1), months_ago(2)]
    assert publisher.methods == ["HEAD"] * 3


def test_a_source_that_ended_has_its_last_month_as_latest(taxi: Command) -> None:
    assert months(taxi, "--month", "latest", "--source", "csv") == ["yellow 2021-07"]


def test_the_demos_latest_is_the_last_it_can_make_up(taxi: Command) -> None:
    assert months(taxi, "--month", "latest", "--source", "demo") == ["yellow 2022-02"]


def test_copies_on_this_disk_have_a_latest_too(taxi: Command, tmp_path: Path) -> None:
    (tmp_path / f"yellow_{months_ago(5)}.csv").write_bytes(MONTH.read_bytes())
    source = f"file://{tmp_path}/{{dataset}}_{{month}}.csv"
    assert months(taxi, "--month", "latest", "--source", source) == [f"yellow {months_ago(5)}"]


def test_a_publisher_that_stumbles_is_asked_again(taxi: Command, publisher: Publisher) -> None:
    asked: list[int] = []

    def stumble(to: object) -> None:
        asked.append(1)
        answer(to, 503 if len(asked) == 1 else 200, b"")  # type: ignore[arg-type]

    publisher.everything = stumble
    assert months(taxi, "--month", "latest", "--source", publisher.template) == [f"yellow {months_ago(0)}"]


@pytest.mark.parametrize(("status", "sentence"), [(404, "has none of the last 24 months"), (500, "answered 500")])
def test_where_there_is_none_the_reason_is_said(
    taxi: Command, publisher: Publisher, status: int, sentence: str
) -> None:
    publisher.everything = lambda to: answer(to, status, b"")
    ran = taxi("run", "--month", "latest", "--source", publisher.template, TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS="0")
    assert (ran.code, sentence in ran.err) == (1, True), ran.err


def test_a_range_that_begins_after_the_latest_holds_nothing(taxi: Command, publisher: Publisher) -> None:
    publisher.files[f"/yellow_tripdata_{months_ago(3)}.csv"] = b""
    ran = taxi("run", "--month", f"{months_ago(2)}..latest", "--source", publisher.template)
    assert (ran.code, "no month" in ran.err) == (2, True), ran.err
