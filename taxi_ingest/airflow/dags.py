"""The DAG of a dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, CronPartitionTimetable, Param, conf, task_group

from taxi_ingest.airflow.places import Site, check, is_separate, slices, sources_of_runs
from taxi_ingest.airflow.schedule import DAILY, MONTHLY, check_monthly
from taxi_ingest.airflow.tasks import Tasks
from taxi_ingest.catalog import Dataset
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import UsageError
from taxi_ingest.job import warehouse_of
from taxi_ingest.values import quoted

_MONTH = r"([0-9]{4}(-[0-9]{2})?|latest)"
_SPAN = rf"{_MONTH}(\.\.{_MONTH})?"
_MONTHS = rf"^{_SPAN}(, *{_SPAN})*$"
"""What `--month` takes, for the form in which a run is started."""


def dag(  # noqa: PLR0913 - each is one thing that installations differ in
    dataset: str,
    *,
    config: str | os.PathLike[str] | Mapping[str, Any],
    dag_id: str = "",
    schedule: str | None = MONTHLY,
    months_back: int = 3,
    timezone: str = "America/New_York",
    shared: str = "",
    scratch: str = "",
    separate: bool | None = None,
    wait: bool = False,
    poke: timedelta = DAILY,
    pools: Mapping[str, str] | None = None,
    sources: Sequence[str] = (),
    google_conn_id: str = "",
    **more: Any,
) -> DAG:
    """The DAG that takes the months of `dataset` to its table.

    `config` is the full path of a config file, or its sections. `schedule` is a cron line that comes once in every
    month; its run is for the month `months_back` before it, since TLC publishes a month some two months after its end.
    `shared` is a data directory that all workers see; without one they keep nothing, each task works in a folder of its
    own within `scratch`, and store and warehouse must be named in `config`. `separate` tells whether workers are on
    several machines; by default all but the LocalExecutor's are. With `wait`, a sensor asks the publisher every `poke`
    whether a month is there. `pools` gives tasks (to_store, load; with `shared` one a step) their Airflow pool.
    `sources` are URL templates (or `demo`) that whoever starts a run may choose, beside `auto` and the publishers that
    have a name; no other address, since who may start a run need not be trusted with what fills the table.
    `google_conn_id` names a connection that holds a key; without one Google's own default credentials are used. `more`
    goes to Airflow's DAG; its `params` come beside ours.

    Raises UsageError for settings that no task would take, and where the workers could not find each other's work.
    """
    known = dataset_named(dataset)
    if separate is None:
        separate = is_separate(conf.get("core", "executor"))
    given = config if isinstance(config, Mapping) else os.fspath(config)
    site = Site(given, shared, scratch, separate, (sources,) if isinstance(sources, str) else tuple(sources))
    settings = check(site)
    _check_pools(site, pools or {})
    place = warehouse_of(settings)
    name, uri = f"{place}/{known.table}", f"x-taxi-ingest://{_path(str(place))}/{known.table}"
    table = Asset(name=name, uri=uri, group="taxi-ingest")
    tasks = Tasks(site, settings, dataset, table, pools or {}, google_conn_id, months_back)
    params = _params(known, sources_of_runs(site, dataset)) | dict(more.pop("params", None) or {})
    options = _options(known, _timetable(known, schedule, months_back, timezone), params)
    with DAG(dag_id or f"taxi_ingest_{dataset}", **(options | more)) as made:

        def month(part: Any) -> None:
            before = tasks.published(poke)(part=part) if wait else None
            for slice_ in slices(site):
                now = tasks.of(slice_)(part=part)
                if before is not None:
                    before >> now
                before = now

        task_group(group_id="month")(month).expand(part=tasks.parts()())
    return made


def _options(known: Dataset, schedule: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """What Airflow's DAG is made with, where its owner says nothing else."""
    return {
        "schedule": schedule,
        "start_date": datetime.fromisoformat(f"{known.first}-01") if known.monthly else datetime(2009, 1, 1),
        "catchup": False,
        "description": known.title,
        "doc_md": known.title + (". A run is a month; `months` takes several." if known.monthly else "."),
        "tags": ["taxi-ingest", known.name],
        "params": params,
        "default_args": {"owner": "taxi-ingest"},
    }


def _check_pools(site: Site, pools: Mapping[str, str]) -> None:
    """Refuse a pool of a task that there is not, which would limit nothing."""
    tasks = [slice_.name for slice_ in slices(site)]
    if unknown := sorted(pools.keys() - set(tasks)):
        raise UsageError(f"pools: there is no task {quoted(unknown[0])}. Tasks: {', '.join(tasks)}.")


def _timetable(known: Dataset, schedule: str | None, months_back: int, timezone: str) -> Any:
    if schedule is None or not known.monthly:
        return schedule
    check_monthly(schedule, months_back)
    return CronPartitionTimetable(schedule, timezone=timezone, run_offset=-months_back, key_format="%Y-%m")


def _params(known: Dataset, sources: Sequence[str]) -> dict[str, Any]:
    months = Param(
        None,
        type=["null", "string"],
        pattern=_MONTHS,
        title="Months",
        description="2021-01, 2021, 2021-01..2021-12, a list with commas, or latest. Empty: the month of the run; of "
        "one by hand, the month that the schedule has come to.",
    )
    return ({"months": months} if known.monthly else {}) | {
        "source": Param(
            None,
            type=["null", "string"],
            enum=[None, *sources],
            values_display={"null": "as configured"},
            title="Source",
            description="Where the months are published. Empty: as configured.",
        ),
        "force": Param(False, type="boolean", title="Force", description="Redo every step, whatever is there."),
        "refresh": Param(False, type="boolean", title="Refresh", description="Redo what the publisher changed since."),
    }


def _path(place: str) -> str:
    """A place as the path of a URI."""
    return place.replace("://", "/").replace(":/", "/").replace("@", "/").replace("?", "/")
