"""The verb `plan`, and --dry-run of the verbs that work: what they would do, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from taxi_ingest import exits
from taxi_ingest.cli.documents import part_fields, print_json
from taxi_ingest.cli.options import (
    AsJson,
    Config,
    DataDir,
    DatasetName,
    Force,
    Given,
    Month,
    Refresh,
    Source,
    Store,
    Strict,
    Warehouse,
)

if TYPE_CHECKING:
    from taxi_ingest.state.plan import Plan


def plan(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    month: Month = None,
    dataset: DatasetName = None,
    source: Source = None,
    store: Store = None,
    warehouse: Warehouse = None,
    force: Force = False,
    refresh: Refresh = False,
    strict: Strict = False,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Foresee `run` with the same options."""
    given = Given(
        month=month, dataset=dataset, source=source, store=store, warehouse=warehouse, strict=strict, config=config,
        data_dir=data_dir, refresh=refresh,
    )  # fmt: skip
    raise typer.Exit(show_plan("run", given, force=force, as_json=as_json))


def show_plan(verb: str, given: Given, *, force: bool, as_json: bool) -> int:
    """Show the plan of `verb` and do nothing; returns the exit code."""
    from taxi_ingest import report
    from taxi_ingest.job import make_job, ping_of
    from taxi_ingest.report import plans
    from taxi_ingest.state.plan import make_plan

    settings = given.settings()
    ping_of(settings)  # refused here as a run would refuse it
    job, notices = make_job(settings, verb=verb, force=force, refresh=given.refresh, tell=report.tell)
    planned = make_plan(job)
    report.say(report.console(stderr=as_json), notices)
    if as_json:
        print_json(_document(planned))
    else:
        plans.plan(report.console(), planned)
    for name, sentence in job.unanswered.items():
        report.error(f"{name}: {sentence}")
    return exits.FAILED if job.unanswered or (given.refresh and planned.refreshed.unanswered) else exits.OK


def _document(planned: Plan) -> dict[str, object]:
    parts = [
        part_fields(one.part)
        | {
            "source": one.source,
            "rows": one.rows,
            "download_bytes": one.download_bytes,
            "disk_bytes": one.disk_bytes,
            "cloud_bytes": asdict(one.cloud),
            "steps": {step: asdict(foreseen) for step, foreseen in one.steps.items()},
        }
        for one in planned.parts
    ]
    sums = {name: getattr(planned, name) for name in ("rows", "download_bytes", "disk_bytes", "disk_free")}
    refreshed = planned.refreshed
    cloud = {"cloud_bytes": asdict(planned.cloud), "costs": list(planned.costs)}
    gone = [part_fields(part) | {"note": note} for part, note in refreshed.gone.items()]
    asked = {"asked": refreshed.asked, "gone": gone, "unanswered": refreshed.unanswered}
    disks = [asdict(disk) for disk in planned.disks]
    return {"parts": parts} | sums | cloud | {"disks": disks, "refresh": asked, "refusals": planned.refusals}
