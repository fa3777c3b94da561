"""The verb `logs`: log files of tries. It takes no lock and needs no network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_ingest.cli.completing import log_words
from taxi_ingest.cli.options import Config, DataDir, Given, OnlyFailed, Verbose

if TYPE_CHECKING:
    from taxi_ingest.history.reading import PastAttempt, PastRun, PastRuns


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
    from taxi_ingest.engine.holder import history_of
    from taxi_ingest.errors import UsageError
    from taxi_ingest.report import past as reporting

    run, part, step = _sorted_out(what or [])
    layout, out = Given(config=config, data_dir=data_dir).layout(), report.console()
    with history_of(layout) as past:
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
    of = " ".join(word for word in (part, step) if word)
    what = f"{'failed ' if failed else ''}try{f' of {of}' if of else ''}"
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
