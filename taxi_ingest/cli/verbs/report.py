"""The verb `report`: writes the page."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from taxi_ingest.cli.options import OUTPUT, Config, DataDir, Given, Store, Warehouse, file_to_write, flag, valued

if TYPE_CHECKING:
    from taxi_ingest.layout import Layout
    from taxi_ingest.page.facts import Past

Open = Annotated[bool, flag("--open", help="Show it in a browser.", group=OUTPUT)]
Output = Annotated[
    str | None,
    valued(
        "--output",
        metavar="FILE",
        help="Write it to this file instead of report.html in the data directory.",
        group=OUTPUT,
    ),
]


def report(
    open_: Open = False,
    output: Output = None,
    store: Store = None,
    warehouse: Warehouse = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Write one HTML file with everything that is there and that happened; it needs no network to be read."""
    from taxi_ingest.files import write_text
    from taxi_ingest.job import job_for
    from taxi_ingest.page.document import BEGINNING, document
    from taxi_ingest.page.facts import gather
    from taxi_ingest.printable import printable
    from taxi_ingest.report import console
    from taxi_ingest.report.past import nothing_yet
    from taxi_ingest.state.observe import Observer

    settings = Given(store=store, warehouse=warehouse, config=config, data_dir=data_dir).settings()
    job = job_for(settings, ())
    facts = gather(job, Observer.impatient(job, "this disk"), _past(job.layout), datetime.now(UTC))
    if not facts.parts and not facts.runs:
        nothing_yet(console(), job.layout.data_dir)
        return
    path = file_to_write(Path(output).absolute() if output else job.layout.page, settings, begins=BEGINNING.encode())
    write_text(path, document(facts, _way(path.parent, job.layout.data_dir)))
    sys.stdout.write(f"{printable(str(path)) if sys.stdout.isatty() else path}\n")
    if open_:
        _show(path)


def _past(layout: Layout) -> Past:
    """What the history holds; where it cannot be read, receipts and this disk tell what is done."""
    from taxi_ingest.engine.holder import history_of
    from taxi_ingest.errors import HistoryError
    from taxi_ingest.page.facts import Past, read_past
    from taxi_ingest.report import error as complain

    try:
        with history_of(layout) as past:
            return read_past(past)
    except HistoryError as error:
        complain(str(error))
        return Past()


def _way(folder: Path, data_dir: Path) -> str:
    """How to get from `folder` to the data directory, with slashes."""
    from taxi_ingest.errors import UsageError

    try:
        return Path(os.path.relpath(data_dir, folder)).as_posix()
    except ValueError:
        message = f"The page leads to logs in {data_dir}. Write it to a file on the same drive."
        raise UsageError(message) from None


def _show(path: Path) -> None:
    import webbrowser

    from taxi_ingest.errors import TaxiError

    if not webbrowser.open(path.as_uri()):
        raise TaxiError(f"No browser could be started here. Open {path} in one.")
