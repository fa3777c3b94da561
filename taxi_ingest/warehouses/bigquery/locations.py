"""Where buckets and datasets are, and which can be used together.

From https://docs.cloud.google.com/bigquery/docs/batch-loading-data#data-locations and
https://docs.cloud.google.com/storage/docs/locations, as of November 2026.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from google.api_core import exceptions as answers
from google.cloud.storage import Bucket, Client

from taxi_ingest import google_cloud
from taxi_ingest.errors import WarehouseError

DUAL_REGIONS = {
    "ASIA1": ("ASIA-NORTHEAST1", "ASIA-NORTHEAST2"),
    "EUR4": ("EUROPE-NORTH1", "EUROPE-WEST4"),
    "EUR5": ("EUROPE-WEST1", "EUROPE-WEST2"),
    "EUR7": ("EUROPE-WEST2", "EUROPE-WEST3"),
    "EUR8": ("EUROPE-WEST3", "EUROPE-WEST6"),
    "NAM4": ("US-CENTRAL1", "US-EAST1"),
}
"""Pairs of regions in which a bucket can be, by name."""

MULTI_REGIONS = {"ASIA": "ASIA-", "EU": "EUROPE-", "US": "US-"}
"""Multi-region → how the names of the regions in it begin."""

OUTSIDE_EU = ("EUROPE-WEST2", "EUROPE-WEST6")
"""London and Zürich, which are no part of the multi-region EU."""

WITH_DATASETS = ("EU", "US")
"""Multi-regions that BigQuery has."""

ACROSS = {("ASIA-NORTHEAST1", "EU")}
"""Pairs of dataset and bucket that are far apart, and can be used together nevertheless."""

_Answer = TypeVar("_Answer")

Distance = Literal["together", "transfer", "apart"]
"""What is between a dataset and a bucket: nothing, a transfer that Google bills, or a load that fails."""


@dataclass(frozen=True)
class BucketLocation:
    """Where a bucket is: its location as Google names it, and its regions, if it is in a pair of them."""

    name: str
    pair: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """The regions of a pair; else the one region or multi-region."""
        return tuple(place.upper() for place in self.pair or DUAL_REGIONS.get(self.name.upper(), (self.name,)))

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.pair)})" if self.pair else self.name


def bucket_location(bucket: str, project: str) -> BucketLocation:
    """Where a bucket is; `project` pays if need be. Raises WarehouseError if it is missing or may not be seen."""
    with contextlib.closing(google_cloud.storage_client(project)) as client:
        try:
            found = paid_if_need_be(client, bucket, project, lambda there: _seen(client, there))
        except answers.NotFound as error:
            raise WarehouseError(f"There is no bucket gs://{bucket}. {google_cloud.creating_bucket(bucket)}") from error
        except answers.Forbidden as error:
            if "storage.buckets.get" not in google_cloud.message_of(error):
                raise  # billing, a perimeter, a key
            raise UnseenBucketError(
                f"These credentials may not see where gs://{bucket} is (storage.buckets.get). Grant them "
                "roles/storage.bucketViewer on the bucket, or create the dataset yourself, in the bucket's location."
            ) from error
        return BucketLocation(str(found.location), tuple(found.data_locations or ()))


def _seen(client: Client, bucket: Bucket) -> Bucket:
    return client.get_bucket(bucket, timeout=google_cloud.REQUEST_SECONDS)


def paid_if_need_be(client: Client, name: str, project: str, ask: Callable[[Bucket], _Answer]) -> _Answer:
    """What `ask` tells of a bucket; where those who read it pay, `project` does."""
    try:
        return ask(client.bucket(name))
    except answers.BadRequest as error:
        if "requester pays" not in google_cloud.message_of(error).lower():
            raise
        return ask(client.bucket(name, user_project=project))


class UnseenBucketError(WarehouseError):
    """These credentials may use a bucket, and may not see where it is."""


def distance(dataset: str, bucket: BucketLocation) -> Distance:
    """Whether BigQuery can load from a bucket into a dataset in location `dataset`, and whether that is billed.

    A multi-region goes with the regions in it, a pair with each of its regions; a dataset in US loads from anywhere.
    """
    dataset = dataset.upper()
    if any(_is_in(place, dataset) or _is_in(dataset, place) for place in bucket.places):
        return "together"
    return "transfer" if dataset == "US" or (dataset, bucket.name.upper()) in ACROSS else "apart"


def location_for(bucket: BucketLocation) -> str:
    """The location for a new dataset that loads from a bucket; "" when there is none."""
    first = bucket.places[0]
    if len(bucket.places) > 1:
        return next((multi for multi in WITH_DATASETS if any(_is_in(place, multi) for place in bucket.places)), first)
    return first if first in WITH_DATASETS or "-" in first else ""


def _is_in(place: str, area: str) -> bool:
    """Whether a place is an area, or a region in it."""
    begins = MULTI_REGIONS.get(area)
    inside = begins is not None and place.startswith(begins) and place not in OUTSIDE_EU
    return place == area or inside
