"""One run under way: the lock, the history, and how every step of every part ends."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taxi_ingest import __version__
from taxi_ingest.catalog import Part
from taxi_ingest.engine.lock import locked
from taxi_ingest.engine.part import Runner
from taxi_ingest.errors import NotPublishedError, TaxiError, UsageError
from taxi_ingest.history.writing import History, PartResult
from taxi_ingest.pipeline import STEPS, Outcome, View
from taxi_ingest.redaction import redacted

log = logging.getLogger("taxi_ingest")

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_BUG, EXIT_NOT_PUBLISHED, EXIT_LOCKED, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 75, 130

MAX_DEVIATION = 0.01
"""By how much, as a share, a month may differ from its known rows before it is worth a word."""


class Session:
    """One run under way: the lock, the history, and how every step ended."""

    def __init__(self, runner: Runner, view: View, request: str, *, wait: bool) -> None:
        self.runner = runner
        self.view = view
        self.outcomes: dict[tuple[Part, str], Outcome] = {}
        self.messages: dict[tuple[Part, str], str] = {}
        self.bugs: list[str] = []
        self.run_id = ""
        self._request = request
        self._wait = wait
        self._open = contextlib.ExitStack()
        self._history: History | None = None

    def begin(self) -> None:
        """Take the lock and open the run in the history. Raises LockedError, or UsageError for a mixed-up table."""
        pipeline = self.runner.pipeline
        pipeline.state.mkdir(parents=True, exist_ok=True)
        self._open.enter_context(locked(pipeline.state / "lock", wait=self._wait))
        self._open.enter_context(_terminate_like_interrupt())
        self._open.callback(self.runner.close)
        self.runner.there.asks = "all"
        _sweep(pipeline.data_dir)
        _refuse_demo_among_real(self.runner)
        self._history = History(pipeline.state / "history.sqlite", pipeline.data_dir / "logs")
        self._open.callback(self._history.close)
        self.run_id = self._history.begin(self._request, __version__)
        self._history.forget(pipeline.history_days)
        self._settle(self._history)
        self.view.begun(len(pipeline.parts) * len(pipeline.steps()))

    def _settle(self, history: History) -> None:
        """Wait for, or cancel, what killed runs had begun in a warehouse that goes on without us."""
        warehouse = self.runner.there.warehouse
        if warehouse.on_this_disk:
            return
        for attempt, jobs in history.unsettled_jobs():
            for job in jobs:
                warehouse.settle(job)
            history.settled(attempt)

    def end(self) -> None:
        """Write how every step ended and let the lock go; safe to call when `begin` failed."""
        if self._history is not None and self.run_id:
            interrupted = sys.exc_info()[0] is KeyboardInterrupt
            self._history.end(self.outcomes, EXIT_INTERRUPTED if interrupted else self.exit_code())
        self._open.close()

    def do(self, part: Part, step: str) -> str:
        """Run one step and return "" or what went wrong, which is kept here and stops nothing else."""
        if self._history is None:
            raise RuntimeError("begin() comes first")
        try:
            self._ended(part, step, self.runner.run(part, step, self._history, self.view), "")
        except NotPublishedError as error:
            self._ended(part, step, "not_published", str(error))
        except TaxiError as error:
            self._ended(part, step, "failed", str(error))
        except OSError as error:
            self._ended(part, step, "failed", f"this machine refused: {error}. Check disk space and permissions.")
        except Exception as error:  # noqa: BLE001 - the edge: a bug in one step must not stop the others
            self.bugs.append(traceback.format_exc())
            self._ended(part, step, "failed", f"a bug in taxi-ingest: {type(error).__name__}: {error}")
        return self.messages[part, step]

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
        receipts = self.runner.there.receipts
        steps = {step: self.outcomes[part, step] for step in STEPS if (part, step) in self.outcomes}
        fetched = receipts.get(part, "download") or {}
        made = (receipts.get(part, "parquetize") or {}) if _stands(steps.get("parquetize")) else {}
        return PartResult(
            part=part,
            source=fetched.get("source", ""),
            rows=made.get("rows"),
            rejects=made.get("rejects"),
            steps=steps,
            seconds=self.runner.seconds[part],
            notes=tuple(_notes(made)),
        )

    def _ended(self, part: Part, step: str, outcome: Outcome, message: str) -> None:
        message = redacted(message)
        self.outcomes[part, step] = outcome
        self.messages[part, step] = message
        self.view.ended(part, step, outcome, message)


def _stands(outcome: Outcome | None) -> bool:
    return outcome in {"done", "up_to_date"}


def _notes(made: Mapping[str, Any]) -> Iterator[str]:
    """What a person should know of a conversion."""
    if made.get("unknown_columns"):
        yield f"unknown columns were left out: {', '.join(made['unknown_columns'])}"
    known, rows = made.get("rows_expected"), made.get("rows", 0)
    if known and abs(rows - known) > MAX_DEVIATION * known:
        yield f"{rows:,} rows, but {known:,} are known of this month"
    for column, text, count in made.get("unknown_codes", []):
        yield f"unknown code {text!r} in {column} became null {count:,} times"


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
    for folder in ("raw", "parquet", "rejects", "lake", "state/receipts/*"):
        for scratch in data_dir.glob(f"{folder}/*/.*.tmp"):
            scratch.unlink(missing_ok=True)


def _refuse_demo_among_real(runner: Runner) -> None:
    pipeline = runner.pipeline
    if pipeline.source != "demo" or "load" not in pipeline.targets:
        return
    for dataset in {part.dataset for part in pipeline.parts}:
        if any(not held.source.startswith("demo:") for held in runner.there.held_months(dataset).values()):
            raise UsageError(
                f"{pipeline.warehouse} holds real months of {dataset}; the demo's made-up rows stay out of it. "
                "Leave --data-dir and --warehouse out, and the demo goes to ./demo-data."
            )
