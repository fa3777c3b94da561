"""How far every step of every month is: a table a dataset, a line a year, a cell a month with a bar for each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taxi_ingest.catalog.months import MONTH_NAMES
from taxi_ingest.graph import STEPS
from taxi_ingest.page.facts import PartFacts
from taxi_ingest.page.markup import Markup, element, joined
from taxi_ingest.page.states import LOOKS, foremost, in_words


def grids(datasets: Mapping[str, Sequence[PartFacts]]) -> Markup:
    """The grid of every dataset, and what the signs mean."""
    figures = [_grid(dataset, parts) for dataset, parts in datasets.items()]
    return joined(element("div", figures, class_="side-by-side"), _legend())


def _grid(dataset: str, parts: Sequence[PartFacts]) -> Markup:
    months = {one.part.month: one for one in parts if one.part.month}
    if not months:
        return element("div", element("h3", dataset), *[_only_cell(one) for one in parts])
    head = element("tr", element("td"), [element("th", name[0], abbr=name, scope="col") for name in MONTH_NAMES])
    years = sorted({month[:4] for month in months})
    lines = [
        element(
            "tr",
            element("th", year, scope="row"),
            [_cell(months.get(f"{year}-{number:02d}")) for number in range(1, 13)],
        )
        for year in years
    ]
    table = element("table", element("thead", head), element("tbody", lines), class_="grid", aria_label=dataset)
    return element("div", element("h3", dataset), table)


def _only_cell(one: PartFacts) -> Markup:
    """The cell of a dataset without months."""
    table = element("tbody", element("tr", _cell(one)))
    return element("table", table, class_="grid one", aria_label=one.part.dataset)


def _cell(one: PartFacts | None) -> Markup:
    if one is None:
        return element("td")
    look = LOOKS[foremost(cell.state for cell in one.steps.values())]
    name = f"{one.part.month or one.part.dataset}: {in_words(one.steps)}"
    bars: list[Markup] = []
    if look.css != "done":
        bars = [element("i", class_=LOOKS[one.steps[step].state].css) for step in STEPS]
    link = element("a", look.sign, bars, href=f"#{one.part}", class_=look.css, aria_label=name)
    return element("td", link)


def _legend() -> Markup:
    signs = [
        element("span", element("b", look.sign, class_=look.css, aria_hidden="true"), f" {look.words}")
        for look in reversed(list(LOOKS.values()))
    ]
    steps = f"The four bars of a month stand for {', '.join(STEPS[:-1])} and {STEPS[-1]}."
    return element("p", signs, element("span", f"{steps} Arrow keys move between months."), class_="legend")
