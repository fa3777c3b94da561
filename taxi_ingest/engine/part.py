"""One part through its steps: look, decide, do with retries, leave a receipt.

Needs no task engine, terminal or database: a `Watcher`, if there is one, is told what happens.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import expected_rows, sources
from taxi_ingest.engine.made_up import refuse_demo_among_real
from taxi_ingest.engine.removing import remove_unkept
from taxi_ingest.engine.watching import Nobody, Watcher
from taxi_ingest.engine.workplace import Workplace
from taxi_ingest.errors import ContentError, RejectsError, SchemaError, TransientError
from taxi_ingest.files import put_aside
from taxi_ingest.graph import Outcome, Step, before
from taxi_ingest.history import Attempt, AttemptRecord
from taxi_ingest.job import Job
from taxi_ingest.layout import object_name
from taxi_ingest.redaction import redacted
from taxi_ingest.retrying import with_retries
from taxi_ingest.sources import is_demo, is_named, local_path
from taxi_ingest.state.decide import Decision, decide
from taxi_ingest.state.receipts import Downloaded, Loaded, Parquetized, PartReceipts, Receipt, Uploaded
from taxi_ingest.state.retention import is_of_an_unfinished_run
from taxi_ingest.state.wanted import source_of, wanted
from taxi_ingest.writers.provenance import is_of_another_writer

log = logging.getLogger("taxi_ingest")

_Kind = TypeVar("_Kind", bound=Receipt)


@dataclass(frozen=True)
class PartRun:
    """What came of a part: all of its receipts, and the outcome of each step that was asked for."""

    receipts: PartReceipts
    outcomes: Mapping[Step, Outcome]


def run_part(
    job: Job,
    part: Part,
    steps: Sequence[Step] = (),
    *,
    workplace: Workplace | None = None,
    watcher: Watcher | None = None,
) -> PartRun:
    """Take `part` through `steps` (in order; all of the job's by default), each only if it must run.

    Raises what made the last try of a step fail: a TaxiError, or OSError where this machine refused.
    """
    if workplace is None:
        with Workplace.of(job) as own:
            refuse_demo_among_real(job, own.observer, (part,))
            unanswered = own.refresh((part,)).unanswered
            if unanswered and job.refresh:
                raise TransientError(" ".join(unanswered))
            return run_part(job, part, steps, workplace=own, watcher=watcher)
    outcomes = {step: _run_step(workplace, part, step, watcher or Nobody()) for step in steps or job.steps}
    return PartRun(workplace.observer.observe(part).receipts, outcomes)


def _run_step(workplace: Workplace, part: Part, step: Step, watcher: Watcher) -> Outcome:
    decision = workplace.decision(part, step)
    if decision.action != "run":
        return _found_done(workplace, part, step, decision)
    with watcher.at_work(part, step, decision.why):
        if step == "load":  # the load of another month may have brought this one along while it waited for its turn
            decision = workplace.decision(part, step)
            if decision.action != "run":
                return _found_done(workplace, part, step, decision)
        receipt = _try(workplace, part, step, decision.why, watcher)
        workplace.observer.finished(part, step, receipt)
    remove_unkept(workplace.observer, workplace.job, part, step)
    return "done"


def _found_done(workplace: Workplace, part: Part, step: Step, decision: Decision) -> Outcome:
    """Adopt what is there, or find it up to date."""
    if decision.action == "adopt":
        proven = workplace.observer.observe(part).proven(step)
        if proven is None:
            raise RuntimeError(f"{part} {step} was adopted, but nothing proves it")
        log.info("%s %s is adopted: %s", part, step, decision.why)
        if isinstance(proven, Parquetized) and "parquet" not in workplace.job.kept:
            unfinished = is_of_an_unfinished_run(workplace.observer.receipts.of(part))
            proven = replace(proven, temporary=proven.temporary or unfinished)
        if step == "load":  # a load that was killed after its rows had no time for the views
            workplace.make_views(part)
        workplace.observer.finished(part, step, proven)
    remove_unkept(workplace.observer, workplace.job, part, step)
    return "up_to_date"


def _try(workplace: Workplace, part: Part, step: Step, why: str, watcher: Watcher) -> Receipt:
    """Do a step, again after passing faults, as often as the job allows."""

    def attempt(number: int) -> Receipt:
        with watcher.attempt(Attempt(part, step, number, why)) as record:
            log.info("%s %s begins: %s", part, step, why)
            receipt = _DO[step](_Work(workplace, part, step, watcher, record))
            record.rows, record.bytes = getattr(receipt, "rows", None), getattr(receipt, "bytes", None)
            log.info("%s %s is done: %s", part, step, receipt.in_words)
        return receipt

    silence, had = workplace.silence, workplace.observer.observe(part).receipts.download
    source = source_of(workplace.job, part, had) if step == "download" else ""
    with silence.noted(source):
        return with_retries(
            silence.retries(source, workplace.job.retries[step]),
            attempt,
            wait=watcher.wait,
            tell=lambda message, seconds: watcher.retrying(part, step, redacted(message), seconds),
        )


@dataclass(frozen=True)
class _Work:
    """One try of one step of one part."""

    workplace: Workplace
    part: Part
    step: Step
    watcher: Watcher
    record: AttemptRecord

    @property
    def job(self) -> Job:
        return self.workplace.job

    @property
    def receipts(self) -> PartReceipts:
        return self.workplace.observer.observe(self.part).receipts

    def moved(self, amount: int) -> None:
        """Tell the watcher that so much more was moved."""
        self.watcher.moved(self.part, self.step, amount)

    def expects(self, amount: int) -> None:
        """Tell the watcher how much will be moved in all."""
        self.watcher.expects(self.part, self.step, amount)

    def downloaded(self) -> Downloaded:
        """The receipt of the download, which must have ended before."""
        return self._needed(self.receipts.download)

    def parquetized(self) -> Parquetized:
        """The receipt of the conversion, which must have ended before."""
        return self._needed(self.receipts.parquetize)

    def _needed(self, receipt: _Kind | None) -> _Kind:
        if receipt is None:
            raise RuntimeError(f"{self.part} has no receipt of {before(self.step)}, which {self.step} needs")
        return receipt


def _download(work: _Work) -> Downloaded:
    from taxi_ingest.steps.download import Origin, download

    job, part, had = work.job, work.part, work.receipts.download
    source = source_of(job, part, had)
    url = work.workplace.publisher.url(part, source)
    if "parquetize" in job.steps and ".parquet" in url:
        work.workplace.converters.prepare()
    receipt = download(
        part,
        Origin(
            source,
            url,
            known_to_exist=_known_rows(part, source) is not None,
            is_converted_next="parquetize" in job.steps,
            sha256=_only_version(work),
            is_first=had is None,
        ),
        job.layout,
        timeout_seconds=job.timeout_seconds,
        slowest_bytes_per_second=job.slowest_bytes_per_second,
        grace_days=job.grace_days,
        progress=work.moved,
        expect=work.expects,
    )
    return replace(receipt, temporary="raw" not in job.kept, earlier_copies=_earlier_copies(had, receipt))


def _only_version(work: _Work) -> str:
    """The sha256 that the download must have; "" where any version of the file will do.

    A damaged raw file that no step needs is only mended: a newer version would replace the rows made from the old one.
    """
    now, want = work.workplace.observer.observe(work.part), wanted(work.job, work.part)
    had = now.receipts.download
    takes_any = now.republished or "download" in want.forced or (had and want.source not in {"", had.source})
    if had is None or not had.distrusted or takes_any:
        return ""
    return had.sha256 if decide("parquetize", now, want).action != "run" else ""


def _earlier_copies(had: Downloaded | None, now: Downloaded) -> tuple[str, ...]:
    """The raw files, other than `now`, that were copied from files on this disk: earlier ones, and `had` if it was."""
    if had is None:
        return ()
    left = (had.file,) if local_path(had.url) is not None else ()
    return tuple(dict.fromkeys(file for file in (*had.earlier_copies, *left) if file != now.file))


def _parquetize(work: _Work) -> Parquetized:
    from taxi_ingest.engine.conversion import Conversion
    from taxi_ingest.steps.limits import Limits
    from taxi_ingest.steps.parquetize import parquetize

    job, part, downloaded = work.job, work.part, work.downloaded()
    demo, path = is_demo(downloaded.source), job.layout.parquet(part)
    if work.receipts.parquetize is None and is_of_another_writer(path):
        put_aside(path)
    work.expects(job.demo.rows if demo else expected_rows(part.dataset, part.month) or 0)
    # forced: the file is taken as it is, however few rows it has
    expected = None if "parquetize" in job.forced else _known_rows(part, downloaded.source)
    limits = Limits(job.max_rejects, job.strict, job.allow_empty, expected)
    note_refusal = functools.partial(work.workplace.observer.note_refusal, part, downloaded)
    try:
        if downloaded.format == "parquet":
            conversion = Conversion(part, downloaded, job.layout, job.writer, limits)
            receipt = work.workplace.converters.parquetize(conversion, work.moved)
        else:
            receipt = parquetize(part, downloaded, job.layout, writer=job.writer, limits=limits, progress=work.moved)
    except (ContentError, SchemaError, RejectsError) as error:
        # damage may be gone when the file is fetched again, and a file of one's own is mended where it came from
        note_refusal(refused=isinstance(error, ContentError) or downloaded.url.startswith("file:"))
        raise
    note_refusal(refused=False)
    return replace(receipt, temporary="parquet" not in job.kept)


def _upload(work: _Work) -> Uploaded:
    from taxi_ingest.steps.upload import upload

    parquetized, before, store = work.parquetized(), work.receipts, work.job.store
    work.expects(parquetized.bytes)
    is_ours = before.upload is not None and before.upload.at == str(store)
    there = work.workplace.observer.held_objects(work.part.dataset).get(object_name(work.part))
    return upload(
        work.part,
        parquetized,
        work.job.layout,
        store,
        downloaded=before.download,
        replaces=None if is_ours else there,
        progress=work.moved,
    )


def _load(work: _Work) -> Loaded:
    from taxi_ingest.steps.load import load

    job = work.job
    try:
        return load(
            work.part,
            work.parquetized(),
            job.layout,
            job.store,
            job.warehouse,
            opened=work.workplace.observer.warehouse,  # so that all parts together wait once for another program
            record=work.record.record_job,
        )
    except ContentError:
        if not job.layout.parquet(work.part).exists():
            work.workplace.observer.note_damaged_object(work.part)
        raise


_DO: Mapping[Step, Callable[[_Work], Receipt]] = {
    "download": _download,
    "parquetize": _parquetize,
    "upload": _upload,
    "load": _load,
}


def _known_rows(part: Part, source: str) -> int | None:
    """Rows known of the part's file; None for a source whose files were never counted."""
    counted = is_named(source) and sources()[source].format_of(part) == "parquet"
    return expected_rows(part.dataset, part.month) if counted else None
