"""What was asked for, settings and flags together, made into a `Pipeline` of plain values.

Everything that makes no sense is refused here, before any work.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from taxi_ingest import sources as publishers
from taxi_ingest import stores, warehouses
from taxi_ingest.catalog import Dataset, Part, lacks
from taxi_ingest.catalog.months import parse_months
from taxi_ingest.catalog.reading import auto_source, datasets, default_dataset, sources
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import UsageError
from taxi_ingest.pipeline import STEPS, Pipeline
from taxi_ingest.retrying import Retries
from taxi_ingest.settings import Settings
from taxi_ingest.sources.newest import newest_month

DEMO_DATA_DIR = "./demo-data"

_CHOICES = {
    "parquetize.compression": ("zstd", "snappy", "gzip", "none"),
    "global.keep": ("parquet",),
    "load.method": ("partition", "merge"),
}
_AT_LEAST_ONE = (
    "global.jobs", "download.at_once", "download.tries", "parquetize.at_once", "parquetize.row_group_rows",
    "upload.at_once", "upload.tries", "load.tries",
)  # fmt: skip


def pipeline(settings: Settings, *, verb: str, force: bool = False) -> tuple[Pipeline, list[str]]:
    """The pipeline for `verb` ("run" or a step), and notices for the user. Raises UsageError."""
    _check_values(settings)
    check_places(store_url(settings), warehouse_url(settings))
    parts, notices = _parts(settings)
    target = "load" if verb == "run" else verb
    forced = frozenset() if not force else frozenset(STEPS if verb == "run" else {verb})
    return pipeline_of(settings, parts, targets=frozenset({target}), forced=forced), notices


def pipeline_of(
    settings: Settings,
    parts: Sequence[Part],
    *,
    targets: frozenset[str] = frozenset({"load"}),
    forced: frozenset[str] = frozenset(),
) -> Pipeline:
    """The pipeline of these very parts."""
    return Pipeline(
        parts=tuple(parts),
        targets=targets,
        data_dir=data_dir(settings),
        source=settings.global_.source,
        source_given=_origin(settings, "global.source") and settings.global_.source != publishers.AUTO,
        store=store_url(settings),
        warehouse=warehouse_url(settings),
        kept=frozenset(settings.global_.keep),
        forced=forced,
        strict=settings.global_.strict,
        jobs=settings.global_.jobs,
        at_once={
            "download": settings.download.at_once,
            "parquetize": settings.parquetize.at_once,
            "upload": settings.upload.at_once,
            "load": 1,
        },
        retries={
            "download": Retries(settings.download.tries, settings.download.backoff_seconds),
            "parquetize": Retries(1, 0),
            "upload": Retries(settings.upload.tries, settings.upload.backoff_seconds),
            "load": Retries(settings.load.tries, settings.load.backoff_seconds),
        },
        timeout_seconds=settings.download.timeout_seconds,
        grace_days=settings.download.grace_days,
        writer={
            "compression": settings.parquetize.compression,
            "level": settings.parquetize.compression_level,
            "row_group_rows": settings.parquetize.row_group_rows,
        },
        max_rejects=settings.parquetize.max_rejects,
        demo=asdict(settings.demo),
        history_days=settings.global_.history_days,
    )


def chooser(*, months: list[str], datasets: list[str]) -> Callable[[Part], bool]:
    """Whether a part is among those that `--month` and `--dataset` name; all are when nothing is named."""
    chosen = set(parse_months(months)) if months else set()
    names = {known.name for known in _datasets(",".join(datasets))} if datasets else set()
    return lambda part: (not chosen or part.month in chosen) and (not names or part.dataset in names)


def _origin(settings: Settings, name: str) -> bool:
    """Whether a setting was given for this very invocation: by a flag or in the environment."""
    origin = settings.origins.get(name, "default")
    return origin == "flag" or origin.startswith("TAXI_INGEST_")


def store_url(settings: Settings) -> str:
    """The store in force: a URL, or the full path of a folder."""
    return _absolute(settings.global_.store) or str(data_dir(settings) / "lake")


def warehouse_url(settings: Settings) -> str:
    """The warehouse in force; BigQuery's bears how a month is replaced."""
    url = _absolute(settings.global_.warehouse, "duckdb:") or f"duckdb:{data_dir(settings) / 'taxi.duckdb'}"
    if url.startswith("bigquery:") and "method=" not in url:
        url += f"{'&' if '?' in url else '?'}method={settings.load.method}"
    return url


def data_dir(settings: Settings) -> Path:
    """The data directory in force, as a full path."""
    demo = settings.global_.source == publishers.DEMO and not _origin(settings, "global.data_dir")
    return Path(DEMO_DATA_DIR if demo else settings.global_.data_dir).resolve()


def _absolute(place: str, scheme: str = "") -> str:
    """A place on this disk under its full name, so that receipts agree wherever they are read; others as they are."""
    path = place.removeprefix(scheme)
    if not path or "://" in place or not place.startswith(scheme) or path.startswith(":"):
        return place
    return f"{scheme}{Path(path).resolve()}"


def _check_values(settings: Settings) -> None:
    values = {name: value for name, value, _ in settings.items()}
    for name in _AT_LEAST_ONE:
        if int(str(values[name])) < 1:
            raise UsageError(f"{name} must be at least 1, not {values[name]}.")
    if settings.global_.history_days < 0:
        raise UsageError(f"global.history_days must be 0 (for ever) or more, not {settings.global_.history_days}.")
    for name, choices in _CHOICES.items():
        value = values[name]
        for item in value if isinstance(value, tuple) else (value,):
            if item not in choices:
                raise UsageError(f"{name} cannot be '{item}'. Possible: {', '.join(choices)}.")


def check_places(store: str, warehouse: str) -> None:
    """Raise UsageError for a store and a warehouse that cannot work together."""
    reads = warehouses.connect(warehouse).reads
    scheme = stores.connect(store).url.partition("://")[0] if "://" in store else ""
    if "" not in reads and scheme not in reads:
        raise UsageError(
            f"{warehouse} cannot load from the store {store}. Use a store it reads: "
            f"{', '.join(f'{possible}://…' for possible in reads)}."
        )


def _parts(settings: Settings) -> tuple[list[Part], list[str]]:
    chosen = _datasets(settings.shared.dataset)
    source = settings.global_.source
    if any(known.monthly for known in chosen) and not settings.shared.month:
        raise UsageError("Which month? Add --month 2021-01, or set `month` in config.toml.")
    if not any(known.monthly for known in chosen) and _origin(settings, "shared.month"):
        raise UsageError(f"{chosen[0].name} has no months. Leave --month out.")
    publishers.check_source(source, [])
    parts: list[Part] = []
    notices: list[str] = []
    for known in chosen:
        wanted = _wanted(known, settings)
        there = [part for part in wanted if _exists(known, part, source)]
        if not wanted:
            notices.append(f"{known.name} has no month of {settings.shared.month} yet.")
        if len(there) < len(wanted):
            notices.append(_left_out(known, [p for p in wanted if p not in there], source))
        parts += there
    if not parts:
        raise UsageError(" ".join(notices) or "Nothing matches.")
    publishers.check_source(source, parts)
    if source == publishers.AUTO:
        notices += [_mixed(known, parts) for known in chosen]
    return parts, [notice for notice in notices if notice]


def _wanted(known: Dataset, settings: Settings) -> list[Part]:
    """The parts of a dataset that the request names, whether they exist or not."""
    if not known.monthly:
        return [Part(known.name)]

    @functools.cache
    def newest() -> str:
        retries = Retries(settings.download.tries, settings.download.backoff_seconds)
        source, timeout = settings.global_.source, settings.download.timeout_seconds
        return newest_month(known, source, retries=retries, timeout_seconds=timeout)

    return [Part(known.name, month) for month in parse_months([settings.shared.month], newest)]


def _datasets(text: str) -> list[Dataset]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        return [default_dataset()]
    if "all" in names:
        return list(datasets().values())
    return [dataset_named(name) for name in dict.fromkeys(names)]


def _exists(known: Dataset, part: Part, source: str) -> bool:
    if part.month is None:
        return source != publishers.DEMO
    if part.month < known.first:
        return False
    if source == publishers.DEMO:
        from taxi_ingest.sources.demo import layout

        return layout(part) is not None
    return sources()[source].publishes(part) if publishers.is_named(source) else True


def _mixed(known: Dataset, parts: Sequence[Part]) -> str:
    """One line when the default source takes a dataset's months from several publishers; "" otherwise."""
    months: dict[str, list[Part]] = {}
    for part in parts:
        if part.dataset == known.name:
            months.setdefault(auto_source(part), []).append(part)
    if len(months) < 2:
        return ""
    spans = ", ".join(f"{_in_words(theirs)} from {name}" for name, theirs in months.items())
    missing = {name: lacks(known, sources()[name]) for name in months}
    lacking = "".join(f"; {name} lacks {', '.join(columns)}" for name, columns in missing.items() if columns)
    return (
        f"{known.name}: {spans}. The publishers differ by a few rows a month{lacking}. "
        f"--source {list(sources())[-1]} takes all from one."
    )


def _left_out(known: Dataset, missing: Sequence[Part], source: str) -> str:
    before = [part for part in missing if part.month is not None and part.month < known.first]
    if len(before) == len(missing):
        return f"{known.name} begins with {known.first}: {_in_words(missing)} left out."
    return f"Source {source} does not publish {known.name} for {_in_words(missing)}: left out."


def _in_words(parts: Sequence[Part]) -> str:
    first, last = parts[0].month or "it", parts[-1].month or "it"
    return first if first == last else f"{first}..{last}"
