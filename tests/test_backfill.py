"""Many months at once from a publisher that has a bad day."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from conftest import DATA, Answer, Command, Publisher, answer, query, serve
from passing import PASSING

YELLOW, GREEN = DATA / "yellow_tripdata_2019-06.csv", DATA / "green_tripdata_2019-02.csv"
MONTHS = [f"2019-{number:02d}" for number in range(1, 13)]
FAULTS = ("reset", "503", "slow", "throttled 403", "cut")


def slow(to: BaseHTTPRequestHandler, body: bytes) -> None:
    to.send_response(200)
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    for start in range(0, len(body), 20_000):
        to.wfile.write(body[start : start + 20_000])
        time.sleep(0.05)


def unsteady(body: bytes, fault: str) -> Answer:
    """A file whose first request meets `fault` ("" for none)."""
    asked: list[None] = []
    turn = threading.Lock()

    def respond(to: BaseHTTPRequestHandler) -> None:
        with turn:
            asked.append(None)
            first = len(asked) == 1
        if not first or not fault:
            serve(to, body)
        elif fault == "slow":
            slow(to, body)
        elif fault == "cut":
            to.send_response(200)
            to.send_header("ETag", '"1"')
            to.send_header("Content-Length", str(len(body)))
            to.end_headers()
            to.wfile.write(body[: len(body) // 2])
            to.close_connection = True
        else:
            PASSING[fault](to)

    return respond


def test_a_backfill_through_mixed_faults_loads_every_row_and_tells_each_retry(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    names = [f"/{path.name.partition('_')[0]}_tripdata_{month}.csv" for path in (YELLOW, GREEN) for month in MONTHS]
    faulty = dict(zip(random.Random(3).sample(names, len(FAULTS)), FAULTS, strict=True))
    for name in names:
        body = (YELLOW if "yellow" in name else GREEN).read_bytes()
        publisher.files[name] = unsteady(body, faulty.get(name, ""))
    ran = taxi(
        "run", "--month", "2019-01..2019-12", "--dataset", "yellow,green", "--source", publisher.template,
        "--jobs", "6", "--json", TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS="0.05",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert {outcome for steps in ran.steps for outcome in steps.values()} == {"done"}
    for path in (YELLOW, GREEN):
        rows = len(path.read_bytes().splitlines()) - 1
        table = f"{path.name.partition('_')[0]}_tripdata"
        counts = query(tmp_path / "data" / "taxi.duckdb", f"SELECT count(*) FROM {table} GROUP BY file_month")
        assert counts == [(rows,)] * 12
    attempts = taxi("history", "latest", "--json").document["attempts"]
    tries = Counter((attempt["dataset"], attempt["month"]) for attempt in attempts if attempt["step"] == "download")
    again = {f"/{dataset}_tripdata_{month}.csv" for (dataset, month), count in tries.items() if count > 1}
    assert again == {name for name, fault in faulty.items() if fault != "slow"}


def test_months_overlap_while_each_step_stays_within_its_limit(
    taxi: Command, publisher: Publisher, tmp_path: Path
) -> None:
    at_once: list[int] = []
    going = [0]
    turn = threading.Lock()

    def counted(to: BaseHTTPRequestHandler) -> None:
        with turn:
            going[0] += 1
            at_once.append(going[0])
        time.sleep(0.2)
        with turn:
            going[0] -= 1
        serve(to, YELLOW.read_bytes())

    publisher.everything = counted
    ran = taxi("run", "--month", "2019-01..2019-06", "--source", publisher.template, "--jobs", "6")
    assert ran.code == 0, ran.err
    assert max(at_once) == 2
    attempts = taxi("history", "latest", "--json").document["attempts"]
    first_load = min(one["started"] for one in attempts if one["step"] == "load")
    last_download = max(one["started"] for one in attempts if one["step"] == "download")
    assert first_load < last_download


def test_one_bad_part_does_not_stop_the_others(taxi: Command, publisher: Publisher, tmp_path: Path) -> None:
    for month in MONTHS[:4]:
        publisher.files[f"/yellow_tripdata_{month}.csv"] = YELLOW.read_bytes()
    publisher.files["/yellow_tripdata_2019-02.csv"] = lambda to: answer(to, 200, b"<html>oops</html>")
    ran = taxi("run", "--month", "2019-01..2019-04", "--source", publisher.template, "--json")
    assert ran.code == 1
    loads = {part["month"]: part["steps"]["load"] for part in ran.document["parts"]}
    assert loads == dict.fromkeys(MONTHS[:4], "done") | {"2019-02": "blocked"}
