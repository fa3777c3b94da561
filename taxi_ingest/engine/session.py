"""One run: the lock, the history, and how every step of every part ends."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator

from taxi_ingest import __version__, exits, warehouses
from taxi_ingest.catalog import Part
from taxi_ingest.engine import View
from taxi_ingest.engine.holder import locked_data_dir
from taxi_ingest.engine.made_up import refuse_demo_among_real, refuse_demo_over_real
from taxi_ingest.engine.part import run_part
from taxi_ingest.engine.postponing import waits_for_uploads
from taxi_ingest.engine.relay import Relay
from taxi_ingest.engine.removing import remove_leftovers, remove_unkept
from taxi_ingest.engine.results import PartResult, part_result
from taxi_ingest.engine.workplace import Workplace
from taxi_ingest.errors import (
    HistoryError,
    NotPublishedError,
    StoreError,
    TaxiError,
    TransientError,
    WarehouseError,
    machine_refused,
)
from taxi_ingest.files import make_private
from taxi_ingest.graph import STEPS, Outcome, Step, before
from taxi_ingest.history import Note, Streak
from taxi_ingest.history.writing import History
from taxi_ingest.job import Job
from taxi_ingest.process import sigterm_as_interrupt
from taxi_ingest.redaction import redacted
from taxi_ingest.retrying import with_retries
from taxi_ingest.sources import DEMO
from taxi_ingest.state.decide import Decision
from taxi_ingest.state.observe import Observer
from taxi_ingest.state.plan import check_disks
from taxi_ingest.state.receipts import PartReceipts
from taxi_ingest.state.refresh import Refreshed, republished
from taxi_ingest.warehouses.capabilities import Foresees

LOUD_FAILURES = 3
"""After so many runs in a row in which a step of a part failed, that is said."""


class Session:
    """One run. Until `begin`, decisions are made from receipts and this disk, and nothing is written.

    `outcomes` and `messages` tell how steps ended ("" where there is nothing to say), `bugs` are tracebacks, and
    `told_before` is what the run before this one told of parts.
    """

    def __init__(self, job: Job, view: View, request: str, *, wait: bool) -> None:
        self.job = job
        self.view = view
        self.outcomes: dict[tuple[Part, Step], Outcome] = {}
        self.messages: dict[tuple[Part, Step], str] = {}
        self.bugs: list[str] = []
        self.run_id = ""
        self.told_before: frozenset[tuple[Part, str]] = frozenset()
        self._unrecorded = False
        self._stopped_by: BaseException | None = None
        self._refusal = ""
        self._doubt = ""
        self._costs: list[str] = []
        self._refreshed = Refreshed()
        self._before: dict[Part, PartReceipts] = {}
        self._streaks: dict[Part, Streak] = {}
        self._unanswered = dict(job.unanswered)
        self._postponed: list[Part] = []
        self._request = request
        self._wait = wait
        self._workplace = Workplace(job, Observer.impatient(job, "this disk"))
        self._open = contextlib.ExitStack()
        self._history: History | None = None
        self._relay: Relay | None = None

    def begin(self) -> None:
        """Take the lock and open the run in the history.

        Raises LockedError, UsageError for a mixed-up table, SpaceError for a disk that is too small, and what store or
        warehouse raise when they cannot be asked what they hold.
        """
        try:
            self._begin()
        except BaseException as error:
            self._stopped_by = error  # doit puts another error in its place
            raise

    def _begin(self) -> None:
        job = self.job
        for folder in (job.layout.state, job.layout.logs):
            make_private(folder)
        self._open.enter_context(locked_data_dir(job.layout, wait=self._wait, announce=self.view.waiting))
        self._open.enter_context(sigterm_as_interrupt())
        self._workplace = self._open.enter_context(Workplace.of(job, self.view.waiting))
        remove_leftovers(job, self._workplace.observer.store)
        with contextlib.suppress(TransientError, StoreError, WarehouseError):  # asked again, once the history is open
            if str(job.source) == DEMO:  # of other parts, the load asks
                refuse_demo_among_real(job, self._workplace.observer, job.parts)
        self._history = History(job.layout.history, job.layout.logs, self.view.noted)
        self._open.callback(self._history.close)
        self._relay = Relay(job, self._history, self.view)
        self._open.callback(self._relay.stop)
        self.run_id = self._history.begin(self._request, __version__)
        self._history.forget(job.history_days)
        self._history.fold()
        self.told_before = self._history.told_before()
        self._ask_far_sides(self._relay)
        self._workplace.sweep()
        self._settle_recorded_jobs(self._history)
        self._refreshed = self._workplace.refresh(job.parts, self.view.waiting)
        self._check_disks()
        self._check_loads()
        self.view.begun(len(job.parts) * len(job.steps))

    def _ask_far_sides(self, relay: Relay) -> None:
        """Refuse a run whose store or warehouse cannot be asked what it holds: no step could tell what it must do."""
        retries, tell = self.job.retries["load"], self._say_what_is_tried_again
        with self._noted_refusal():
            with_retries(retries, lambda _: self._workplace.ask_what_is_held(), wait=relay.wait, tell=tell)

    def _say_what_is_tried_again(self, message: str, seconds: float) -> None:
        self.view.waiting(redacted(message))

    def _check_disks(self) -> None:
        """Refuse a run that is too large for its disks; of one that may be too large, say so once and begin."""
        if not self.job.check_disk:
            return
        with self._noted_refusal():
            self._doubt = check_disks(self.job, self._workplace.observer, self._refreshed.sizes)
        if self._doubt:
            self.view.noted(self._doubt)

    @contextlib.contextmanager
    def _noted_refusal(self) -> Iterator[None]:
        """A run that is refused in the block stands in the history as failed, with the reason."""
        try:
            yield
        except TaxiError as error:
            self._refusal = redacted(str(error))
            raise

    def _check_loads(self) -> None:
        """Refuse a run whose loads must fail, before anything is uploaded for them; note what they cost."""
        warehouse, job = self._workplace.observer.warehouse, self.job
        if "load" not in job.steps or not isinstance(warehouse, Foresees):
            return
        if any(self.decision(part, "load").action == "run" for part in job.parts):
            with self._noted_refusal():
                self._costs = warehouse.foresee(job.store)

    def _settle_recorded_jobs(self, history: History) -> None:
        """Wait for, or cancel, the jobs that killed runs left behind in a warehouse that works on without us.

        A warehouse without jobs cannot answer for those of another one: they stay recorded for the next run there.
        """
        with self._noted_refusal():
            for attempt, jobs in history.unsettled_jobs():
                if all(warehouses.settle(self._workplace.observer.warehouse, recorded) for recorded in jobs):
                    history.settled(attempt)

    def end(self) -> None:
        """Write how every step ended and release the lock; safe to call when `begin` failed, and more than once.

        A history that cannot be written makes the run a failure, and takes nothing from what was done.
        """
        history, self._history = self._history, None
        if history is not None and self.run_id:
            stopped_by = self._stopped_by or sys.exc_info()[1]
            try:
                self._count_failures(history)
                if isinstance(stopped_by, Exception | KeyboardInterrupt):
                    code = exits.code_of(stopped_by)
                else:
                    code = self.exit_code()
                latest = {name: None if found.unanswered else found.month for name, found in self.job.latest.items()}
                history.end(self.outcomes, code, self._all_notes(), latest)
            except HistoryError as error:
                self._unrecorded = True
                self.view.noted(f"The end of this run is not in the history: {error}")
        self._open.close()

    def _count_failures(self, history: History) -> None:
        for (part, step), outcome in self.outcomes.items():
            if outcome == "failed":
                earlier = history.failures(part, step)
                self._streaks[part] = Streak(earlier.runs + 1, earlier.since)
        for dataset, sentence in self.job.unanswered.items():
            earlier = history.unanswered(dataset)
            if (runs := earlier.runs + 1) >= LOUD_FAILURES:
                self._unanswered[dataset] = f"{sentence} That failed in {runs} runs in a row, since {earlier.since}."

    def _all_notes(self) -> list[Note]:
        told = (*self._refusals, self._doubt, *self._costs, *self._refreshed.unanswered)
        of_run = [Note(None, note) for note in told if note]
        of_datasets = [Note(Part(name), sentence) for name, sentence in self._unanswered.items()]
        return of_run + of_datasets + [Note(result.part, note) for result in self.results() for note in result.told]

    @property
    def notes(self) -> list[str]:
        """What a person should know of the run as a whole."""
        return [*self.complaints, *self._costs, *(() if self.job.refresh else self._refreshed.unanswered)]

    @property
    def complaints(self) -> list[str]:
        """Those of the notes that make the run a failure."""
        asked_in_vain = self._refreshed.unanswered if self.job.refresh else ()
        no_newest = (f"{name}: {sentence}" for name, sentence in self._unanswered.items())
        return [*self._refusals, *no_newest, *asked_in_vain]

    @property
    def _refusals(self) -> tuple[str, ...]:
        return (self._refusal,) if self._refusal else ()

    def decision(self, part: Part, step: Step) -> Decision:
        """Whether `step` must run for `part`, and why."""
        return self._workplace.decision(part, step)

    def do(self, part: Part, step: Step) -> str:
        """Run one step. Returns what went wrong, if the later steps cannot go on without it; else "".

        What went wrong is kept here, and stops no other part. A load that must wait is done by `finish`.
        """
        if self._relay is None:
            raise RuntimeError("begin() comes first")
        if step == "load" and waits_for_uploads(self.job, self._workplace.observer, part, self.outcomes):
            self._postponed.append(part)
            return ""
        return self._do(part, step)

    def finish(self) -> None:
        """Do the loads that had to wait for uploads, unless the run was stopped."""
        while self._postponed and not (self._stopped_by or sys.exc_info()[1]):
            self._do(self._postponed.pop(0), "load")

    def _do(self, part: Part, step: Step) -> str:
        if step == "download":
            self._before[part] = self._workplace.observer.receipts.of(part)
        try:
            if step == "upload":
                refuse_demo_over_real(self.job, self._workplace.observer, part)
            if step == "load":
                refuse_demo_among_real(self.job, self._workplace.observer, (part,))
            ran = run_part(self.job, part, (step,), workplace=self._workplace, watcher=self._relay)
            self._ended(part, step, ran.outcomes[step], "")
        except NotPublishedError as error:
            self._ended(part, step, "not_published", str(error))
        except TaxiError as error:
            self._ended(part, step, "failed", str(error))
        except Exception as error:  # noqa: BLE001 - the edge: a bug in one step must not stop the others
            refused = machine_refused(error)
            if not refused:
                self.bugs.append(traceback.format_exc())
            self._ended(part, step, "failed", refused or f"a bug in taxi-ingest: {type(error).__name__}: {error}")
        return "" if self._is_mending_in_vain(part, step) else self.messages[part, step]

    def _is_mending_in_vain(self, part: Part, step: Step) -> bool:
        """Whether a download that failed was only meant to mend a raw file which no later step needs."""
        if step != "download" or self.outcomes[part, step] != "failed":
            return False
        raw = self._workplace.observer.observe(part).receipts.download
        return raw is not None and raw.distrusted and self.decision(part, "parquetize").action != "run"

    def skipped(self, part: Part, step: Step) -> None:
        """A step was up to date without being looked at more closely."""
        remove_unkept(self._workplace.observer, self.job, part, step)
        self._ended(part, step, "up_to_date", "")

    def blocked(self, part: Part, step: Step) -> None:
        """A step could not run because one before it did not succeed."""
        needed = before(step)
        unpublished = needed is not None and self.outcomes.get((part, needed)) == "not_published"
        self._ended(part, step, "not_published" if unpublished else "blocked", "")

    def exit_code(self) -> int:
        """The exit code that these outcomes make."""
        outcomes = set(self.outcomes.values())
        if self.bugs:
            return exits.BUG
        if self.complaints or self._unrecorded or outcomes & {"failed", "blocked"}:
            return exits.FAILED
        return exits.NOT_PUBLISHED if "not_published" in outcomes else exits.OK

    def results(self) -> list[PartResult]:
        """What came of every part, in the order asked for."""
        return [self._result(part) for part in self.job.parts]

    def _result(self, part: Part) -> PartResult:
        receipts = self._workplace.observer.receipts.of(part)
        steps = {step: self.outcomes[part, step] for step in STEPS if (part, step) in self.outcomes}
        seconds = self._relay.seconds[part] if self._relay else 0.0
        return part_result(part, receipts, steps, seconds, self._news(part, receipts), self.job.layout)

    def _news(self, part: Part, receipts: PartReceipts) -> Iterator[str]:
        """What this run found out about a part."""
        if self.outcomes.get((part, "download")) == "done" and (told := republished(self._before[part], receipts)):
            yield told
        if gone := self._refreshed.gone.get(part):
            yield gone
        if (streak := self._streaks.get(part)) and streak.runs >= LOUD_FAILURES:
            yield f"failed in {streak.runs} runs in a row, since {streak.since}"

    def _ended(self, part: Part, step: Step, outcome: Outcome, message: str) -> None:
        message = redacted(message)
        self.outcomes[part, step] = outcome
        self.messages[part, step] = message
        self.view.ended(part, step, outcome, message)
