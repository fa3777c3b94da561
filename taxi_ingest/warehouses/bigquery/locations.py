"""Where buckets and datasets are, and which can be used together."""

from __future__ import annotations

import contextlib

from google.api_core import exceptions as answers

from taxi_ingest import google_cloud
from taxi_ingest.errors import WarehouseError


def bucket_location(bucket: str, project: str) -> str:
    """Where a bucket is, such as `EU` or `US-CENTRAL1`. Raises WarehouseError if it is missing or may not be seen."""
    with contextlib.closing(google_cloud.storage_client(project)) as client:
        try:
            return str(client.get_bucket(bucket, timeout=google_cloud.REQUEST_SECONDS).location)
        except answers.NotFound as error:
            raise WarehouseError(f"There is no bucket gs://{bucket}. Run upload first.") from error
        except answers.Forbidden as error:
            raise WarehouseError(
                f"These credentials may not see where gs://{bucket} is. Grant them roles/storage.bucketViewer on the "
                "bucket, or create the dataset yourself, in the bucket's location."
            ) from error


def in_one_location(dataset: str, bucket: str) -> bool:
    """Whether BigQuery can load from a bucket in location `bucket` into a dataset in location `dataset`.

    A multi-region also reads from the regions inside it, and US reads from anywhere:
    https://cloud.google.com/bigquery/docs/batch-loading-data#data-locations.
    """
    dataset, bucket = dataset.upper(), bucket.upper()
    inside_eu = bucket in {"EUR4", "EUR5", "EUR7", "EUR8"} or bucket.startswith("EUROPE-")
    return dataset in {bucket, "US"} or (dataset == "EU" and inside_eu)


def location_for(bucket: str) -> str:
    """The location for a new dataset that loads from a bucket in location `bucket`; "" when there is none."""
    pairs = {"NAM4": "US", "EUR4": "EU", "EUR5": "EU", "EUR7": "EU", "EUR8": "EU"}
    has_datasets = bucket.upper() in {"US", "EU"} or "-" in bucket
    return pairs.get(bucket.upper(), bucket if has_datasets else "")
