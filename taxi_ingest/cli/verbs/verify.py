"""The verb `verify`: every copy beside its receipt; with --repair, what was found changed is made again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_ingest import exits
from taxi_ingest.cli import bugs
from taxi_ingest.cli.documents import part_fields, print_json
from taxi_ingest.cli.options import (
    AsJson,
    Config,
    DataDir,
    Given,
    HeldDataset,
    HeldMonth,
    Jobs,
    Quiet,
    Source,
    Store,
    Wait,
    Warehouse,
    flag,
)
from taxi_ingest.process import leave

if TYPE_CHECKING:
    from typing import TextIO

    from taxi_ingest.catalog import Part
    from taxi_ingest.engine.session import Session
    from taxi_ingest.job import Job
    from taxi_ingest.settings import Settings
    from taxi_ingest.verification import Verdict

Content = Annotated[
    bool,
    flag(
        "--content",
        help="Compare the values in BigQuery, too, which it bills for; says how much at most, and asks first.",
    ),
]
Accept = Annotated[bool, flag("--yes", "-y", help="Accept that bill without being asked.")]
Repair = Annotated[bool, flag("--repair", help="Make again what was found changed, and nothing else.")]

_ROUNDS = 2
"""A table can be compared only once its Parquet is intact, so what a repair brings to light is repaired, too."""


def verify(  # noqa: PLR0913, PLR0917 - typer makes an option of each
    month: HeldMonth = None,
    dataset: HeldDataset = None,
    source: Source = None,
    store: Store = None,
    warehouse: Warehouse = None,
    jobs: Jobs = None,
    repair: Repair = False,
    content: Content = False,
    yes: Accept = False,
    wait: Wait = False,
    config: Config = None,
    data_dir: DataDir = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare every copy with its receipt.

    All parts that have receipts, or those of --month and --dataset; latest is the newest held. What is found is noted
    in the receipts, under the lock, so that the next `run` redoes those steps. Only a repair is a run of the history.

    DuckDB and Postgres compare all values at no charge. BigQuery bills for the bytes it reads, so there rows are only
    counted unless --content asks for more; what a repair loaded is counted.
    """
    from taxi_ingest import report

    given = Given(
        month=month, dataset=dataset, source=source, store=store, warehouse=warehouse, jobs=jobs, wait=wait,
        config=config, data_dir=data_dir, quiet=quiet,
    )  # fmt: skip
    try:
        raise typer.Exit(_verify(given, repair=repair, content=content, yes=yes, as_json=as_json))
    except KeyboardInterrupt:
        report.error("interrupted; what was found until now is noted")
        leave(exits.INTERRUPTED)


def _verify(given: Given, *, repair: bool, content: bool, yes: bool, as_json: bool) -> int:
    """Look, repair if that was asked for, and show what came of it; returns the exit code."""
    from taxi_ingest import report
    from taxi_ingest.report import results
    from taxi_ingest.report import verdicts as reporting

    settings = given.settings()
    quiet, wait = settings.global_.quiet, settings.global_.wait
    job, notices = _job(given, settings)
    stream = sys.stderr if as_json else sys.stdout
    out = report.console(stderr=as_json)
    if not quiet:
        report.say(out, notices)
    agreed = _agreed_bytes(job, yes=yes, as_json=as_json) if content else {}
    begun = time.monotonic()
    found = left = _look(job, stream, agreed, quiet=quiet, wait=wait)
    if not quiet:
        reporting.summary(out, found, time.monotonic() - begun, repairs=repair)
    sessions: list[Session] = []
    while repair and len(sessions) < _ROUNDS and (parts := _repairable(left)):
        request = f"{given.request('verify', force=False, as_json=as_json)} --repair"
        sessions.append(_repair(replace(job, parts=parts), request, stream, quiet=quiet))
        report.say(out, [*sessions[-1].notes, *results.notes(sessions[-1].results())])
        left = _looked_at_again(job, left, stream, quiet=quiet)
    code = _exit_code(left, sessions)
    if sessions and not quiet:
        reporting.summary(out, left, time.monotonic() - begun, repairs=True)
    if as_json:
        print_json(_document(found, left, sessions, agreed, code))
    return code


def _job(given: Given, settings: Settings) -> tuple[Job, list[str]]:
    """The job of the parts that are looked at: those with receipts, as far as --month and --dataset name them; notices.

    Raises UsageError when there are none, so that nobody takes that for a month that is intact.
    """
    from taxi_ingest.asked import chosen
    from taxi_ingest.errors import UsageError
    from taxi_ingest.job import job_for
    from taxi_ingest.report import words
    from taxi_ingest.report.past import nothing_done
    from taxi_ingest.state.observe import known_parts
    from taxi_ingest.warehouses import check_pair

    job = job_for(settings, ())
    check_pair(job.store, job.warehouse, job.warehouse_options)
    known = known_parts(job, ())
    parts = chosen(known, months=given.month or [], datasets=given.dataset or [])
    if not known:
        raise UsageError(" ".join(["Nothing to verify.", *nothing_done(job.layout.data_dir)]))
    if not parts:
        wanted = " ".join([*(given.dataset or []), *(given.month or [])])
        raise UsageError(
            f"Nothing to verify: no receipts of {wanted} in {job.layout.data_dir}, only of {words.parts(known)}."
        )
    job = replace(job, parts=tuple(parts), source_given=False)  # a part that is repaired keeps its source
    return job, _not_held(given.month or [], parts)


def _not_held(months: list[str], parts: Sequence[Part]) -> list[str]:
    """A sentence about the months that were named and of which nothing is here, if there are any."""
    from taxi_ingest.catalog.months import parse_months

    held = {part.month for part in parts}
    missing = [month for month in parse_months(months, newest=lambda: "") if month not in held]
    if not missing:
        return []
    several = f"{len(missing):,} of the months, such as " if len(missing) > 1 else ""
    return [f"No receipts are here of {several}{missing[0]}."]


def _agreed_bytes(job: Job, *, yes: bool, as_json: bool) -> dict[Part, int]:
    """What may be billed for each part whose values are compared where that costs something; nothing if declined.

    Raises UsageError where nobody can be asked.
    """
    from taxi_ingest import report
    from taxi_ingest.cli.asking import agreed, check_terminal
    from taxi_ingest.report import verdicts as reporting
    from taxi_ingest.verification.cost import bytes_billed

    most_bytes = bytes_billed(job)
    if not most_bytes:
        return {}
    cost = reporting.cost(most_bytes, job.warehouse)
    if not yes:
        check_terminal(f"{cost} No terminal is there to ask whether to do so. Add --yes, or leave --content out.")
    report.say(report.console(stderr=as_json), [cost])
    return most_bytes if yes or agreed("Compare them? If not, rows are only counted.") else {}


def _look(job: Job, stream: TextIO, agreed: Mapping[Part, int], *, quiet: bool, wait: bool) -> list[Verdict]:
    """Look at every copy while no run is at work. Raises LockedError when one is, unless `wait` is set."""
    from taxi_ingest import report
    from taxi_ingest.engine.holder import locked_if_used
    from taxi_ingest.report import verdicts as reporting
    from taxi_ingest.verification.verify import verify as look

    with (
        locked_if_used(job.layout, wait=wait, announce=report.tell),
        reporting.watching(stream, quiet=quiet) as watcher,
    ):
        return look(job, watcher, agreed)


def _looked_at_again(job: Job, before: Sequence[Verdict], stream: TextIO, *, quiet: bool) -> list[Verdict]:
    """The verdicts `before` a repair, with those that found anything made anew: one repair may mend several parts."""
    parts = tuple(verdict.part for verdict in before if verdict.findings and not verdict.is_of_no_part)
    datasets = {part.dataset for part in parts}
    again = _look(replace(job, parts=parts), stream, {}, quiet=quiet, wait=True)
    stay = (v for v in before if (v.part.dataset not in datasets if v.is_of_no_part else not v.findings))
    return [*stay, *again]


def _repairable(verdicts: Sequence[Verdict]) -> tuple[Part, ...]:
    """The parts with a finding that a step can mend."""
    return tuple(verdict.part for verdict in verdicts if any(finding.step for finding in verdict.findings))


def _repair(job: Job, request: str, stream: TextIO, *, quiet: bool) -> Session:
    """An ordinary run of the parts of `job`: what was found is noted, so only that is redone."""
    from taxi_ingest import report
    from taxi_ingest.engine import doit_tasks
    from taxi_ingest.engine.session import Session
    from taxi_ingest.report import views

    with views.view(stream, quiet=quiet) as view:
        session = Session(job, view, request, wait=True)
        doit_tasks.run(session)
    for bug in session.bugs:
        report.error(bugs.kept(bug, job.layout.logs))
    return session


def _exit_code(left: Sequence[Verdict], sessions: Sequence[Session]) -> int:
    if any(session.bugs for session in sessions):
        return exits.BUG
    return exits.FAILED if any(verdict.findings for verdict in left) else exits.OK


def _document(
    found: Sequence[Verdict],
    left: Sequence[Verdict],
    sessions: Sequence[Session],
    agreed: Mapping[Part, int],
    code: int,
) -> dict[str, object]:
    return {
        "exit": code,
        "bytes_billed_at_most": sum(agreed.values()),
        "parts": [
            part_fields(verdict.part)
            | {
                "copies": {one.copy: one.state for one in verdict.checked if one.copy != "receipt"},
                "findings": list(_findings(verdict)),
                "notes": verdict.notes,
            }
            for verdict in found
        ],
        "runs": [session.run_id for session in sessions],
        "notes": [
            part_fields(result.part) | {"note": note}
            for session in sessions
            for result in session.results()
            for note in result.told
        ],
        "left": [finding for verdict in left for finding in _findings(verdict)],
    }


def _findings(verdict: Verdict) -> Iterator[dict[str, str | None]]:
    told = ("copy", "step", "where", "wrong", "remedy")
    for one in verdict.findings:
        yield part_fields(verdict.part) | {name: getattr(one, name) for name in told}
