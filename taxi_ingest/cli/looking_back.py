"""The verbs that look at what was done: status, history, logs. They take no lock and need no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_ingest.cli.completing import log_words
from taxi_ingest.cli.documents import part_fields, print_json
from taxi_ingest.cli.options import (
    AsJson,
    Config,
    DataDir,
    Given,
    HeldDataset,
    HeldMonth,
    Last,
    OnlyFailed,
    Run,
    Store,
    Verbose,
    Warehouse,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from taxi_ingest.catalog import Part
    from taxi_ingest.graph import Step
    from taxi_ingest.history.reading import PastAttempt, PastRun, PastRuns
    from taxi_ingest.layout import Layout


def status(
    month: HeldMonth = None,
    dataset: HeldDataset = None,
    store: Store = None,
    warehouse: Warehouse = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how far every part is."""
    from taxi_ingest import report
    from taxi_ingest.asked import chosen
    from taxi_ingest.errors import HistoryError
    from taxi_ingest.job import job_for
    from taxi_ingest.report import grids
    from taxi_ingest.state.observe import Observer, known_parts
    from taxi_ingest.state.status import grid

    settings = Given(store=store, warehouse=warehouse, config=config, data_dir=data_dir).settings()
    job = job_for(settings, ())
    attempts: Mapping[tuple[Part, Step], PastAttempt] = {}
    failed: frozenset[tuple[Part, Step]] = frozenset()
    try:
        with _past_runs(job.layout) as past:
            attempts, failed = past.last_attempts(), past.still_failed()
    except HistoryError as error:  # receipts and this disk tell what is done
        report.error(str(error))
    known = known_parts(job, (part for part, _ in attempts))
    parts = chosen(known, months=month or [], datasets=dataset or [])
    observer = Observer.impatient(job, "this disk")
    cells = grid(job, observer, parts, attempts, failed)
    if as_json:
        rows = [part_fields(part) | {step: asdict(cell) for step, cell in cells[part].items()} for part in parts]
        print_json({"parts": rows})
    else:
        grids.status(report.console(), cells, job.layout.data_dir, known)


def history(
    run: Run = None,
    failed: OnlyFailed = False,
    last: Last = 20,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show runs, or one run's attempts."""
    from taxi_ingest import report
    from taxi_ingest.report import past as reporting

    layout = _layout(config, data_dir)
    with _past_runs(layout) as past:
        if run is None:
            found = past.newest(last, failed=failed)
            if as_json:
                print_json({"runs": [asdict(one) for one in found]})
            elif found or not failed:
                reporting.runs(report.console(), found, layout.data_dir)
            else:
                report.say(report.console(), ["No run left anything undone."])
            return
        one = past.named(run)
        attempts, outcomes, notes = past.attempts(one, failed=failed), past.outcomes(one), past.notes(one)
    if as_json:
        ends = [part_fields(part) | {"step": step, "outcome": outcome} for part, step, outcome in outcomes]
        said = [part_fields(note.part) | {"note": note.sentence} for note in notes]
        print_json({"run": asdict(one), "attempts": [asdict(a) for a in attempts], "outcomes": ends, "notes": said})
    else:
        reporting.run(report.console(), one, attempts, outcomes, notes)


def logs(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN|PART|STEP",
            help="Any of: a run (else the newest that did anything), a part such as yellow-2021-01, a step.",
            autocompletion=log_words,
        ),
    ] = None,
    failed: OnlyFailed = False,
    verbose: Verbose = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Print log files, each under a line that says whose it is."""
    from taxi_ingest import report
    from taxi_ingest.errors import UsageError
    from taxi_ingest.report import past as reporting

    run, part, step = _sorted_out(what or [])
    layout, out = _layout(config, data_dir), report.console()
    with _past_runs(layout) as past:
        if not past.newest(1):
            raise UsageError(" ".join(reporting.nothing_done(layout.data_dir)))
        one = past.named(run) if run else past.newest_eventful()
        tried, notes = past.attempts(one), past.notes(one)
        chosen = _fitting(tried, part, step, failed=failed)
        if not tried and notes and one.left_undone:
            reporting.reasons(out, one, notes)  # no step began: the store has no credentials, say
            return
        if not chosen and not run:
            chosen = _fitting(past.last_attempts().values(), part, step, failed=failed)
        if not chosen:
            raise UsageError(_nothing_fits(past, one, part, step, failed=failed))
    for attempt in chosen:
        path = layout.data_dir / attempt.log
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else "(the log file was removed)"
        reporting.log(out, attempt, text if verbose else reporting.without_tracebacks(text))


def _layout(config: str | None, data_dir: str | None) -> Layout:
    from taxi_ingest.job import layout_of

    return layout_of(Given(config=config, data_dir=data_dir).settings())


def _past_runs(layout: Layout) -> AbstractContextManager[PastRuns]:
    from taxi_ingest.engine.holder import history_of

    return history_of(layout)


def _fitting(attempts: Iterable[PastAttempt], part: str, step: str, *, failed: bool) -> list[PastAttempt]:
    """Those of a part (or dataset) and a step, each "" for all; with `failed` those that did not end well."""
    return [
        one
        for one in attempts
        if part in {"", str(one.part), one.dataset} and step in {"", one.step} and (one.went_wrong or not failed)
    ]


def _nothing_fits(past: PastRuns, run: PastRun, part: str, step: str, *, failed: bool) -> str:
    """Why there is no log of that kind, and what there is."""
    import difflib

    ends: dict[tuple[str, str], str] = {(str(of), name): outcome for of, name, outcome in past.outcomes(run)}
    if ends.get((part, step)) == "blocked":
        return f"{part} {step} was not tried in {run.run}: a step before it failed. See: taxi-ingest logs {part}."
    if ends.get((part, step)) == "up_to_date":
        return f"{part} {step} was up to date in {run.run}, so it was not tried. See: taxi-ingest logs {part} {step}."
    what = f"{'failed ' if failed else ''}try{f' of {part}' if part else ''}{f' {step}' if step else ''}"
    known = {str(of) for of, _ in past.last_attempts()}
    near = difflib.get_close_matches(part, known, n=1, cutoff=0.8) if part not in known else []
    guess = f" Did you mean {near[0]}?" if near else ""
    return f"{run.run} has no {what}.{guess} `taxi-ingest history {run.run}` lists what it tried."


def _sorted_out(words: list[str]) -> tuple[str, str, str]:
    """Run, part (or dataset) and step, in whatever order they were typed; "" for what was not."""
    from taxi_ingest.catalog.reading import datasets
    from taxi_ingest.graph import STEPS

    step = next((word for word in words if word in STEPS), "")
    part = next((word for word in words if word.partition("-")[0] in datasets()), "")
    run = next((word for word in words if word not in {step, part}), "")
    return run, part, step
