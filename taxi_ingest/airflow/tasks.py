"""The tasks of a part: what `working` does, with Airflow's retries, skips, labels and events."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, BaseHook, RetryDecision, RetryPolicy, get_current_context, task, timezone
from airflow.sdk.exceptions import AirflowSkipException

from taxi_ingest.airflow import working
from taxi_ingest.airflow.places import Site, Slice
from taxi_ingest.airflow.schedule import month_of_run
from taxi_ingest.airflow.working import Asked, Done
from taxi_ingest.catalog import Part
from taxi_ingest.engine.scratch import scratch_folder
from taxi_ingest.errors import InUseError, NotPublishedError, TaxiError, TransientError, UsageError
from taxi_ingest.redaction import redacted
from taxi_ingest.retrying import LONGEST_WAIT
from taxi_ingest.settings import Settings

log = logging.getLogger("taxi_ingest")

_LABEL = "part_label"
"""The variable of a task's context that its label in the grid is rendered from."""

_NAME = "task.op_kwargs['part']['month'] or task.op_kwargs['part']['dataset']"
"""What a task is called in the grid while nothing else is known of it."""

_LONGEST_MONTH = 31
"""Days by which a run may begin to wait before its month is over."""

_JOBS = "jobs"
"""The key in a task's state store under which its warehouse jobs are recorded."""


class WhatMayPass(RetryPolicy):  # type: ignore[misc]
    """Only what another try may mend is tried again, after the wait that the far side asked for."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide about one failure."""
        if isinstance(exception, TransientError):
            asked = exception.retry_after
            return RetryDecision.retry(None if asked is None else timedelta(seconds=asked), str(exception))
        lasts = isinstance(exception, TaxiError) and not isinstance(exception, InUseError)
        return RetryDecision.fail(str(exception)) if lasts else RetryDecision.default()


@dataclass(frozen=True)
class Tasks:
    """Makes the tasks of one DAG.

    `pools`: task → pool; `google`: the id of a connection, "" for none; `months_back`: how many months before the day
    of a run its month is.
    """

    site: Site
    settings: Settings
    dataset: str
    table: Asset
    pools: Mapping[str, str]
    google: str
    months_back: int

    def parts(self) -> Any:
        """The task that lists the parts of a run."""

        def parts(params: Any = None, dag_run: Any = None) -> list[dict[str, str | None]]:
            months = (params["months"] or _month_of(dag_run, self.months_back)) if "months" in params else None
            with _told_to_airflow():
                found = working.parts_of(self.site, self.dataset, months, params["source"] or "")
            return [{"dataset": part.dataset, "month": part.month} for part in found]

        return task(retries=2, retry_delay=timedelta(seconds=1), retry_policy=WhatMayPass())(parts)

    def published(self, poke: timedelta) -> Any:
        """The sensor that waits until the file of a part is published, or too late to wait for."""

        def published(part: dict[str, str | None], params: Any = None) -> bool:
            with _told_to_airflow():
                return working.may_be_fetched(self.site, Part(**part), params["source"] or "")  # type: ignore[arg-type]

        return task.sensor(
            mode="reschedule",
            poke_interval=poke.total_seconds(),
            # a month is late, and the download says so, before the sensor gives it up without a word
            timeout=timedelta(days=self.settings.download.grace_days + _LONGEST_MONTH).total_seconds(),
            soft_fail=True,
            retries=2,
            retry_policy=WhatMayPass(),
            map_index_template=f"{{{{ {_NAME} }}}}",
        )(published)

    def of(self, slice_: Slice) -> Any:
        """The task of one slice of steps."""
        retries = working.retries(self.settings, slice_)

        def take(
            part: dict[str, str | None],
            params: Any = None,
            task_state_store: Any = None,
            outlet_events: Any = None,
        ) -> dict[str, Any]:
            which = Part(**part)  # type: ignore[arg-type]
            asked = Asked(params["source"] or "", params["force"], params["refresh"])
            with google_credentials(self.google), _labelled(which) as label:
                done = _work(self.site, which, slice_, asked, task_state_store if slice_.loads else None)
                label(done.label)
            if slice_.loads:
                _tell_of(outlet_events[self.table], which, done)
            return asdict(done)

        return task(
            task_id=slice_.name,
            retries=retries.tries - 1,
            retry_delay=timedelta(seconds=retries.backoff_seconds),
            retry_exponential_backoff=2.0,
            max_retry_delay=timedelta(seconds=LONGEST_WAIT),
            retry_policy=WhatMayPass(),
            max_active_tis_per_dag=working.at_once(self.site, self.settings, slice_),
            outlets=[self.table] if slice_.loads else [],
            map_index_template=f"{{{{ {_LABEL} | default({_NAME}) }}}}",
            **({"pool": self.pools[slice_.name]} if slice_.name in self.pools else {}),
        )(take)


@contextlib.contextmanager
def _labelled(part: Part) -> Iterator[Callable[[str], None]]:
    """Have the grid show a task by its part, and what the function that is yielded is told came of it."""

    def show(what: str) -> None:
        get_current_context()[_LABEL] = ": ".join(filter(None, [part.month or part.dataset, what]))

    try:
        yield show
    except AirflowSkipException:
        show("not published yet")
        raise


def _work(site: Site, part: Part, slice_: Slice, asked: Asked, state: Any) -> Done:
    """Do it, with the jobs recorded in Airflow's store."""
    jobs: list[str] = list(state.get(_JOBS, [])) if state is not None else []
    unsettled = tuple(jobs)

    def record(job: str) -> None:
        jobs.append(job)
        if state is not None:
            state.set(_JOBS, jobs)

    with _told_to_airflow():
        return working.work(site, part, slice_, asked, record=record, unsettled=unsettled)


@contextlib.contextmanager
def _told_to_airflow() -> Iterator[None]:
    """Turn what is not published into a skip, and take secrets out of the errors that Airflow logs."""
    try:
        yield
    except NotPublishedError as error:
        raise AirflowSkipException(redacted(str(error))) from None
    except TransientError as error:
        raise TransientError(redacted(str(error)), retry_after=error.retry_after) from None
    except TaxiError as error:
        raise type(error)(redacted(str(error))) from None


def _tell_of(event: Any, part: Part, done: Done) -> None:
    """What is told to those who wait for the table."""
    event.extra = asdict(done)
    if part.month is not None:
        event.add_partitions(part.month)


def _month_of(dag_run: Any, months_back: int) -> str:
    """The month that a run is for; dates are those of Airflow's own time zone."""
    today = timezone.make_naive(dag_run.run_after)
    day = timezone.make_naive(dag_run.logical_date) if dag_run.logical_date else None
    month = month_of_run(dag_run.partition_key, day, today, months_back)
    if not dag_run.partition_key:
        log.info("no month was named: this run is for %s", month)
    return month


@contextlib.contextmanager
def google_credentials(connection_id: str) -> Iterator[None]:
    """Let Google's clients find the key of an Airflow connection; without one they find their own as ever.

    Raises UsageError for a connection without a key: another account than the one that was meant would do the work.
    """
    if not connection_id:
        yield
        return
    extra = BaseHook.get_connection(connection_id).extra_dejson
    if extra.get("impersonation_chain"):
        raise UsageError(
            f"The connection {connection_id} acts as another account (impersonation_chain), which taxi-ingest does not "
            "take from it. Name a file that does as its Keyfile Path: gcloud auth application-default login "
            "--impersonate-service-account=ACCOUNT writes one."
        )
    with scratch_folder() as folder:
        path = str(extra.get("key_path") or "")
        if key := extra.get("keyfile_dict"):
            path = str(folder / "key.json")
            Path(path).write_text(key if isinstance(key, str) else json.dumps(key), encoding="utf-8")
        if not path:
            raise UsageError(
                f"The connection {connection_id} has no key: fill in Keyfile JSON or Keyfile Path, or leave "
                "google_conn_id out for the default credentials."
            )
        with _environment(GOOGLE_APPLICATION_CREDENTIALS=path, GOOGLE_CLOUD_PROJECT=str(extra.get("project") or "")):
            yield


@contextlib.contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Environment variables for as long as the block runs; empty ones are left as they are."""
    given = {name: value for name, value in variables.items() if value}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
