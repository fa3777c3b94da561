"""What Cloud Storage answers, as a sentence with a remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.api_core import exceptions as answers

from taxi_ingest import google_cloud, google_sign_in
from taxi_ingest.errors import StoreError, TaxiError, TransientError
from taxi_ingest.google_roles import grants, permissions_in

NEEDED = ("storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete")
"""The permissions that a store needs."""

_PROTECTED = {"retentionPolicyNotMet", "objectUnderActiveHold"}
_PROTECTION = re.compile(r"retention policy|object retention|under active .*hold", re.IGNORECASE)


def explain(bucket: str, error: answers.GoogleAPICallError) -> TaxiError:
    """The error to raise for an answer about `bucket`, which is named without gs://."""
    message = google_cloud.message_of(error)
    if _passes(error):
        return TransientError(f"gs://{bucket}: Google answered {error.code} ({message}). Run again.")
    sentence = _not_allowed(bucket, error) if error.code in {401, 402, 403} else ""
    return StoreError(sentence or _wrong(bucket, error))


def granting(bucket: str, permissions: Sequence[str]) -> str:
    """A sentence on the roles that grant `permissions`."""
    return grants(permissions, {"bucket": f"gs://{bucket}", "project": "the project that pays"})


def _wrong(bucket: str, error: answers.GoogleAPICallError) -> str:
    """The sentence for what stays wrong until somebody mends it."""
    place, message = f"gs://{bucket}", google_cloud.message_of(error)
    if around := google_cloud.refused_around(error, place):
        return around
    if google_cloud.is_billing_off(error):
        return google_cloud.billing_is_off(f"the project of {place}")
    if "requester pays" in message.lower():
        return f"The readers of {place} pay. Name the project that does: --store '{place}/PREFIX?user_project=PROJECT'."
    if isinstance(error, answers.NotFound) and message.lower().startswith("no such object"):
        return f"{place}: an object was removed meanwhile ({message}). Run again."
    if isinstance(error, answers.NotFound):
        return f"There is no bucket {place}. {google_cloud.creating_bucket(bucket)}"
    return f"{place}: Google refused: {message}"


def _not_allowed(bucket: str, error: answers.GoogleAPICallError) -> str:
    """The sentence for what somebody must allow first; "" if it is something else."""
    place, message = f"gs://{bucket}", google_cloud.message_of(error)
    if isinstance(error, answers.Unauthorized):
        return f"{place}: {google_sign_in.credentials_refused(message)}"
    if google_cloud.refused_around(error, place) or google_cloud.is_billing_off(error):
        return ""
    if google_cloud.reason_of(error) in _PROTECTED or _PROTECTION.search(message):
        return (
            f"{place} protects the object, by a retention policy or a hold, so that it cannot be replaced. Lift that "
            f"for this prefix, or name another: --store gs://BUCKET/PREFIX. Google says: {message}"
        )
    if off := google_cloud.api_is_off(error, "PROJECT"):
        return off
    remedy = granting(bucket, permissions_in(message)) or granting(bucket, NEEDED)
    return f"These credentials lack a permission in {place} ({message}). {remedy}"


def _passes(error: answers.GoogleAPICallError) -> bool:
    # these in the middle of an upload: Google lost its session, or ended it, and wants the upload begun anew
    method = getattr(getattr(error.response, "request", None), "method", "")
    return google_cloud.is_passing(error) or (error.code in {404, 410, 499} and method == "PUT")
