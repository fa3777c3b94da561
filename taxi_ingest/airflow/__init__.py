"""A dataset's months as an Airflow DAG: `dag("yellow", config="/etc/taxi-ingest.toml")`. The only importer of Airflow.

A run is a month (its partition), so that `airflow backfill create` goes by month. Each part of a run is a chain of
mapped tasks. Workers share nothing but the store and the warehouse: what is done already is read from there, and a
task's files live in a scratch folder of its own. Workers that share a data directory take a task a step.

`places` says what workers may share, `working` does what a task does and knows nothing of Airflow, `tasks` makes
Airflow tasks of it, `dags` puts them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taxi_ingest.airflow.dags import DAILY, MONTHLY, dag

__all__ = ["DAILY", "MONTHLY", "dag"]


def __getattr__(name: str) -> Any:
    """Load `dag` when it is asked for: `places` and `working` are to be had without Airflow."""
    if name not in __all__:
        raise AttributeError(name)
    from taxi_ingest.airflow import dags

    return getattr(dags, name)
