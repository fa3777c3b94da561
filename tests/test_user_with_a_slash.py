"""`https://token/part@host`: a user that a slash cuts in two is taken for no host, and never shown or kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Command

from taxi_ingest.place import Place

CUT_IN_TWO = [
    ("--source", "https://left22secret/right33secret@127.0.0.1:9/{dataset}_{month}.csv"),
    ("--source", "HTTP://left22secret/right33secret@127.0.0.1:9/{dataset}_{month}.csv"),
    ("--source", "https://left22secret/a/right33secret@example.org/{dataset}_{month}.csv"),
    ("--store", "s3://left22secret/right33secret@bucket/trips"),
    ("--warehouse", "postgresql://left22secret/right33secret@127.0.0.1/db"),
    ("--warehouse", "bigquery://left22secret/right33secret@my-project/taxi"),
]


@pytest.mark.parametrize(("option", "address"), CUT_IN_TWO)
def test_it_is_refused_without_being_quoted(taxi: Command, tmp_path: Path, option: str, address: str) -> None:
    ran = taxi("run", option, address, "--month", "2021-01")
    assert (ran.code, "write @ as %40, / as %2F" in ran.err) == (2, True), ran.err
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    said = [(ran.out + ran.err).encode(), *kept]
    assert not [text for text in said if b"left22secret" in text or b"right33secret" in text]


@pytest.mark.parametrize(
    "address",
    [
        "https://cdn.example.org/npm/trips@1.2/{dataset}_{month}.csv",
        "http://localhost/a@b/{dataset}_{month}.csv",
        "file:///copies/a@b/{dataset}_{month}.csv",
        "gs://bucket/trips@night",
    ],
)
def test_an_at_in_the_path_of_a_host_is_a_path(address: str) -> None:
    assert Place.parse(address).shown == address
