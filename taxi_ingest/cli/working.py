"""The verbs that work: run, and the four steps."""

from __future__ import annotations

import gc
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from taxi_ingest import exits
from taxi_ingest.cli.documents import print_json
from taxi_ingest.cli.options import (
    AllowEmpty,
    AsJson,
    Config,
    DataDir,
    DatasetName,
    Force,
    Given,
    Jobs,
    JsonLine,
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


Form = Literal["words", "document", "line"]
"""How the result is told: in words, or as JSON on several lines or on one."""


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
        json_line: JsonLine = False,
    ) -> None:
        given = Given(
            month, dataset, source, store, warehouse, jobs, strict, wait, config, data_dir, quiet, allow_empty,
            no_disk_check, refresh,
        )  # fmt: skip
        form: Form = "line" if json_line else "document" if as_json else "words"
        raise typer.Exit(_work_or_stop(verb, given, force=force, form=form))

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


def _work_or_stop(verb: str, given: Given, *, force: bool, form: Form) -> int:
    """Work until done or interrupted."""
    from taxi_ingest import report

    try:
        return _work(verb, given, force=force, form=form)
    except KeyboardInterrupt:
        report.error("interrupted; what was finished stays finished")
        leave(exits.INTERRUPTED)


def _work(verb: str, given: Given, *, force: bool, form: Form) -> int:
    """Run the pipeline for `verb` and show what came of it; returns the exit code."""
    from taxi_ingest import report
    from taxi_ingest.engine import doit_tasks
    from taxi_ingest.engine.session import Session
    from taxi_ingest.job import make_job
    from taxi_ingest.report import views

    gc.set_threshold(100_000)  # thousands of tasks live to the end, and need not be looked through all the time
    settings = given.settings()
    quiet, as_json = settings.global_.quiet, form != "words"
    request = given.request(verb, force=force, as_json=as_json)
    job, notices = make_job(settings, verb=verb, force=force, refresh=given.refresh)
    if not quiet and notices:
        report.say(report.console(stderr=as_json), notices)
    begun = time.monotonic()
    with views.view(sys.stderr if as_json else sys.stdout, quiet=quiet) as view:
        session = Session(job, view, request, wait=settings.global_.wait)
        doit_tasks.run(session)
    code = session.exit_code()
    if as_json:
        print_json(_document(session, code), on_one_line=form == "line")
    _tell(session, verb, time.monotonic() - begun, given, quiet=quiet, as_json=as_json)
    for bug in session.bugs:
        report.error(f"This is a bug in taxi-ingest; {keep(bug, job.layout.logs)}")
    return code


def _tell(session: Session, verb: str, seconds: float, given: Given, *, quiet: bool, as_json: bool) -> None:
    """Say what came of a run; when `quiet`, only what is new."""
    from taxi_ingest import report
    from taxi_ingest.report import results

    if not session.job.parts:  # nobody told the newest month, and none is held
        report.error(" ".join(session.complaints))
        return
    if not quiet:
        out = report.console(stderr=as_json)
        report.say(out, session.notes)
        results.summary(out, session.results(), seconds, _hints(session, verb, given))
        return
    news = results.notes(session.results(), but_not=session.told_before)
    if notes := [*session.complaints, *news]:  # else there is no need for a console
        report.say(report.console(stderr=as_json), notes)


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
