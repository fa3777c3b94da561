"""New York's taxi trips, a month a run: one DAG a dataset.

All of 2019: airflow backfill create --dag-id taxi_ingest_yellow --from-date 2019-01-01 --to-date 2019-12-31
"""

from pathlib import Path

from taxi_ingest.airflow import dag

CONFIG = str(Path(__file__).with_name("taxi-ingest.toml"))

DAGS = [dag(dataset, config=CONFIG, wait=dataset != "zones") for dataset in ("yellow", "green", "zones")]
