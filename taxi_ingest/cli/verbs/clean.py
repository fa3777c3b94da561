"""The verb `clean`: removes files that can be made again, and those that no part owns."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from taxi_ingest.cli.asking import agreed, check_terminal
from taxi_ingest.cli.documents import part_fields, print_json
from taxi_ingest.cli.options import (
    AsJson,
    Config,
    DataDir,
    DryRun,
    Given,
    HeldDataset,
    HeldMonth,
    Orphans,
    Parquet,
    Raw,
    Store,
    Wait,
    Warehouse,
    Yes,
)

if TYPE_CHECKING:
    from taxi_ingest.engine.cleaning import Findings
    from taxi_ingest.graph import Artefact


def clean(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    raw: Raw = False,
    parquet: Parquet = False,
    orphans: Orphans = False,
    month: HeldMonth = None,
    dataset: HeldDataset = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    store: Store = None,
    warehouse: Warehouse = None,
    wait: Wait = False,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what may go, ask, and remove it; what was removed counts as done."""
    from taxi_ingest import report
    from taxi_ingest.asked import chosen
    from taxi_ingest.engine import cleaning
    from taxi_ingest.engine.holder import locked_if_used
    from taxi_ingest.job import job_for
    from taxi_ingest.report import cleanings
    from taxi_ingest.state.observe import Observer, known_parts

    artefacts: list[Artefact] = [*(("raw",) if raw else ()), *(("parquet",) if parquet else ())]
    _check(artefacts, orphans=orphans, chosen=bool(month or dataset), asks=not (dry_run or yes))
    settings = Given(store=store, warehouse=warehouse, wait=wait, config=config, data_dir=data_dir).settings()
    job = job_for(settings, ())
    removed = False
    with (
        contextlib.nullcontext()
        if dry_run
        else locked_if_used(job.layout, wait=settings.global_.wait, announce=report.tell)
    ):
        observer = Observer(job, "everything")
        parts = chosen(known_parts(job, ()), months=month or [], datasets=dataset or []) if artefacts else []
        findings = cleaning.look(job, observer, parts, artefacts, orphans=orphans)
        out = report.console(stderr=as_json)
        cleanings.findings(out, findings, job.layout.data_dir)
        if findings.removable and not dry_run and (yes or agreed("Remove them?")):
            cleaning.remove(job, observer, findings)
            removed = True
        cleanings.verdict(out, findings, removed=removed)
    if as_json:
        print_json(_document(findings, removed=removed))


def _check(artefacts: list[Artefact], *, orphans: bool, chosen: bool, asks: bool) -> None:
    """Raise UsageError for what makes no sense together, and where nobody can be asked."""
    from taxi_ingest.errors import UsageError

    if not artefacts and not orphans:
        raise UsageError("Remove what? Name --raw, --parquet or --orphans; with --dry-run it is only shown.")
    if orphans and chosen:
        raise UsageError("Orphans belong to no month. Leave --month and --dataset out, or --orphans.")
    if asks:
        check_terminal("clean asks before it removes files, and no terminal is there to ask. Add --dry-run or --yes.")


def _document(findings: Findings, *, removed: bool) -> dict[str, object]:
    return {
        "removed": removed,
        "files": [
            {"kind": one.kind}
            | part_fields(one.part)
            | {"path": str(one.path), "bytes": one.bytes, "frees": one.frees, "why": one.why}
            for one in findings.removable
        ],
        "kept": [{"kind": one.kind} | part_fields(one.part) | {"why": one.why} for one in findings.kept],
        "unknown": [str(path) for path in findings.unknown],
        "notes": list(findings.notes),
        "bytes": findings.bytes,
        "frees": findings.frees,
    }
