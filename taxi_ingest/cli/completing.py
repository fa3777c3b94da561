"""What the shell offers after Tab: datasets, months, sources, runs, and what `logs` narrows to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import typer

_RUNS = 20
"""So many runs are offered, the newest first."""


def datasets(incomplete: str) -> list[str]:
    """Datasets, and all of them."""
    from taxi_ingest.catalog import reading

    return _beginning(incomplete, [*reading.datasets(), "all"])


def months(incomplete: str) -> list[str]:
    """Years, which become months with a hyphen, and the newest month."""
    from taxi_ingest.catalog.months import LATEST, month_range, this_month
    from taxi_ingest.catalog.reading import datasets

    found = month_range(min(known.first for known in datasets().values() if known.monthly), this_month())
    if len(incomplete) < len("2021-"):
        found = [*dict.fromkeys(month[:4] for month in found), LATEST]
    return _beginning(incomplete, found)


def sources(incomplete: str) -> list[str]:
    """Sources with a name."""
    from taxi_ingest.catalog import reading
    from taxi_ingest.sources import AUTO, DEMO

    return _beginning(incomplete, [AUTO, *reading.sources(), DEMO])


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Runs of the data directory that was typed, the newest first."""
    from taxi_ingest.history.reading import LATEST

    return _beginning(incomplete, [LATEST, *_past_runs(ctx)])


def log_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """What `logs` narrows to: steps, datasets, runs."""
    from taxi_ingest.catalog import reading
    from taxi_ingest.graph import STEPS

    return [*_beginning(incomplete, [*STEPS, *reading.datasets()]), *runs(ctx, incomplete)]


def _past_runs(ctx: typer.Context) -> Iterator[str]:
    from taxi_ingest.cli.options import Given
    from taxi_ingest.errors import TaxiError
    from taxi_ingest.history.reading import past_runs

    with contextlib.suppress(TaxiError):  # a shell that completes a line is no place to complain
        given = Given(config=ctx.params.get("config"), data_dir=ctx.params.get("data_dir"))
        with past_runs(given.layout().history, at_work=False) as past:
            yield from (run.run for run in past.newest(_RUNS))


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
