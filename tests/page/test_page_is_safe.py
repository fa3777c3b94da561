"""The page as text: whole, in bounds, without a way out, and inert whatever stands in names, logs and notes."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from page.made_up import attempt, everything, facts, failed, hostile, part
from page.reading import Element, read

from taxi_ingest.catalog import Part
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.page.document import document
from taxi_ingest.page.markup import element, local_link
from taxi_ingest.state.status import Cell

SHOWN = "</pre></script><script>alert(1)</script><img src=x onerror='alert(2)'>\"'&\ufffd\ufffd\ufffd"


def links(page: Element) -> list[str]:
    return [one.attributes["href"] or "" for one in page.all("a")]


def test_every_element_closes_in_order_and_no_id_comes_twice() -> None:
    page = read(document(everything(60)))
    ids = [one.attributes["id"] for one in page.all() if "id" in one.attributes]
    assert len(ids) == len(set(ids)) > 240


def test_487_months_of_four_datasets_stay_below_2_mb() -> None:
    assert len(document(everything(487)).encode()) < 2_000_000


def test_487_months_that_are_all_out_of_date_stay_below_2_mb() -> None:
    """As they are after a change of the catalog."""
    stale: dict[Step, Cell] = {step: Cell("stale" if step != "download" else "done", "it changed") for step in STEPS}
    made = everything(487)
    made = replace(made, parts=[replace(one, steps=stale) for one in made.parts])
    assert len(document(made).encode()) < 2_000_000


def test_hostile_text_is_shown_and_makes_no_element() -> None:
    page = read(document(hostile()))
    assert [one.name for one in page.all() if one.name in {"script", "style", "img", "iframe", "object"}] == [
        "style",
        "script",
    ]
    assert page.one("pre").text == SHOWN
    assert page.one("code").text == SHOWN
    assert (
        page.text.count(SHOWN) == 8
    )  # store, warehouse, error, log, outcome, request, note of the run, note of the part


def test_hostile_text_makes_no_attribute_and_no_link_elsewhere() -> None:
    page = read(document(hostile()))
    names = {name for one in page.all() for name in one.attributes}
    assert {name for name in names if name.startswith("on") or name in {"src", "style", "action"}} == set()
    assert {urlsplit(link).scheme for link in links(page)} == {""}


def test_the_page_fetches_nothing() -> None:
    text = document(everything(24))
    assert re.findall(r"https?:|url\(|@import|\bfetch\b|XMLHttpRequest", text) == []
    assert {one.name for one in read(text).all()} & {
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
    } == set()


def test_the_policy_lets_only_its_own_style_and_script_work() -> None:
    page = read(document(everything(1)))
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"] or ""
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": f"'{_hash(page.one('style').text)}'",
        "script-src": f"'{_hash(page.one('script').text)}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def test_no_colour_tells_alone() -> None:
    page = read(document(facts([failed(Part("yellow", "2021-01"), "no"), part("yellow", "2021-02")])))
    grid = page.one("table", **{"aria-label": "yellow"})
    assert [(one.text, one.attributes["aria-label"]) for one in grid.all("a")] == [
        ("✕", "2021-01: download done; parquetize failed; upload, load not done"),
        ("✓", "2021-02: done"),
    ]


def test_every_try_leads_to_its_log() -> None:
    of = Part("yellow", "2021-01")
    tries = tuple(replace(attempt(of, "load", 5), attempt=number, log=f"logs/a b#{number}.log") for number in (2, 1))
    page = read(document(facts([replace(part("yellow", "2021-01"), attempts=tries)]), "../data"))
    assert [unquote(link) for link in links(page) if "logs" in link] == [
        "../data/logs/a b#2.log",
        "../data/logs/a b#1.log",
    ]


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_comes_back_as_it_was_but_for_what_cannot_be_shown(text: str) -> None:
    (made,) = read(element("p", text, title=text)).children
    for shown in (made.text, made.attributes["title"]):
        assert shown is not None
        assert len(shown) == len(text)
        assert all(now in {was, "\ufffd"} for was, now in zip(text, shown, strict=True))


@given(st.text())
def test_no_path_becomes_the_address_of_another_place(path: str) -> None:
    link = urlsplit(local_link(path).lstrip("/"))
    assert (link.scheme, link.netloc, link.query, link.fragment) == ("", "", "", "")
