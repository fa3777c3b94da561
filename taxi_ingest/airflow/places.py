"""Where the tasks of a DAG work: what all workers have in common, and what they cannot have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxi_ingest import sources as publishers
from taxi_ingest import stores, warehouses
from taxi_ingest.catalog.reading import sources
from taxi_ingest.errors import UsageError
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.job import options_of, store_of, warehouse_of
from taxi_ingest.place import Place
from taxi_ingest.redaction import public_text
from taxi_ingest.settings import Settings, read
from taxi_ingest.values import Value

ONE_MACHINE = "LocalExecutor"
"""The executor whose workers are processes of the scheduler's machine."""


@dataclass(frozen=True)
class Site:
    """What the tasks of a DAG are told of the machines they run on.

    `config`: the full path of a config file, or its sections. `shared`: a data directory that all workers see, "" where
    they share none. `scratch`: the folder in which tasks make their own, "" for the system's. `separate`: workers may
    be on several machines. `sources`: what whoever starts a run may take its months from, beside the named sources.
    """

    config: str | Mapping[str, Any]
    shared: str = ""
    scratch: str = ""
    separate: bool = True
    sources: tuple[str, ...] = ()

    def settings(self, flags: Mapping[str, Value]) -> Settings:
        """The settings of a task; `flags` as in `settings.read`."""
        return read(flags, config=self.config)


@dataclass(frozen=True)
class Slice:
    """The steps that one task takes a part through, without a pause; `name` is the task's.

    `before`: steps that earlier tasks took, and that it makes sure of: they are up to date, unless what they left is
    gone or a worker cannot know it.
    """

    name: str
    steps: tuple[Step, ...]
    before: tuple[Step, ...] = ()

    @property
    def loads(self) -> bool:
        """Whether the part is in the table afterwards."""
        return self.steps[-1] == "load"


_TO_STORE: tuple[Step, ...] = ("download", "parquetize", "upload")
KEEPING_NOTHING = (Slice("to_store", _TO_STORE), Slice("load", ("load",), before=_TO_STORE))
"""What is between two tasks must be where every worker finds it: in the store."""

STEPWISE = tuple(Slice(step, (step,)) for step in STEPS)


def slices(site: Site) -> tuple[Slice, ...]:
    """The tasks of a part, in order."""
    return STEPWISE if site.shared else KEEPING_NOTHING


def sources_of_runs(site: Site, dataset: str) -> tuple[str, ...]:
    """What whoever starts a run of `dataset` may take its months from.

    Who may do that need not be trusted with the workers' disks and network, nor with what fills the table.
    """
    named = [name for name, source in sources().items() if dataset in {*source.months, *source.files}]
    return (publishers.AUTO, *named, *site.sources)


def is_separate(executors: str) -> bool:
    """Whether workers may be on several machines, by Airflow's setting [core] executor."""
    names = [name.partition("=")[2] or name for name in executors.replace(";", ",").split(",")]
    return any(name.rpartition(".")[2].rpartition(":")[2].strip() != ONE_MACHINE for name in names)


def check(site: Site) -> Settings:
    """The settings in force.

    Raises UsageError for those that no task would take, and where the workers could not find each other's work.
    """
    _check_full("shared data directory", site.shared)
    _check_full("scratch folder", site.scratch)
    if isinstance(site.config, str):
        _check_full("config file", site.config)
    for source in site.sources:
        _check_source(source)
    settings = site.settings({"global.data_dir": site.shared} if site.shared else {})
    for name, given in (("store", settings.global_.store), ("warehouse", settings.global_.warehouse)):
        _check_named(name, given, needed=not site.shared)
    store, warehouse = store_of(settings), warehouse_of(settings)
    if site.separate and not site.shared and store.path:
        raise UsageError(
            f"Workers on separate machines cannot share the folder {store} as their store. Use gs://bucket/prefix; or, "
            "if they all see one file system, name the data directory there: shared=…"
        )
    if site.separate and warehouse.path:
        raise UsageError(
            f"{warehouse} is a file, which workers on separate machines cannot write. Use bigquery://project/dataset "
            f"or postgresql://host/database; or run all tasks on one machine ({ONE_MACHINE})."
        )
    _check_kinds(settings)
    return settings


def _check_kinds(settings: Settings) -> None:
    """Refuse a source, store or warehouse of no known kind. No client is loaded: the rest is refused by the tasks."""
    publishers.check_source(Place.parse(settings.global_.source), [])
    stores.kind_of(store_of(settings))
    warehouses.kind_of(warehouse_of(settings), options_of(settings))


def _check_source(source: str) -> None:
    """Refuse what is no source, and what Airflow must not show to all who may start a run."""
    if public_text(source) != source:
        raise UsageError(
            f"sources: {public_text(source)} holds a secret, and Airflow shows it to whoever may start a run. Put it "
            "into the config: global.source."
        )
    publishers.check_source(Place.parse(source), [])


def _check_full(what: str, path: str) -> None:
    """Refuse what depends on the folder that a worker starts in."""
    if path and not Path(path).is_absolute():
        raise UsageError(f"The {what} {path} must be a full path: workers start in any folder.")


def _check_named(name: str, given: str, *, needed: bool) -> None:
    """Refuse a store or warehouse that would lie in the data directory, which ends with each task, if it is `needed`.

    And one that depends on the worker.
    """
    if given:
        place = Place.parse(given)
        _check_full(name, str(place) if place.path and not Path(place.path).is_absolute() else "")
    elif needed:
        raise UsageError(
            f"Workers keep nothing, so name the {name}: global.{name} in the config. Or name a data directory that "
            "all of them share: shared=…"
        )
