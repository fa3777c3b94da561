"""Parts and steps as doit tasks, and what doit tells us while it runs them.

Four of doit's defaults are changed: processes instead of threads, captured output, a group run breadth-first, and a
stop at the first failure. `doit_database` takes the place of its memory.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from doit.cmd_base import ModuleTaskLoader
from doit.cmd_run import Run
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidTask, TaskFailed, UnmetDependency

from taxi_ingest import exits
from taxi_ingest.catalog import Part
from taxi_ingest.engine.doit_database import NothingChanges
from taxi_ingest.engine.holder import locked_if_used
from taxi_ingest.engine.session import Session
from taxi_ingest.errors import LockedError
from taxi_ingest.graph import STEPS, Step, before
from taxi_ingest.layout import Layout
from taxi_ingest.printable import printable
from taxi_ingest.state.on_disk import is_original
from taxi_ingest.state.receipts import Receipts

log = logging.getLogger("taxi_ingest")


def run(session: Session) -> None:
    """Run the job of `session`; outcomes are in it afterwards.

    Raises LockedError when another run holds the lock, KeyboardInterrupt when stopped.
    """
    reporter = Reporter(session)
    if not session.job.parts:
        _only_record(session)
        return
    targets = session.job.targets
    command = ["run", *(f"{step}:*" for step in STEPS if step in targets)]
    loader = ModuleTaskLoader(namespace(session, reporter))
    crashes: list[Exception] = []

    class RunAndTell(Run):  # type: ignore[misc]
        """doit's `run`; what is raised comes back to us, where doit would print it and go on."""

        name = "run"

        def parse_execute(self, in_args: list[str]) -> int:
            """Run the tasks."""
            try:
                return int(super().parse_execute(in_args))
            except Exception as error:  # noqa: BLE001 - raised again below
                crashes.append(error)
                return exits.FAILED

    class Doit(DoitMain):  # type: ignore[misc]
        DOIT_CMDS = (RunAndTell,)

    Doit(loader, config_filenames=()).run(command)
    for error in (reporter.refusal, *crashes):
        if error is not None:
            raise error
    if reporter.said:
        session.bugs.append("\n".join(["doit stopped before its end, and said:", *reporter.said]))


def _only_record(session: Session) -> None:
    """Let a run without parts, of which nobody could tell the newest month, stand in the history."""
    try:
        session.begin()
    finally:
        session.end()


def namespace(session: Session, reporter: Reporter) -> dict[str, Any]:
    """What a dodo file holds: doit's settings and one task creator a step."""
    job = session.job
    steps = job.steps
    config = {
        "default_tasks": [f"{steps[-1]}:*"],
        "backend": "receipts",
        "dep_file": str(job.layout.doit_database),
        "check_file_uptodate": NothingChanges,
        "reporter": reporter,
        "continue": True,
        "par_type": "thread",
        "num_process": job.jobs,
        "verbosity": 0,
    }
    return {"DOIT_CONFIG": config} | {f"task_{step}": _creator(session, step) for step in steps}


def _creator(session: Session, step: Step) -> Callable[[], Iterator[dict[str, Any]]]:
    def create() -> Iterator[dict[str, Any]]:
        for part in session.job.parts:
            yield _task(session, part, step)

    create.__doc__ = _SUMMARIES[step]
    return create


_SUMMARIES: dict[Step, str] = {
    "download": "(web) → raw file",
    "parquetize": "raw file → Parquet in the canonical schema",
    "upload": "Parquet → object in the store",
    "load": "file or object → month of the table",
}


def _task(session: Session, part: Part, step: Step) -> dict[str, Any]:
    layout, needed = session.job.layout, before(step)
    return {
        "name": str(part),
        "actions": [(_do, [session, part, step])],
        "file_dep": [layout.receipt(part, needed)] if needed else [],
        "targets": [layout.receipt(part, step)],  # files may be pruned; `_UpToDate` looks at them
        "uptodate": [_UpToDate(session, part, step)],
        "clean": [(_clean, [layout, part, step])],
        "io": {"capture": False},
        "verbosity": 0,
        "meta": {"part": part, "step": step},
    }


def _do(session: Session, part: Part, step: Step) -> TaskFailed | None:
    failure = session.do(part, step)
    return TaskFailed(failure) if failure else None


class _UpToDate:
    """doit's question whether a task is up to date, answered from receipts and what is there."""

    __signature__: ClassVar[inspect.Signature] = inspect.Signature()  # doit inspects it once a task; this is quick

    def __init__(self, session: Session, part: Part, step: Step) -> None:
        self._ask = (session, part, step)

    def __call__(self) -> bool:
        session, part, step = self._ask
        try:
            return session.decision(part, step).action == "up_to_date"
        except Exception:  # the step decides again, and there an error fails that step alone and is shown
            log.debug("cannot tell whether %s %s is up to date", part, step, exc_info=True)
            return False

    def __repr__(self) -> str:
        session, part, step = self._ask
        decision = session.decision(part, step)
        return printable(f"{decision.action}: {decision.why}") if decision.why else decision.action


def _clean(layout: Layout, part: Part, step: Step, dryrun: bool) -> None:
    """Remove a step's local files; never objects or rows. Ends doit with exit 75 while a run is at work on them."""
    try:
        with contextlib.nullcontext() if dryrun else locked_if_used(layout, wait=False, announce=lambda _: None):
            _remove_files(layout, part, step, dryrun=dryrun)
    except LockedError as error:
        sys.stderr.write(printable(f"{error}\n"))
        raise SystemExit(exits.LOCKED) from None


def _remove_files(layout: Layout, part: Part, step: Step, *, dryrun: bool) -> None:
    downloaded = Receipts(layout).of(part).download
    raw = [layout.data_dir / downloaded.file] if downloaded else []
    files = {
        "download": [path for path in raw if not is_original(path, downloaded)],
        "parquetize": [layout.parquet(part), layout.rejects(part)],
    }.get(step, [])
    for path in [*files, Path(layout.receipt(part, step))]:
        if path.exists():
            sys.stdout.write(printable(f"{step}:{part} - removing file '{path}'\n"))
            if not dryrun:
                path.unlink()


class Reporter:
    """What doit calls while it runs; passes everything on to the session."""

    desc = "taxi-ingest's own"

    def __init__(self, session: Session, *, plain_doit: bool = False) -> None:
        self.refusal: Exception | None = None
        self.said: list[str] = []
        self._session = session
        self._plain_doit = plain_doit

    def initialize(self, _tasks: Any, _selected: Any) -> None:
        """Open the run; when that fails, doit ends it before any task and the caller finds the reason here."""
        try:
            self._session.begin()
        except Exception as error:
            self.refusal = error
            raise InvalidTask(str(error)) from error

    def skip_uptodate(self, task: Any) -> None:
        """Doit found a task up to date."""
        if not task.has_subtask:
            self._session.skipped(task.meta["part"], task.meta["step"])

    def add_failure(self, task: Any, failure: Any) -> None:
        """A task failed, or could not run because one before it did."""
        if not task.has_subtask and isinstance(failure, UnmetDependency):
            self._session.blocked(task.meta["part"], task.meta["step"])

    def runtime_error(self, message: str) -> None:
        """Doit gives up: because the run could not begin, or because of a fault in our tasks."""
        self.said.append(message)
        if self._plain_doit:
            sys.stderr.write(printable(f"{message}\n"))
            raise SystemExit(exits.LOCKED if isinstance(self.refusal, LockedError) else exits.USAGE)

    def complete_run(self) -> None:
        """Do what had to wait, and close the run, also an interrupted one."""
        try:
            self._session.finish()
        finally:
            self._session.end()

    def get_status(self, task: Any) -> None:
        """Nothing to tell."""

    execute_task = add_success = skip_ignore = teardown_task = cleanup_error = get_status
