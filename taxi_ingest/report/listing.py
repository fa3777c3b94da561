"""Settings, checks and the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text

from taxi_ingest.catalog import Dataset, Part, Source
from taxi_ingest.place import Check
from taxi_ingest.report import lines, say
from taxi_ingest.report.fitting import table, wrapped

if TYPE_CHECKING:
    from rich.console import Console


class Setting(NamedTuple):
    """A setting in force, where it came from, and the environment variable that sets it."""

    name: str
    value: object
    origin: str
    variable: str


def settings(out: Console, items: Sequence[Setting]) -> None:
    """The settings in force, a line each."""
    rows = [(item.name, _toml(item.value), item.origin, item.variable) for item in items]
    wide = [("setting", "value", "from", "or set"), *rows]
    if max(map(len, table(wide, None))) <= out.width or not out.is_terminal:
        lines(out, wide)
        return
    lines(out, [row[:3] for row in wide])
    name, *_, variable = rows[0]
    say(out, [f"Each may also be set in the environment: {name} as {variable}, and so on."])


def checks(out: Console, found: Sequence[Check]) -> None:
    """A line for each check: whether it is ok, and its sentence."""
    for check in found:
        word, colour = ("ok", "bright_green") if check.ok else ("wrong", "bright_red")
        text = Text(wrapped(out, f"{word:5} {check.sentence}", indent=6))
        text.stylize(colour, 0, len(word))
        out.print(text)


def catalog(out: Console, datasets: Sequence[Dataset], sources: Sequence[Source], *, columns: bool) -> None:
    """What is published: per dataset its table, sources and layouts, and its columns when they are asked for."""
    for known in datasets:
        heading = Text(wrapped(out, f"{known.name}  {known.title}; table {known.table}"))
        heading.stylize("bold", 0, len(known.name))
        out.print(heading)
        lines(out, [("source", "months", "format"), *_coverage(known, sources)])
        vintages = [(v.name, _span(v.first, v.last), f"{len(v.columns)}", v.quirks) for v in known.vintages]
        lines(out, [("vintage", "months", "columns", "quirks"), *vintages])
        if columns:
            named = [(c.name, c.type, c.unit, c.since, c.meaning) for c in known.columns]
            lines(out, [("column", "type", "unit", "since", "meaning"), *named])


def _coverage(known: Dataset, sources: Sequence[Source]) -> list[tuple[str, ...]]:
    covered: list[tuple[str, ...]] = []
    for source in sources:
        if known.name in source.months:
            covered.append((source.name, _span(*source.months[known.name]), source.format))
        elif known.name in source.files:
            covered.append((source.name, "no months", source.format_of(Part(known.name))))
    return covered


def _span(first: str, last: str) -> str:
    return f"{first}..{last}" if first else ""


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
