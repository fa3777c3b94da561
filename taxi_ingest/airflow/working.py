"""What a task does: take one part through some steps, on a machine that may know nothing. Needs no Airflow."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from taxi_ingest.airflow.places import Site, Slice, sources_of_runs
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.months import last_day
from taxi_ingest.engine.lock import locked_part
from taxi_ingest.engine.made_up import refuse_demo_among_real
from taxi_ingest.engine.notes import notes
from taxi_ingest.engine.part import PartRun, run_part
from taxi_ingest.engine.scratch import scratch_folder
from taxi_ingest.engine.watching import Nobody
from taxi_ingest.engine.workplace import Workplace
from taxi_ingest.errors import TransientError, UsageError
from taxi_ingest.graph import STEPS
from taxi_ingest.history import Attempt, AttemptRecord
from taxi_ingest.job import Job, at_once_of, layout_of, make_job, retries_of
from taxi_ingest.redaction import public_text
from taxi_ingest.retrying import Retries
from taxi_ingest.settings import Settings
from taxi_ingest.sources import DEMO
from taxi_ingest.sources.newest import is_published
from taxi_ingest.values import Value, quoted
from taxi_ingest.warehouses import open_warehouse, settle

log = logging.getLogger("taxi_ingest")


@dataclass(frozen=True)
class Asked:
    """What a run was asked for; `source` is "" for the one in the config."""

    source: str = ""
    force: bool = False
    refresh: bool = False


@dataclass(frozen=True)
class Done:
    """What came of a task, as plain values for whoever runs it; `rows` and `rejects` are None while not known."""

    part: str
    source: str
    steps: dict[str, str]
    rows: int | None
    rejects: int | None
    mark: str

    @property
    def label(self) -> str:
        """Rows and rejects in words; "" while they are not known."""
        return "" if self.rows is None else f"{self.rows:,} rows, {self.rejects:,} rejects"


class _Recorder(Nobody):
    """Records the jobs that would go on elsewhere if this process were killed."""

    def __init__(self, record: Callable[[str], None]) -> None:
        self._record = record

    @contextlib.contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[AttemptRecord]:
        """One try, whose jobs are recorded."""
        yield AttemptRecord(self._record)


def parts_of(site: Site, dataset: str, months: str | None, source: str) -> tuple[Part, ...]:
    """The parts that `months` (as `--month` takes them; None for a dataset without) names.

    Raises UsageError, and TransientError while nobody can tell what `latest` is.
    """
    job, notices = make_job(_settings(site, dataset, months, source, site.shared or "."), verb="run")
    if job.unanswered:
        raise TransientError(" ".join(job.unanswered.values()))
    for notice in notices:
        log.info(notice)
    return job.parts


def work(
    site: Site,
    part: Part,
    slice_: Slice,
    asked: Asked,
    *,
    record: Callable[[str], None],
    unsettled: Sequence[str] = (),
) -> Done:
    """Take `part` through the steps of `slice_`, and those before it, once: whoever runs this tries again.

    `record` gets the id of each job before it is sent to the warehouse, `unsettled` are those that a killed task
    recorded. Raises what the steps raise.
    """
    with _data_dir(site, part) as folder:
        job = _job(site, part, slice_, asked, folder)
        if str(job.source) == DEMO:
            _refuse_demo(job, part)
        if unsettled:
            warehouse = open_warehouse(job.warehouse, job.warehouse_options)
            for recorded in unsettled:
                settle(warehouse, recorded)
        ran = run_part(job, part, (*slice_.before, *slice_.steps), watcher=_Recorder(record))
        if not site.shared and slice_.steps[-1] == "upload" and _is_untold(ran):
            log.info("%s is uploaded again: its object did not tell what was downloaded", part)
            ran = run_part(replace(job, forced=frozenset({"parquetize", "upload"})), part, slice_.steps)
        return _done(part, ran, job)


def _is_untold(ran: PartRun) -> bool:
    """Whether a file was fetched only because the object in the store, which is right, does not tell of it.

    So it is with objects of another source or an earlier version. Every worker would fetch the file again.
    """
    return (ran.outcomes["download"], ran.outcomes["upload"]) == ("done", "up_to_date")


def may_be_fetched(site: Site, part: Part, source: str) -> bool:
    """Whether the publisher has the part's file by now, or is so late that the download shall say so."""
    settings = _settings(site, part.dataset, part.month, source, site.shared or ".")
    job, _ = make_job(settings, verb="download")
    is_late = part.month is None or (date.today() - last_day(part.month)).days >= job.grace_days
    if is_late or str(job.source) == DEMO:
        return True
    try:
        return is_published(part, job.source, Retries(1, 0), job.timeout_seconds)
    except TransientError as error:
        log.warning("%s is asked for again later: %s", part, error)
        return False


def retries(settings: Settings, slice_: Slice) -> Retries:
    """How often a task is tried: as the most patient of its steps, and at least twice, since workers are killed."""
    of_steps = [retries_of(settings)[step] for step in slice_.steps]
    return Retries(max(2, *(one.tries for one in of_steps)), max(1.0, *(one.backoff_seconds for one in of_steps)))


def at_once(site: Site, settings: Settings, slice_: Slice) -> int | None:
    """How many tasks may be at work at once; None for conversions on separate machines, which do not meet.

    The first step decides: of a task that downloads, the publisher's patience.
    """
    step = slice_.steps[0]
    return None if site.separate and step == "parquetize" else at_once_of(settings)[step]


@contextlib.contextmanager
def _data_dir(site: Site, part: Part) -> Iterator[Path]:
    """The data directory of a task: a scratch folder, or the shared one once no other task has the part, and no run."""
    if not site.shared:
        with scratch_folder(Path(site.scratch) if site.scratch else None) as folder:
            yield folder
        return
    layout = layout_of(_settings(site, part.dataset, part.month, "", site.shared))
    with locked_part(layout, part, announce=log.info):
        for scratch in layout.scratch_files_of(part):
            scratch.unlink(missing_ok=True)
        yield layout.data_dir


def _refuse_demo(job: Job, part: Part) -> None:
    """Refuse the demo where its rows could not be loaded, also in a task that does not load."""
    loading = replace(job, targets=frozenset({"load"}))
    with Workplace.of(loading) as workplace:
        refuse_demo_among_real(loading, workplace.observer, (part,))


def _check_source_of_run(site: Site, dataset: str, source: str) -> None:
    """Raise UsageError for a source that the DAG does not leave to whoever starts a run."""
    possible = sources_of_runs(site, dataset)
    if source not in possible:
        raise UsageError(
            f"A run may take its months from {', '.join(possible)}, not from {quoted(public_text(source))}. Others are "
            "named in the DAG file, dag(…, sources=(…)), or for all runs in the config, global.source."
        )


def _settings(site: Site, dataset: str, months: str | None, source: str, data_dir: str) -> Settings:
    flags: dict[str, Value] = {"shared.dataset": dataset, "global.data_dir": data_dir}
    if months is not None:
        flags["shared.month"] = months
    if source:
        _check_source_of_run(site, dataset, source)
        flags["global.source"] = source
    return site.settings(flags)


def _job(site: Site, part: Part, slice_: Slice, asked: Asked, folder: Path) -> Job:
    settings = _settings(site, part.dataset, part.month, asked.source, str(folder))
    refresh = asked.refresh and slice_.steps[0] == "download"
    job, _ = make_job(settings, verb="load" if slice_.loads else "upload", refresh=refresh)
    return replace(
        job,
        forced=frozenset(slice_.steps) if asked.force else frozenset(),
        kept=job.kept if site.shared else frozenset(),
        retries=dict.fromkeys(STEPS, Retries(1, 0)),
    )


def _done(part: Part, ran: PartRun, job: Job) -> Done:
    download, converted = ran.receipts.download, ran.receipts.parquetize
    if converted is not None and "parquetize" in ran.outcomes:
        for note in notes(part, converted, job.layout):
            log.info("%s: %s", part, note)
    return Done(
        part=str(part),
        source=download.source if download else "",
        steps={str(step): str(outcome) for step, outcome in ran.outcomes.items()},
        rows=converted.rows if converted else None,
        rejects=converted.rejects if converted else None,
        mark=converted.mark if converted else "",
    )
