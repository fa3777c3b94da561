"""Cloud Storage: a 200 that is none of the API's is told and tried again, and a listing without an end is ended."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import LoopbackHandler, serving
from odd_answers import misshapen
from scripted_gcs import Scripted, described, scripted

from taxi_ingest.errors import TaxiError, TransientError
from taxi_ingest.place import Place
from taxi_ingest.stores import Store, open_store

NAME = "trips/a.parquet"
OBJECT = described(NAME, "00000000", 7, "m1")[1]
GRANTED = {"permissions": ["storage.objects.get", "storage.buckets.get"]}


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 0.1)
    with scripted() as google:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)
        yield google


@pytest.fixture
def store() -> Store:
    return open_store(Place.parse("gs://demo-bucket"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"content")
    return tmp_path / "a"


@pytest.mark.parametrize(
    ("usual", "use"),
    [
        ({"items": [OBJECT]}, lambda store, _: store.held("trips/")),
        (OBJECT, lambda store, file: store.put(file, NAME, mark="m1", facts={})),
        (OBJECT, lambda store, file: store.get(NAME, file)),
        (GRANTED, lambda store, _: list(store.checks())),
    ],
    ids=["held", "put", "get", "checks"],
)
def test_a_200_of_another_shape_is_no_bug(
    google: Scripted, store: Store, small: Path, usual: Any, use: Callable[[Store, Path], object]
) -> None:
    google.script["POST"] = [(200, OBJECT)]
    google.script["DELETE"] = [(200, {})]
    told = 0
    for shape in misshapen(usual):
        google.script["GET"] = [(200, shape)]
        try:
            use(store, small)
        except TaxiError:
            told += 1
    assert told or usual is GRANTED  # whose sentences are its answer


TOLD = r"gs://demo-bucket answered with something else than its API does\. .* wants a sign-in, may answer in its place"


def test_it_is_told_as_what_it_may_be_and_may_be_gone_next_time(google: Scripted, store: Store) -> None:
    google.script["GET"] = [(200, ["welcome"])]
    with pytest.raises(TransientError, match=TOLD):
        store.held("trips/")


def test_a_log_in_page_is_told_so_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class LogIn(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            self.send_response(200)
            self.send_header("Content-Length", "15")
            self.end_headers()
            self.wfile.write(b"<html>sign in!<")

    with serving(LogIn) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        with pytest.raises(TransientError, match=TOLD):
            store.held("trips/")


@pytest.mark.parametrize("items", [[OBJECT], []], ids=["objects", "nothing"])
def test_a_listing_whose_pages_name_the_same_next_one_is_given_up(
    google: Scripted, store: Store, items: list[Any]
) -> None:
    google.script["GET"] = [(200, {"items": items, "nextPageToken": "next"})]
    with pytest.raises(TransientError, match=r"page by page comes to no end\. Run again"):
        store.held("trips/")


def test_a_listing_whose_pages_go_on_for_ever_is_given_up(
    google: Scripted, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taxi_ingest.google_cloud.MOST_PAGES", 20)
    page = functools.partial(dict, items=[OBJECT])
    google.script["GET"] = [(200, page(nextPageToken=str(number))) for number in range(30)]
    with pytest.raises(TransientError, match="comes to no end"):
        store.held("trips/")


def test_a_listing_of_several_pages_is_whole(google: Scripted, store: Store) -> None:
    pages = [{"items": [described(f"trips/{number}", "00000000", 7, "m1")[1]]} for number in range(3)]
    google.script["GET"] = [(200, {**pages[0], "nextPageToken": "1"}), (200, {**pages[1], "nextPageToken": "2"})]
    google.script["GET"].append((200, pages[2]))
    assert sorted(store.held("trips/")) == ["trips/0", "trips/1", "trips/2"]
