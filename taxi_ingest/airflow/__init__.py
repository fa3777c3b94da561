"""A dataset's months as an Airflow DAG: `dag("yellow", config="/etc/taxi-ingest.toml")`. The only importer of Airflow.

A run is a month (its partition), so that `airflow backfill create` goes by month. Each part of a run is a chain of
mapped tasks. Workers share nothing but the store and the warehouse: what is done already is read from there, and a
task's files live in a scratch folder of its own. Workers that share a data directory take a task a step.

`places` says what workers may share, `schedule` when runs come, `working` does what a task does and knows nothing of
Airflow, `tasks` makes Airflow tasks of it, `dags` puts them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxi_ingest.airflow.schedule import DAILY, MONTHLY

if TYPE_CHECKING:
    from taxi_ingest.airflow.dags import dag

__all__ = ["DAILY", "MONTHLY", "dag"]


def __getattr__(name: str) -> Any:
    """Load `dag` when it is asked for: the other modules are to be had without Airflow."""
    if name != "dag":
        raise AttributeError(name)
    from taxi_ingest.airflow import dags

    return dags.dag
