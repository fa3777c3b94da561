"""The verb `run`, and those of the four steps, which work in the same way."""

from __future__ import annotations

import gc
import inspect
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from taxi_ingest import exits, report
from taxi_ingest.cli import bugs, telling
from taxi_ingest.cli.documents import part_fields, print_json
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
    OnFailure,
    Quiet,
    Refresh,
    Source,
    Store,
    Strict,
    Wait,
    Warehouse,
    WouldDo,
)
from taxi_ingest.cli.verbs.plan import show_plan
from taxi_ingest.process import leave

if TYPE_CHECKING:
    from taxi_ingest.engine.session import Session
    from taxi_ingest.report.results import Hints
    from taxi_ingest.settings import Settings


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
        on_failure: OnFailure = None,
        config: Config = None,
        data_dir: DataDir = None,
        quiet: Quiet = False,
        as_json: AsJson = False,
        json_line: JsonLine = False,
        dry_run: WouldDo = False,
    ) -> None:
        given = Given(
            month=month, dataset=dataset, source=source, store=store, warehouse=warehouse, jobs=jobs, strict=strict,
            wait=wait, config=config, data_dir=data_dir, quiet=quiet, allow_empty=allow_empty,
            no_disk_check=no_disk_check, refresh=refresh, on_failure=on_failure,
        )  # fmt: skip
        form: Form = "line" if json_line else "document" if as_json else "words"
        if dry_run:
            raise typer.Exit(show_plan(verb, given, force=force, as_json=form != "words"))
        raise typer.Exit(_work_or_stop(verb, given, force=force, form=form))

    return _with_options_of(verb, work)


_NOT_USED: dict[str, set[str]] = {
    "download": {"store", "warehouse", "strict", "allow_empty"},
    "parquetize": {"store", "warehouse"},
    "upload": {"warehouse"},
}
"""Options that mean nothing to a step and those before it."""


def _with_options_of(verb: str, work: Callable[..., None]) -> Callable[..., None]:
    """`work` as typer shall see it: without the options that `verb` does not use."""
    whole = inspect.signature(work, eval_str=True)
    used = [one for name, one in whole.parameters.items() if name not in _NOT_USED.get(verb, set())]
    work.__signature__ = whole.replace(parameters=used)  # type: ignore[attr-defined]
    return work


def _work_or_stop(verb: str, given: Given, *, force: bool, form: Form) -> int:
    """Work until done or interrupted."""
    try:
        return _work(verb, given, force=force, form=form)
    except KeyboardInterrupt:
        report.error("interrupted; what was finished stays finished")
        leave(exits.INTERRUPTED)


def _work(verb: str, given: Given, *, force: bool, form: Form) -> int:
    """Run the pipeline for `verb`, show what came of it and tell others; returns the exit code."""
    gc.set_threshold(100_000)  # thousands of tasks live to the end, and need not be looked through all the time
    settings = given.settings()
    request = given.request(verb, force=force, as_json=form != "words")
    outside = telling.outside(settings)
    begun = time.monotonic()
    try:
        session = _session(verb, given, settings, request, force=force, form=form)
    except Exception as error:
        telling.refused(outside, request, time.monotonic() - begun, error)
        raise
    code, seconds = session.exit_code(), time.monotonic() - begun
    if form != "words":
        print_json(_document(session, code), on_one_line=form == "line")
    _tell(session, verb, given, seconds, quiet=settings.global_.quiet, as_json=form != "words")
    for bug in session.bugs:
        report.error(bugs.kept(bug, session.job.layout.logs))
    telling.ended(outside, session, request, seconds)
    return code


def _session(verb: str, given: Given, settings: Settings, request: str, *, force: bool, form: Form) -> Session:
    """The run, once it has ended."""
    from taxi_ingest.engine import doit_tasks
    from taxi_ingest.engine.session import Session
    from taxi_ingest.job import make_job
    from taxi_ingest.report import views

    quiet, as_json = settings.global_.quiet, form != "words"
    tell = _say_nothing if quiet else report.tell
    job, notices = make_job(settings, verb=verb, force=force, refresh=given.refresh, tell=tell)
    if not quiet and notices:
        report.say(report.console(stderr=as_json), notices)
    with views.view(sys.stderr if as_json else sys.stdout, quiet=quiet) as view:
        session = Session(job, view, request, wait=settings.global_.wait)
        doit_tasks.run(session)
    return session


def _say_nothing(_: str) -> None:
    pass


def _tell(session: Session, verb: str, given: Given, seconds: float, *, quiet: bool, as_json: bool) -> None:
    """Say what came of a run; when `quiet`, only what is new."""
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
            part_fields(result.part)
            | {
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
