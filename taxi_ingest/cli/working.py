"""The verbs that work: run, and the four steps."""

from __future__ import annotations

import gc
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from taxi_ingest import exits
from taxi_ingest.cli.options import (
    AllowEmpty,
    AsJson,
    Config,
    DataDir,
    DatasetName,
    Force,
    Given,
    Jobs,
    Month,
    NoDiskCheck,
    Quiet,
    Refresh,
    Source,
    Store,
    Strict,
    Wait,
    Warehouse,
)
from taxi_ingest.process import leave

if TYPE_CHECKING:
    from taxi_ingest.engine.session import Session
    from taxi_ingest.report.results import Hints


def command(verb: str) -> Callable[..., None]:
    """The command of one working verb: "run" or a step."""

    def work(  # noqa: PLR0913, PLR0917 - typer makes an option of each
        month: Month = None,
        dataset: DatasetName = None,
        source: Source = None,
        store: Store = None,
        warehouse: Warehouse = None,
        jobs: Jobs = None,
        force: Force = False,
        refresh: Refresh = False,
        strict: Strict = False,
        allow_empty: AllowEmpty = False,
        no_disk_check: NoDiskCheck = False,
        wait: Wait = False,
        config: Config = None,
        data_dir: DataDir = None,
        quiet: Quiet = False,
        as_json: AsJson = False,
    ) -> None:
        given = Given(
            month, dataset, source, store, warehouse, jobs, strict, wait, config, data_dir, quiet, allow_empty,
            no_disk_check, refresh,
        )  # fmt: skip
        raise typer.Exit(_work_or_stop(verb, given, force=force, as_json=as_json))

    return work


def keep(text: str, logs: Path) -> str:
    """Write a traceback to a log file in the folder `logs` and say where it is."""
    from taxi_ingest.redaction import redacted

    path = logs / f"bug-{time.strftime('%Y%m%dT%H%M%S')}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(redacted(text), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"its log could not be written to {path}, so here it is:\n{redacted(text)}"
    return f"its log is {path.resolve()}"


def _work_or_stop(verb: str, given: Given, *, force: bool, as_json: bool) -> int:
    """Work until done or interrupted."""
    from taxi_ingest import report

    try:
        return _work(verb, given, force=force, as_json=as_json)
    except KeyboardInterrupt:
        report.error("interrupted; what was finished stays finished")
        leave(exits.INTERRUPTED)


def _work(verb: str, given: Given, *, force: bool, as_json: bool) -> int:
    """Run the pipeline for `verb` and show what came of it; returns the exit code."""
    from taxi_ingest import report
    from taxi_ingest.engine import doit_tasks
    from taxi_ingest.engine.session import Session
    from taxi_ingest.job import make_job
    from taxi_ingest.report import results, views

    gc.set_threshold(100_000)  # thousands of tasks live to the end, and need not be looked through all the time
    settings = given.settings()
    quiet = settings.global_.quiet
    job, notices = make_job(settings, verb=verb, force=force, refresh=given.refresh)
    stream = sys.stderr if as_json else sys.stdout
    if not quiet and notices:
        report.say(report.console(stderr=as_json), notices)
    begun = time.monotonic()
    with views.view(stream, quiet=quiet) as view:
        request = given.request(verb, force=force, as_json=as_json)
        session = Session(job, view, request, wait=settings.global_.wait)
        doit_tasks.run(session)
    code = session.exit_code()
    if as_json:
        sys.stdout.write(json.dumps(_document(session, code), indent=2) + "\n")
    if quiet:
        asked_in_vain = session.notes if job.refresh else []  # by itself, the next run asks again
        news = results.notes(session.results(), but_not=session.told_before)
        if notes := [*asked_in_vain, *news]:  # else there is no need for a console
            report.say(report.console(stderr=as_json), notes)
    else:
        report.say(report.console(stderr=as_json), session.notes)
        out, took = report.console(stderr=as_json), time.monotonic() - begun
        results.summary(out, session.results(), took, _hints(session, verb, given))
    for bug in session.bugs:
        report.error(f"This is a bug in taxi-ingest; {keep(bug, job.layout.logs)}")
    return code


def _hints(session: Session, verb: str, given: Given) -> Hints:
    """What to type next."""
    from taxi_ingest.report.results import Hints

    see = f"See: taxi-ingest history latest{_same_data_dir(session, given)}"
    return Hints(see, f"{see} --failed", _preview(session, verb))


def _same_data_dir(session: Session, given: Given) -> str:
    """The options that make another verb look at the data directory of this run."""
    from taxi_ingest.job import layout_of

    options = ["--config", given.config] if given.config else []
    folder = session.job.layout.data_dir
    if layout_of(Given(config=given.config).settings()).data_dir != folder:
        near = folder.is_relative_to(Path.cwd()) and not folder.name.startswith("-")
        options += ["--data-dir", str(folder.relative_to(Path.cwd()) if near else folder)]
    return f" {shlex.join(options)}" if options else ""


def _preview(session: Session, verb: str) -> str:
    """The line that opens the first table that was loaded."""
    from taxi_ingest.catalog.reading import dataset
    from taxi_ingest.warehouses import open_warehouse

    loaded = [r.part for r in session.results() if r.steps.get("load") in {"done", "up_to_date"}]
    if verb not in {"run", "load"} or not loaded:
        return ""
    return open_warehouse(session.job.warehouse).preview_command(dataset(loaded[0].dataset).table)


def _document(session: Session, code: int) -> dict[str, object]:
    return {
        "run": session.run_id,
        "exit": code,
        "parts": [
            {
                "dataset": result.part.dataset,
                "month": result.part.month,
                "source": result.source,
                "rows": result.rows,
                "rejects": result.rejects,
                "steps": result.steps,
                "notes": [*result.news, *result.notes],
            }
            for result in session.results()
        ],
        "notes": session.notes,
    }
