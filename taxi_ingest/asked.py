"""Which parts a request names: `--month`, `--dataset` and `--source`, as parts and notices for the user."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from taxi_ingest import sources as publishers
from taxi_ingest.catalog import Dataset, Part, lacks
from taxi_ingest.catalog.months import parse_months
from taxi_ingest.catalog.reading import auto_source, datasets, default_dataset, sources
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import SourceError, TransientError, UsageError
from taxi_ingest.place import Place
from taxi_ingest.redaction import redacted
from taxi_ingest.retrying import Retries
from taxi_ingest.settings import Settings, given_explicitly
from taxi_ingest.sources.newest import Latest, Tell, newest_month


def chosen(parts: Iterable[Part], *, months: list[str], datasets: list[str]) -> list[Part]:
    """Those of `parts` that `--month` and `--dataset` name, all when nothing is named.

    `latest` is the newest of `parts` of each dataset. Raises UsageError for what is no month or dataset.
    """
    parse_months(months, newest=lambda: "")
    names = {known.name for known in datasets_named(",".join(datasets))} if datasets else set()
    found = [part for part in parts if not names or part.dataset in names]
    if not months:
        return found
    newest = {part.dataset: part.month or "" for part in sorted(found)}
    wanted = {name: set(parse_months(months, functools.partial(newest.__getitem__, name))) for name in newest}
    return [part for part in found if part.month in wanted[part.dataset]]


@dataclass(frozen=True)
class Asked:
    """The parts that a request names and that exist, notices, and what `latest` stood for, by dataset."""

    parts: Sequence[Part]
    notices: Sequence[str]
    latest: Mapping[str, Latest]


def asked_for(settings: Settings, held: Callable[[], Iterable[Part]], tell: Tell) -> Asked:
    """What a request asks for. Raises UsageError when nothing is left of it.

    Where nobody can tell the newest month of a dataset, `latest` is the newest of the parts that are `held`. So there
    may be no parts at all. `tell` hears what is waited for until then.
    """
    chosen = datasets_named(settings.shared.dataset)
    source = Place.parse(settings.global_.source)
    if any(known.monthly for known in chosen) and not settings.shared.month:
        raise UsageError("Which month? Add --month 2021-01, or set `month` in config.toml.")
    if not any(known.monthly for known in chosen) and given_explicitly(settings, "shared.month"):
        raise UsageError(f"{chosen[0].name} has no months. Leave --month out.")
    publishers.check_source(source, [])
    parts: list[Part] = []
    notices: list[str] = []
    latest: dict[str, Latest] = {}
    for known in chosen:
        wanted = _wanted(known, settings, functools.partial(_latest, known, settings, held, tell), latest)
        existing = [part for part in wanted if exists(known, part, str(source))]
        if not wanted and known.name not in _unanswered(latest):
            notices.append(f"{known.name} has no month of {settings.shared.month} yet.")
        if len(existing) < len(wanted):
            left = set(existing)
            notices.append(_left_out(known, [part for part in wanted if part not in left], source))
        parts += existing
    if not parts and not _unanswered(latest):
        raise UsageError(" ".join([*notices, "Nothing else was asked for."]) if notices else "Nothing matches.")
    publishers.check_source(source, parts)
    if str(source) == publishers.AUTO:
        notices += [_mixed(known, parts) for known in chosen]
    return Asked(parts, [notice for notice in notices if notice], latest)


def _unanswered(latest: Mapping[str, Latest]) -> set[str]:
    return {name for name, found in latest.items() if found.unanswered}


def _wanted(known: Dataset, settings: Settings, ask: Callable[[], Latest], latest: dict[str, Latest]) -> list[Part]:
    """The parts of a dataset that the request names, whether they exist or not; keeps what `latest` stood for."""
    if not known.monthly:
        return [Part(known.name)]

    def newest() -> str:
        if known.name not in latest:
            latest[known.name] = ask()
        return latest[known.name].month

    return [Part(known.name, month) for month in parse_months([settings.shared.month], newest)]


def _latest(known: Dataset, settings: Settings, held: Callable[[], Iterable[Part]], tell: Tell) -> Latest:
    retries = Retries(settings.download.tries, settings.download.backoff_seconds)
    source, timeout = Place.parse(settings.global_.source), settings.download.timeout_seconds
    try:
        return Latest(newest_month(known, source, retries=retries, timeout_seconds=timeout, tell=tell))
    except (SourceError, TransientError) as error:
        months = [part.month or "" for part in held() if part.dataset == known.name]
        return Latest(max(months, default=""), redacted(str(error)))


def datasets_named(text: str) -> list[Dataset]:
    """The datasets that `--dataset` names, the default one when it names none. Raises UsageError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        return [default_dataset()]
    if "all" in names:
        return list(datasets().values())
    return [dataset_named(name) for name in dict.fromkeys(names)]


def exists(known: Dataset, part: Part, source: str) -> bool:
    """Whether `source` (a name, "auto", "demo" or a template) may have the file of `part`, one day if not yet."""
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


def _left_out(known: Dataset, missing: Sequence[Part], source: Place) -> str:
    before = [part for part in missing if part.month is not None and part.month < known.first]
    if len(before) == len(missing):
        return f"{known.name} begins with {known.first}: {_in_words(missing)} left out."
    return f"Source {source} does not publish {known.name} for {_in_words(missing)}: left out."


def _in_words(parts: Sequence[Part]) -> str:
    first, last = parts[0].month or "it", parts[-1].month or "it"
    return first if first == last else f"{first}..{last}"
