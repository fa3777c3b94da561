"""`taxi-ingest report`: the page says what receipts, history and status say."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import unquote

import pytest
from conftest import Command, Loaded
from page.reading import Element, read

from taxi_ingest.catalog import Part
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import Receipts


def page_of(path: Path) -> Element:
    return read(path.read_text(encoding="utf-8"))


def line_of(page: Element, part: str) -> dict[str, str]:
    """What the table of every part says of one, by its headings."""
    table = next(one for one in page.all("table") if any(row.attributes.get("id") == part for row in one.all("tr")))
    headings = [heading.text for heading in table.one("thead").all("th")]
    cells = [cell.text.strip() for cell in table.one("tr", id=part).children]
    return dict(zip(headings, cells, strict=True))


@pytest.fixture
def reported(loaded: Loaded) -> Element:
    """A page over a month that is loaded and one that failed."""
    loaded.run("--month", "2020-02")
    ran = loaded.taxi("report")
    assert (ran.code, ran.out, ran.err) == (0, f"{loaded.data / 'report.html'}\n", "")
    return page_of(loaded.data / "report.html")


def test_the_numbers_are_those_of_the_receipts(loaded: Loaded, reported: Element) -> None:
    receipts = Receipts(Layout(loaded.data)).of(Part("yellow", "2020-01"))
    assert receipts.parquetize is not None
    assert receipts.load is not None
    shown = line_of(reported, "yellow-2020-01")
    assert (shown["rows"], shown["rejects"]) == (f"{receipts.parquetize.rows:,}", f"{receipts.parquetize.rejects:,}")
    tiles = {tile.children[1].text: tile.children[0].text for tile in reported.one("ul", **{"class": "tiles"}).children}
    assert (tiles["rows in the table"], tiles["parts done"]) == (f"{receipts.load.rows:,}", "1 of 2")


def test_the_grid_is_that_of_status(loaded: Loaded, reported: Element) -> None:
    grid = reported.one("table", **{"aria-label": "yellow"})
    assert [(one.attributes["aria-label"], one.attributes["href"]) for one in grid.all("a")] == [
        ("2020-01: done", "#yellow-2020-01"),
        ("2020-02: download failed; parquetize, upload, load not done", "#yellow-2020-02"),
    ]


def test_what_failed_stands_with_its_reason_and_the_end_of_its_log(loaded: Loaded, reported: Element) -> None:
    trouble = reported.one("ul", **{"class": "trouble"})
    assert [item.one("a", href="#yellow-2020-02").text for item in trouble.children] == ["yellow-2020-02"]
    (failed,) = (a for a in loaded.look("history", "latest", "--failed")["attempts"])
    assert failed["error"] in trouble.text
    log = (loaded.data / failed["log"]).read_text()
    assert log.endswith(trouble.one("pre").text.lstrip("…"))


@pytest.mark.parametrize("output", ["data/report.html", "elsewhere/deeper/page.html"])
def test_every_attempt_of_the_history_is_a_click_from_its_log(loaded: Loaded, output: str) -> None:
    loaded.run("--month", "2020-02")
    path = loaded.data.parent / output
    assert loaded.taxi("report", "--output", output).code == 0
    links = {unquote(one.attributes["href"] or "") for one in page_of(path).all("a")}
    logs = [
        attempt["log"]
        for one in loaded.look("history")["runs"]
        for attempt in loaded.look("history", one["run"])["attempts"]
    ]
    assert len(logs) == 5
    reached = {os.path.normpath(path.parent / link) for link in links if not link.startswith("#")}
    assert reached == {str(loaded.data / log) for log in logs}


def test_runs_are_listed_newest_first_with_what_was_asked_for(loaded: Loaded, reported: Element) -> None:
    runs = loaded.look("history")["runs"]
    table = reported.one("div", **{"aria-label": "list of runs"}).one("tbody")
    assert [one.text for one in table.all("code")] == [run["request"] for run in runs]
    assert [line.children[2].text for line in table.children] == ["✕ failed", "✓ ok"]


def test_the_warehouse_that_is_named_is_looked_at(loaded: Loaded) -> None:
    assert loaded.taxi("report", "--warehouse", "duckdb:data/other.duckdb").code == 0
    grid = page_of(loaded.data / "report.html").one("table", **{"aria-label": "yellow"})
    assert grid.one("a").attributes["aria-label"] == ("2020-01: download, parquetize, upload done; load out of date")


def test_a_damaged_history_is_told_and_the_page_shows_what_receipts_say(loaded: Loaded) -> None:
    (loaded.data / "state" / "history.sqlite").write_bytes(b"no database" * 1000)
    ran = loaded.taxi("report")
    assert (ran.code, "history.sqlite" in ran.err) == (0, True), ran.err
    assert line_of(page_of(loaded.data / "report.html"), "yellow-2020-01")["state"] == "✓ done"


def test_a_run_at_work_is_shown_as_running(loaded: Loaded, reported: Element) -> None:
    from filelock import FileLock

    with sqlite3.connect(loaded.data / "state" / "history.sqlite") as db:
        db.execute("UPDATE runs SET ended = NULL, exit = NULL WHERE rowid = 2")
    with FileLock(loaded.data / "state" / "lock"):
        assert loaded.taxi("report").code == 0
    tiles = page_of(loaded.data / "report.html").one("ul", **{"class": "tiles"})
    assert "▸ running" in tiles.text


def test_where_nothing_was_done_no_page_is_written(taxi: Command, tmp_path: Path) -> None:
    ran = taxi("report")
    assert (ran.code, list(tmp_path.iterdir())) == (0, [])
    assert "Nothing has been done in" in ran.out


def test_open_shows_it_in_the_browser(loaded: Loaded, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/shown\n')
    browser.chmod(0o755)
    ran = loaded.taxi("report", "--open", BROWSER=str(browser))
    assert (ran.code, (tmp_path / "shown").read_text()) == (0, f"{(loaded.data / 'report.html').as_uri()}\n")


def test_open_without_a_browser_says_where_the_page_is(loaded: Loaded, tmp_path: Path) -> None:
    ran = loaded.taxi("report", "--open", PATH=str(tmp_path), DISPLAY="", WAYLAND_DISPLAY="", BROWSER="")
    assert (ran.code, f"Open {loaded.data / 'report.html'} in one" in ran.err) == (1, True), ran.err


def test_a_hostile_file_name_and_log_line_stand_as_text(taxi: Command, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    (tmp_path / f"{name}_2020-01.csv").write_text("<script>alert(2)</script>\n1\n", encoding="utf-8")
    taxi("run", "--month", "2020-01", "--source", f"file://{tmp_path}/{name}_{{month}}.csv")
    assert taxi("report").code == 0
    page = page_of(tmp_path / "data" / "report.html")
    assert [one.name for one in page.all() if one.name in {"script", "img"}] == ["script"]
    trouble = page.one("ul", **{"class": "trouble"})
    assert name in trouble.one("pre").text
