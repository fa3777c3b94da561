"""What was asked for: settings and flags together, as one job of plain values.

Everything that makes no sense is refused here, before any work.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from taxi_ingest import sources as publishers
from taxi_ingest.asked import asked_for, datasets_named
from taxi_ingest.catalog import Part
from taxi_ingest.catalog.months import parse_months, this_month
from taxi_ingest.catalog.reading import datasets
from taxi_ingest.errors import UsageError
from taxi_ingest.graph import ARTEFACTS, STEPS, Artefact, Step, up_to
from taxi_ingest.layout import Layout
from taxi_ingest.place import Place
from taxi_ingest.redaction import public_text
from taxi_ingest.retrying import Retries
from taxi_ingest.settings import Settings, given_explicitly
from taxi_ingest.sources.newest import Latest
from taxi_ingest.stores import open_store
from taxi_ingest.values import quoted
from taxi_ingest.warehouses import Options, check_pair
from taxi_ingest.writers.provenance import Writer

DEMO_DATA_DIR = "./demo-data"

_HIGHEST_LEVEL = {"gzip": 9}
"""Where a kind of compression knows fewer levels than the setting allows."""


@dataclass(frozen=True)
class Job:
    """One request as plain values: which parts, how far, from where, to where, and how.

    `targets` are the steps asked for, `forced` those that are redone whatever is known, `kept` the artefacts that are
    left on this disk; Parquet among them is made again when missing. `source` counts for parts that have a source
    already only when `source_given`. `at_once` limits how many parts may be in a step at the same time, `jobs` how many
    steps in all. With `check_disk`, a run that needs more room than there is does not begin. With `refresh`, publishers
    are asked whether they changed the files that are held; else only about the newest `refresh_months` of a dataset.
    `latest` tells, by dataset, what that word in the request stood for.
    """

    parts: tuple[Part, ...]
    targets: frozenset[Step]
    forced: frozenset[Step]
    kept: frozenset[Artefact]
    check_disk: bool
    layout: Layout
    source: Place
    source_given: bool
    store: Place
    warehouse: Place
    warehouse_options: Options
    writer: Writer
    max_rejects: float
    strict: bool
    allow_empty: bool
    jobs: int
    at_once: Mapping[Step, int]
    retries: Mapping[Step, Retries]
    timeout_seconds: float
    slowest_bytes_per_second: float
    grace_days: int
    refresh: bool
    refresh_months: int
    demo: publishers.MadeUp
    history_days: int
    latest: Mapping[str, Latest] = field(default_factory=dict)

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps asked for and those they need, in order."""
        return up_to(self.targets)

    @functools.cached_property
    def unanswered(self) -> dict[str, str]:
        """By dataset, why nobody could tell its newest month, and how far its months go instead."""
        return {name: _in_words(latest) for name, latest in self.latest.items() if latest.unanswered}


def make_job(
    settings: Settings,
    *,
    verb: str,
    force: bool = False,
    refresh: bool = False,
    tell: Callable[[str], None] = lambda sentence: None,
) -> tuple[Job, list[str]]:
    """The job for `verb` ("run" or a step), and notices for the user. Raises UsageError.

    `tell` hears what is waited for while a publisher is asked for its newest month.
    """
    _check_level(settings)
    job = job_for(settings, ())
    check_pair(job.store, job.warehouse, job.warehouse_options)
    asked = asked_for(settings, job.layout.parts_with_receipts, tell)
    target: Step = next((step for step in STEPS if step == verb), "load")
    forced = frozenset(STEPS if verb == "run" else (target,)) if force else frozenset[Step]()
    made = job_for(settings, asked.parts, targets=frozenset({target}), forced=forced, refresh=refresh)
    return replace(made, latest=asked.latest), list(asked.notices)


def ping_of(settings: Settings) -> Place | None:
    """The address that is asked after each run, if there is one. Raises UsageError for one that is not of the web."""
    if not settings.operate.ping_url:
        return None
    place = Place.parse(settings.operate.ping_url)
    if place.scheme not in {"http", "https"}:
        raise UsageError(f"operate.ping_url must be an http or https address, not {quoted(str(place))}.")
    return place


def check_settings(settings: Settings) -> None:
    """Raise UsageError for settings that no run would take; asks nobody."""
    _check_level(settings)
    ping_of(settings)
    datasets_named(settings.shared.dataset)
    if settings.shared.month:
        parse_months([settings.shared.month], this_month)
    publishers.check_source(Place.parse(settings.global_.source), [])
    open_store(store_of(settings))
    check_pair(store_of(settings), warehouse_of(settings), options_of(settings))


def job_for(
    settings: Settings,
    parts: Sequence[Part],
    *,
    targets: frozenset[Step] = frozenset({"load"}),
    forced: frozenset[Step] = frozenset(),
    refresh: bool = False,
) -> Job:
    """The job for these very parts."""
    layout = layout_of(settings)
    return Job(
        parts=tuple(parts),
        targets=targets,
        forced=forced,
        kept=frozenset(artefact for artefact in ARTEFACTS if artefact in settings.global_.keep),
        check_disk=settings.global_.check_disk and not forced,
        layout=layout,
        source=Place.parse(settings.global_.source),
        source_given=given_explicitly(settings, "global.source") and settings.global_.source != publishers.AUTO,
        store=store_of(settings),
        warehouse=warehouse_of(settings),
        warehouse_options=options_of(settings),
        writer=Writer(
            compression=settings.parquetize.compression,
            level=settings.parquetize.compression_level,
            row_group_rows=settings.parquetize.row_group_rows,
        ),
        max_rejects=settings.parquetize.max_rejects,
        strict=settings.global_.strict,
        allow_empty=settings.parquetize.allow_empty,
        jobs=settings.global_.jobs,
        at_once=at_once_of(settings),
        retries=retries_of(settings),
        timeout_seconds=settings.download.timeout_seconds,
        slowest_bytes_per_second=settings.download.slowest_bytes_per_second,
        grace_days=settings.download.grace_days,
        refresh=refresh,
        refresh_months=settings.download.refresh_months,
        demo=publishers.MadeUp(**asdict(settings.demo)),
        history_days=settings.global_.history_days,
    )


def at_once_of(settings: Settings) -> dict[Step, int]:
    """How many parts may be in a step at the same time."""
    return {
        "download": settings.download.at_once,
        "parquetize": settings.parquetize.at_once,
        "upload": settings.upload.at_once,
        "load": 1,
    }


def retries_of(settings: Settings) -> dict[Step, Retries]:
    """How often a step is tried; a conversion needs nobody else, so another try would not help."""
    return {
        "download": Retries(settings.download.tries, settings.download.backoff_seconds),
        "parquetize": Retries(1, 0),
        "upload": Retries(settings.upload.tries, settings.upload.backoff_seconds),
        "load": Retries(settings.load.tries, settings.load.backoff_seconds),
    }


def layout_of(settings: Settings) -> Layout:
    """The paths of the data directory in force. Raises UsageError for what is no folder."""
    demo = settings.global_.source == publishers.DEMO and not given_explicitly(settings, "global.data_dir")
    folder = DEMO_DATA_DIR if demo else settings.global_.data_dir
    if public_text(folder) != folder:
        raise UsageError(f"{public_text(folder)} cannot be the data directory. Name a folder, such as ./data.")
    if not folder:
        raise UsageError("The data directory has no name. Name a folder with --data-dir, such as ./data.")
    layout = Layout(_resolved("global.data_dir", Path(folder).resolve))
    if layout.data_dir.is_file():
        raise UsageError(f"{layout.data_dir} is a file. Name a folder with --data-dir.")
    return layout


def store_of(settings: Settings) -> Place:
    """The store in force. Raises UsageError for a file, and for a folder that the data directory itself uses."""
    layout = layout_of(settings)
    place = Place.parse(settings.global_.store or str(layout.lake))
    found = _resolved("global.store", place.resolved)
    if found.path and layout.uses(Path(found.path)):
        raise UsageError(
            f"{found} cannot be the store, because the data directory keeps its own files there. Name a folder of its "
            f"own, such as {layout.lake}."
        )
    if not found.scheme and Path(found.path).is_file():
        raise UsageError(f"{found} is a file. Name a folder with --store.")
    return found


def keeps_files_beside(settings: Settings, file: Path) -> bool:
    """Whether `file` lies in a folder of the data directory, or of a store on this disk, where parts have theirs."""
    layout, store = layout_of(settings), store_of(settings)
    folder = Path(os.path.realpath(file)).parent  # which takes links in a circle, too
    if folder != layout.data_dir and layout.uses(folder):
        return True
    roots = [layout.lake, *([Path(store.path)] if store.path else [])]
    return any(folder.is_relative_to(root.resolve() / name) for root in roots for name in datasets())


def warehouse_of(settings: Settings) -> Place:
    """The warehouse in force."""
    place = Place.parse(settings.global_.warehouse or f"duckdb:{layout_of(settings).duckdb}")
    return _resolved("global.warehouse", place.resolved)


_Resolved = TypeVar("_Resolved", Path, Place)
_LONGEST_PATH = 1000


def _resolved(setting: str, resolve: Callable[[], _Resolved]) -> _Resolved:
    """What `resolve` finds. Raises UsageError for links in a circle, names that are not UTF-8, and endless paths."""
    try:
        found = resolve()
        str(found).encode()
    except RuntimeError as error:
        raise UsageError(f"{setting} leads in a circle: {error}. Name another place, or mend the link.") from None
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{setting} lies in a folder whose name is not UTF-8: {error.object!a}. Rename it, or name another place."
        ) from None
    if len(str(found)) > _LONGEST_PATH:
        raise UsageError(f"{setting} is longer than {_LONGEST_PATH:,} characters. Name a shorter path.")
    return found


def options_of(settings: Settings) -> Options:
    """How the warehouse in force is used."""
    load = settings.load
    return Options(
        method=load.method,
        memory_limit_mb=load.memory_limit_mb,
        labels=load.labels,
        maximum_bytes_billed=load.maximum_bytes_billed,
    )


def _in_words(latest: Latest) -> str:
    instead = f"its months go up to {latest.month}, the newest that is held" if latest.month else "none is held"
    return f"the newest month could not be found out; {instead}. {latest.unanswered}"


def _check_level(settings: Settings) -> None:
    compression, level = settings.parquetize.compression, settings.parquetize.compression_level
    highest = _HIGHEST_LEVEL.get(compression, level)
    if level > highest:
        raise UsageError(f"parquetize.compression_level must be at most {highest} for {compression}, not {level}.")
