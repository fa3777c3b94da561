"""The plan: months with the same work stand together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from taxi_ingest.report import say, words
from taxi_ingest.report.fitting import wrapped
from taxi_ingest.sources import DEMO, is_demo
from taxi_ingest.state.plan import Cloud, Plan, PlannedPart
from taxi_ingest.state.refresh import Refreshed

if TYPE_CHECKING:
    from rich.console import Console

_LOOKS = {"run": "bright_green", "maybe": "bright_yellow", "up_to_date": "dim"}


def plan(out: Console, planned: Plan) -> None:
    """What would run and why, then the sums."""
    for _, alike in groupby(planned.parts, key=_work):
        _group(out, list(alike))
    refreshed = planned.refreshed
    say(out, [*_refreshed(refreshed), *refreshed.unanswered])
    say(out, [f"  {part}: {note}" for part, note in refreshed.gone.items()])
    say(out, [_total(planned), *_cloud(planned.cloud), *planned.costs])
    for sentence in planned.refusals:
        out.print(Text(wrapped(out, f"The load will be refused: {sentence}"), "bright_red"))
    for disk in planned.disks:
        if not disk.fits:
            sizes = f"{words.size(disk.needs)} is more than the {words.size(disk.free)} that are free"
            remedy = "Take fewer months, or another --data-dir."
            out.print(Text(wrapped(out, f"{sizes} on the disk of {disk.folder}. {remedy}"), "bright_red"))


def _total(planned: Plan) -> str:
    """All parts, and what there is to do for them."""
    parts = words.count(len(planned.parts), "part")
    idle = sum(part.idle for part in planned.parts)
    if idle == len(planned.parts):
        return f"{parts}, up to date: nothing to do."
    up_to_date = f", {idle:,} up to date" if idle else ""
    return (
        f"{parts}{up_to_date}; about {words.rows(planned.rows)} rows, "
        f"{words.size(planned.download_bytes)} to download, {words.size(planned.disk_bytes)} of disk, "
        f"{words.size(planned.disk_free)} free."
    )


def _cloud(cost: Cloud) -> Iterator[str]:
    """What others keep and bill, in a line; none when nothing goes to them."""
    told = (
        (cost.uploaded, "to upload and keep in the store"),
        (cost.stored, "to keep in the warehouse"),
        (cost.billed, "at most billed by its queries"),
    )
    if amounts := [f"{words.size(amount)} {what}" for amount, what in told if amount]:
        yield f"cloud: about {', '.join(amounts)}."


def _refreshed(refreshed: Refreshed) -> Iterator[str]:
    """What publishers were asked and said, in a line; none when nobody was asked."""
    if refreshed.asked:
        untold = f", {len(refreshed.untold):,} not told" if refreshed.untold else ""
        gone = f", {len(refreshed.gone):,} no longer there" if refreshed.gone else ""
        files = words.count(refreshed.asked, "published file")
        yield f"asked about {files}, fetched none: {len(refreshed.changed):,} changed{untold}{gone}"


def _work(one: PlannedPart) -> tuple[object, ...]:
    return one.part.dataset, _publisher(one), list(one.steps.items())


def _publisher(one: PlannedPart) -> str:
    return DEMO if is_demo(one.source) else one.source


def _group(out: Console, alike: Sequence[PlannedPart]) -> None:
    first, last = alike[0].part, alike[-1].part
    name = str(first) if first == last else f"{first}..{last.month}"
    months = f" ({len(alike)} months)" if len(alike) > 1 else ""
    if alike[0].idle:
        out.print(f"{name}{months}: up to date", markup=False)
        return
    rows, size = sum(one.rows for one in alike), sum(one.download_bytes for one in alike)
    amounts = (f"about {words.rows(rows)} rows" if rows else "", f"{words.size(size)} to download" if size else "")
    worth = ", ".join(amount for amount in amounts if amount) or "size not known"
    say(out, [f"{name}{months} from {_publisher(alike[0])}: {worth}"])
    for step, foreseen in alike[0].steps.items():
        word = foreseen.action.replace("_", " ")
        line = Text(wrapped(out, f"  {step:10}  {word:10}  {foreseen.why}", indent=24))
        line.stylize(_LOOKS[foreseen.action], 14, 24)
        out.print(line)
