"""Parts × steps as doit tasks, and what doit tells us while it runs them. The only importer of doit.

Five of doit's defaults would hurt: its state is written at the end of a run only (here receipts are the state, and
doit's own database holds nothing), processes instead of threads, captured output, a group run breadth-first, and a
stop at the first failure.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from doit.cmd_base import ModuleTaskLoader
from doit.dependency import FileChangedChecker
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidTask, TaskFailed, UnmetDependency
from filelock import FileLock, Timeout

from taxi_ingest import __version__
from taxi_ingest.catalog import Part
from taxi_ingest.errors import LockedError, NotPublishedError, TaxiError, UsageError
from taxi_ingest.history import History, Outcome, PartResult
from taxi_ingest.receipts import STEPS
from taxi_ingest.runner import Runner, View

log = logging.getLogger("taxi_ingest")

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_BUG, EXIT_NOT_PUBLISHED, EXIT_LOCKED, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 75, 130


class Session:
    """One run under way: the lock, the history, and how every step ended."""

    def __init__(self, runner: Runner, view: View, request: str, *, wait: bool) -> None:
        self.runner = runner
        self.view = view
        self.outcomes: dict[tuple[Part, str], Outcome] = {}
        self.messages: dict[tuple[Part, str], str] = {}
        self.bugs: list[str] = []
        self.run_id = ""
        self._seconds: Counter[Part] = Counter()
        self._request = request
        self._wait = wait
        self._open = contextlib.ExitStack()
        self._history: History | None = None

    def begin(self) -> None:
        """Take the lock and open the run in the history. Raises LockedError, or UsageError for a mixed-up table."""
        pipeline = self.runner.pipeline
        pipeline.state.mkdir(parents=True, exist_ok=True)
        self._open.enter_context(_lock(pipeline.state / "lock", wait=self._wait))
        self._open.enter_context(_terminate_like_interrupt())
        self._open.callback(self.runner.close)
        self.runner.online = True
        _sweep(pipeline.data_dir)
        _refuse_demo_among_real(self.runner)
        self._history = History(pipeline.state / "history.sqlite", pipeline.data_dir / "logs")
        self._open.callback(self._history.close)
        self.run_id = self._history.begin(self._request, __version__)

    def end(self) -> None:
        """Write how every step ended and let the lock go; safe to call when `begin` failed."""
        if self._history is not None and self.run_id:
            interrupted = sys.exc_info()[0] is KeyboardInterrupt
            self._history.end(self.outcomes, EXIT_INTERRUPTED if interrupted else self.exit_code())
        self._open.close()

    def do(self, part: Part, step: str) -> TaskFailed | None:
        """Run one step. What goes wrong is kept here and told to doit as a failure, which stops nothing else."""
        assert self._history is not None
        begun = time.monotonic()
        try:
            self._ended(part, step, self.runner.run(part, step, self._history, self.view), "")
        except NotPublishedError as error:
            self._ended(part, step, "not_published", str(error))
        except TaxiError as error:
            self._ended(part, step, "failed", str(error))
        except Exception as error:  # noqa: BLE001 - the edge: a bug in one step must not stop the others
            self.bugs.append(traceback.format_exc())
            self._ended(part, step, "failed", f"a bug in taxi-ingest: {type(error).__name__}: {error}")
        else:
            return None
        finally:
            self._seconds[part] += time.monotonic() - begun  # steps of one part never overlap
        return TaskFailed(self.messages[part, step])

    def skipped(self, part: Part, step: str) -> None:
        """A step was up to date without being looked at more closely."""
        self._ended(part, step, "up_to_date", "")

    def blocked(self, part: Part, step: str) -> None:
        """A step could not run because one before it did not succeed."""
        before = self.outcomes.get((part, STEPS[STEPS.index(step) - 1]))
        self._ended(part, step, "not_published" if before == "not_published" else "blocked", "")

    def exit_code(self) -> int:
        """The exit code these outcomes make."""
        outcomes = set(self.outcomes.values())
        if self.bugs:
            return EXIT_BUG
        if outcomes & {"failed", "blocked"}:
            return EXIT_FAILED
        return EXIT_NOT_PUBLISHED if "not_published" in outcomes else EXIT_OK

    def results(self) -> list[PartResult]:
        """What came of every part, in the order asked for."""
        return [self._result(part) for part in self.runner.pipeline.parts]

    def _result(self, part: Part) -> PartResult:
        receipts = self.runner.receipts
        steps = {step: self.outcomes[part, step] for step in STEPS if (part, step) in self.outcomes}
        fetched = receipts.get(part, "download") or {}
        made = (receipts.get(part, "parquetize") or {}) if _stands(steps.get("parquetize")) else {}
        return PartResult(
            part=part,
            source=fetched.get("source", ""),
            rows=made.get("rows"),
            rejects=made.get("rejects"),
            steps=steps,
            seconds=self._seconds[part],
            notes=tuple(_notes(made)),
        )

    def _ended(self, part: Part, step: str, outcome: Outcome, message: str) -> None:
        self.outcomes[part, step] = outcome
        self.messages[part, step] = message
        self.view.ended(part, step, outcome, message)


def _stands(outcome: Outcome | None) -> bool:
    return outcome in {"done", "up_to_date"}


def _notes(made: Mapping[str, Any]) -> Iterator[str]:
    """What a person should know of a conversion."""
    if made.get("unknown_columns"):
        yield f"unknown columns were left out: {', '.join(made['unknown_columns'])}"
    for column, text, count in made.get("unknown_codes", []):
        yield f"unknown code {text!r} in {column} became null {count:,} times"


def run(session: Session) -> None:
    """Run the pipeline of `session`; outcomes are in it afterwards.

    Raises LockedError when another run holds the lock, KeyboardInterrupt when stopped.
    """
    reporter = Reporter(session)
    targets = session.runner.pipeline.targets
    command = ["run", *(f"{step}:*" for step in STEPS if step in targets)]
    loader = ModuleTaskLoader(namespace(session, reporter))
    code = DoitMain(loader, config_filenames=()).run(command)
    if reporter.refusal is not None:
        raise reporter.refusal
    if code == EXIT_BUG and not session.bugs:
        session.bugs.append("doit stopped before its end; its own words are above.")


def namespace(session: Session, reporter: Reporter) -> dict[str, Any]:
    """What a dodo file holds: doit's settings and one task creator a step."""
    pipeline = session.runner.pipeline
    steps = pipeline.steps()
    config = {
        "default_tasks": [f"{steps[-1]}:*"],
        "backend": "receipts",
        "dep_file": str(pipeline.state / "doit"),
        "check_file_uptodate": NothingChanges,
        "reporter": reporter,
        "continue": True,
        "par_type": "thread",
        "num_process": pipeline.jobs,
        "verbosity": 0,
    }
    return {"DOIT_CONFIG": config} | {f"task_{step}": _creator(session, step) for step in steps}


def _creator(session: Session, step: str) -> Callable[[], Iterator[dict[str, Any]]]:
    def create() -> Iterator[dict[str, Any]]:
        for part in session.runner.pipeline.parts:
            yield _task(session, part, step)

    create.__doc__ = _SAYS[step]
    return create


_SAYS = {
    "download": "(web) → raw file",
    "parquetize": "raw file → Parquet in the canonical schema",
    "upload": "Parquet → object in the store",
    "load": "file or object → month of the table",
}


def _task(session: Session, part: Part, step: str) -> dict[str, Any]:
    runner = session.runner
    receipts, before = runner.receipts, STEPS.index(step) - 1
    kept = [str(runner.parquet_path(part))] if step == "parquetize" and "parquet" in runner.pipeline.kept else []
    return {
        "name": str(part),
        "actions": [(session.do, [part, step])],
        "file_dep": [str(receipts.path(part, STEPS[before]))] if before >= 0 else [],
        "targets": [*kept, str(receipts.path(part, step))],
        "uptodate": [_UpToDate(runner, part, step)],
        "clean": [(_clean, [runner, part, step])],
        "io": {"capture": False},
        "verbosity": 0,
        "meta": {"part": part, "step": step},
    }


class _UpToDate:
    """doit's question whether a task is up to date, answered from receipts and what is there."""

    __signature__: ClassVar[inspect.Signature] = inspect.Signature()  # doit inspects it once a task; this is quick

    def __init__(self, runner: Runner, part: Part, step: str) -> None:
        self._ask = (runner, part, step)

    def __call__(self) -> bool:
        runner, part, step = self._ask
        try:
            return runner.decision(part, step).action == "up_to_date"
        except Exception:  # noqa: BLE001 - asked again when the step runs, where the error is recorded
            log.debug("cannot tell whether %s %s is up to date", part, step, exc_info=True)
            return False

    def __repr__(self) -> str:
        runner, part, step = self._ask
        decision = runner.decision(part, step)
        return f"{decision.action}: {decision.why}" if decision.why else decision.action


def _clean(runner: Runner, part: Part, step: str, dryrun: bool) -> None:  # noqa: FBT001 - doit passes it by name
    """Remove a step's local files; never objects or rows."""
    raw = runner.raw_path(part)
    files = {
        "download": [raw] if raw else [],
        "parquetize": [runner.parquet_path(part), runner.rejects_path(part)],
    }.get(step, [])
    for path in [*files, runner.receipts.path(part, step)]:
        if path.exists():
            sys.stdout.write(f"{step}:{part} - removing file '{path}'\n")
            if not dryrun:
                path.unlink()


class Reporter:
    """What doit calls while it runs; passes everything on to the session."""

    desc = "taxi-ingest's own"

    def __init__(self, session: Session, *, plain_doit: bool = False) -> None:
        self.refusal: TaxiError | None = None
        self._session = session
        self._plain_doit = plain_doit

    def initialize(self, _tasks: Any, _selected: Any) -> None:
        """Open the run; a refusal ends it before any task."""
        try:
            self._session.begin()
        except (LockedError, UsageError) as error:
            self.refusal = error
            raise InvalidTask(str(error)) from error

    def skip_uptodate(self, task: Any) -> None:
        """doit found a task up to date."""
        if not task.has_subtask:
            self._session.skipped(task.meta["part"], task.meta["step"])

    def add_failure(self, task: Any, failure: Any) -> None:
        """A task failed, or could not run because one before it did."""
        if not task.has_subtask and isinstance(failure, UnmetDependency):
            self._session.blocked(task.meta["part"], task.meta["step"])

    def runtime_error(self, message: str) -> None:
        """doit gives up before the tasks."""
        if self._plain_doit:
            sys.stderr.write(f"{message}\n")
            raise SystemExit(EXIT_LOCKED if isinstance(self.refusal, LockedError) else EXIT_USAGE)

    def complete_run(self) -> None:
        """Close the run, also an interrupted one."""
        self._session.end()

    def get_status(self, task: Any) -> None:
        """Nothing to tell."""

    execute_task = add_success = skip_ignore = teardown_task = cleanup_error = get_status


class NothingChanges(FileChangedChecker):  # type: ignore[misc]
    """doit's look at file dependencies: always content, because `_UpToDate` has judged them already."""

    def info(self, file_path: str) -> str:
        """Stand for the file, also for one that is missing."""
        return file_path

    def check_modified(self, _path: str, _info: str, _state: object) -> bool:
        """Say that nothing changed."""
        return False

    def get_state(self, _path: str, _current: object) -> None:
        """Give nothing to remember."""


class ReceiptsAreTheState:
    """doit's database: it remembers nothing, since receipts are the state. Deleting it can lose nothing."""

    desc = "receipts are the state"

    def __init__(self, name: str, codec: object, *, module_name: object = None) -> None:
        self.name = name

    def get(self, _task: str, key: str) -> str | None:
        """Any state for a file; nothing for doit's own entries, whose keys end in a colon."""
        return None if key.endswith(":") else "receipt"

    def set(self, _task: str, key: str, _value: object) -> None:
        """Forget it, but say so when it was meant to last."""
        if key == "ignore:":
            raise InvalidTask("`doit ignore` is not supported: name the months you want instead.")

    def in_(self, _task: str) -> bool:
        """No task is remembered."""
        return False

    def remove(self, _task: str) -> None:
        """Nothing to remove."""

    def remove_all(self) -> None:
        """Nothing to remove."""

    def dump(self) -> None:
        """Nothing to write."""


@contextlib.contextmanager
def _lock(path: Path, *, wait: bool) -> Iterator[None]:
    try:
        with FileLock(path, timeout=-1 if wait else 0):
            yield
    except Timeout:
        raise LockedError(f"Another run holds {path}. Wait for it to end, or use --wait.") from None


@contextlib.contextmanager
def _terminate_like_interrupt() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: what is finished stays finished, and the history is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _sweep(data_dir: Path) -> None:
    """Remove the scratch files of killed runs; the lock is ours, so nobody is writing them."""
    for folder in ("raw", "parquet", "rejects"):
        for scratch in data_dir.glob(f"{folder}/*/.*.tmp"):
            scratch.unlink(missing_ok=True)


def _refuse_demo_among_real(runner: Runner) -> None:
    pipeline = runner.pipeline
    if pipeline.source != "demo" or "load" not in pipeline.targets:
        return
    for dataset in {part.dataset for part in pipeline.parts}:
        if any(not held.source.startswith("demo:") for held in runner.held_months(dataset).values()):
            raise UsageError(
                f"{pipeline.warehouse} holds real months of {dataset}; the demo's made-up rows stay out of it. "
                "Leave --data-dir and --warehouse out, and the demo goes to ./demo-data."
            )
