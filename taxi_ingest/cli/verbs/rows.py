"""The verb `rows`: how many rows each month has in the warehouse."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from taxi_ingest.cli.documents import part_fields, print_json
from taxi_ingest.cli.opening import opened_warehouse
from taxi_ingest.cli.options import AsJson, Config, DataDir, Given, HeldDataset, HeldMonth, Warehouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taxi_ingest.state.counts import Counted


def rows(
    month: HeldMonth = None,
    dataset: HeldDataset = None,
    warehouse: Warehouse = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how many rows each month has in the warehouse, beside how many TLC's file has."""
    from dataclasses import asdict

    from taxi_ingest import report
    from taxi_ingest.asked import chosen, datasets_named
    from taxi_ingest.job import layout_of
    from taxi_ingest.report import counts
    from taxi_ingest.report.past import where_the_demo_is
    from taxi_ingest.state.counts import count_months

    settings = Given(warehouse=warehouse, config=config, data_dir=data_dir).settings()
    opened = opened_warehouse(settings)
    counted: list[Counted] = list(count_months(opened, datasets_named(",".join(dataset or ["all"]))))
    wanted = set(chosen([one.part for one in counted], months=month or [], datasets=dataset or []))
    found = [one for one in counted if one.part in wanted]
    if as_json:
        months = [part_fields(one.part) | _without_part(asdict(one)) for one in found]
        print_json({"months": months, "rows": sum(one.rows for one in found)})
    else:
        place, layout = str(opened.place), layout_of(settings)
        if not found:
            held = [one.part for one in counted]
            report.say(
                report.console(), counts.nothing(place, held) + ([] if held else where_the_demo_is(layout.data_dir))
            )
            return
        counts.months(report.console(), found)
        report.say(report.console(), counts.missing(_not_there(month or [], dataset or [], found)))


def _not_there(months: list[str], names: list[str], found: Sequence[Counted]) -> dict[str, tuple[int, list[str]]]:
    """Of each dataset how many months were asked for, and those of them that are not among what was found."""
    from taxi_ingest.asked import datasets_named
    from taxi_ingest.catalog.months import parse_months

    named = ",".join(names) or ",".join({one.part.dataset: None for one in found})
    missing = {}
    for known in datasets_named(named):
        held = {one.part.month for one in found if one.part.dataset == known.name}
        newest = max((month for month in held if month), default="")
        asked = [month for month in parse_months(months, functools.partial(str, newest)) if month >= known.first]
        if known.monthly and (left := [month for month in asked if month not in held]):
            missing[known.name] = len(asked), left
    return missing


def _without_part(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name != "part"}
