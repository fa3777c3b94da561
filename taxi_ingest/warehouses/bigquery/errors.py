"""What BigQuery answers, as a sentence with a remedy."""

from __future__ import annotations

import contextlib
import functools

from google.api_core import exceptions as answers

from taxi_ingest import google_cloud, google_sign_in
from taxi_ingest.errors import TaxiError, TransientError, WarehouseError
from taxi_ingest.google_cloud import message_of, reason_of
from taxi_ingest.google_roles import Target, grants, permissions_in
from taxi_ingest.warehouses.bigquery.address import Address

_TRANSIENT_REASONS = {
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "tableUnavailable",
    "timeout",
}
_RATE_LIMITS = {"jobRateLimitExceeded", "rateLimitExceeded", "userRateLimitExceeded"}

_NO_ROLE_HELPS = {"policyViolation", "responseTooLarge"}
"""Reasons of a 403 that have nothing to do with permissions."""

_LATER = 3600.0
"""Seconds after which a limit that was waited for in vain may be gone; a step is not tried again before."""

_PASSING_LATER = {
    "blocked": "BigQuery bars this for the time being. Run again later; if that does not help, ask Google's support.",
    "quotaExceeded": "a quota of BigQuery is used up. It fills again in the course of a day: run again then.",
}

_MISSING_OBJECT = "The object to load does not exist. Run upload for this month."

_REFUSALS = (
    (
        ("different locations", "was not found in location", "different region"),
        "The bucket and the dataset {address} are in different locations. Use a dataset in the bucket's location (a "
        "new one is created there), or a bucket in the dataset's.",
    ),
    (("not found: uri",), _MISSING_OBJECT),
    (
        ("partition elimination",),
        "A table in {address} takes no question without a filter on its own partitions, and those about a month have "
        "none. Let its owner turn that off: ALTER TABLE … SET OPTIONS (require_partition_filter = false).",
    ),
)
"""Parts of messages, and what is to be said."""

_OF_COLUMNS = ("schema", "parquet column", "does not match", "type", "field", "column")

_CONFLICTS = ("could not serialize access", "due to concurrent update", "write-write conflict", "conflict on")
"""Parts of messages: Google's first two, then those of the emulator that the tests use."""


def translated_errors(address: Address) -> contextlib.AbstractContextManager[None]:
    """Turn what Google's clients raise into WarehouseError or TransientError."""
    return google_cloud.translated_errors("BigQuery", WarehouseError, functools.partial(_explain, address))


def is_conflict(error: answers.GoogleAPICallError) -> bool:
    """Whether another writer changed the table at the same time; the job changed nothing and may be sent again."""
    message = message_of(error).lower()
    return any(sign in message for sign in _CONFLICTS)


def is_rate_limited(error: answers.GoogleAPICallError) -> bool:
    """Whether too much was asked in too little time; the job changed nothing and may be sent again."""
    return reason_of(error) in _RATE_LIMITS


def is_project_missing(error: answers.GoogleAPICallError) -> bool:
    """Whether the project itself is missing, rather than something in it."""
    return isinstance(error, answers.NotFound) and "not found: project" in message_of(error).lower()


def _explain(address: Address, error: answers.GoogleAPICallError) -> TaxiError:
    found = _transient(error, address) or _too_expensive(error, address) or _not_allowed(error, address)
    return found or _refused(error, address)


def _transient(error: answers.GoogleAPICallError, address: Address) -> TransientError | None:
    """The error to raise when another try may help."""
    reason, message = reason_of(error), message_of(error)
    if is_conflict(error) or isinstance(error, answers.PreconditionFailed):
        return TransientError(f"{address}: another writer changed the table. Run again. BigQuery says: {message}")
    if reason == "stopped":
        return TransientError(f"{address}: the job was cancelled. Run again. BigQuery says: {message}")
    if reason in _PASSING_LATER:
        return TransientError(f"{address}: {_PASSING_LATER[reason]} BigQuery says: {message}", retry_after=_LATER)
    if is_rate_limited(error):
        return TransientError(
            f"{address}: too much was asked of BigQuery at once, and waiting did not help. Run again later, with fewer "
            f"runs at the same time. It says: {message}",
            retry_after=_LATER,
        )
    if reason in _TRANSIENT_REASONS or isinstance(error, answers.TooManyRequests | answers.ServerError):
        return TransientError(f"{address}: BigQuery is temporarily unable to do this. Run again. It says: {message}")
    return None


def _too_expensive(error: answers.GoogleAPICallError, address: Address) -> WarehouseError | None:
    """The error to raise for a question that the user's own limit forbids."""
    message = message_of(error)
    if reason_of(error) == "bytesBilledLimitExceeded" or "limit for bytes billed" in message:
        return WarehouseError(
            f"A question in {address} would be billed for more bytes than `load.maximum_bytes_billed` allows. Raise "
            f"that, or set it to 0 for no limit. BigQuery says: {message}"
        )
    return None


def _not_allowed(error: answers.GoogleAPICallError, address: Address) -> WarehouseError | None:
    """The error to raise for what an owner of the project must allow first."""
    message = message_of(error)
    if off := google_cloud.api_is_off(error, address.payer):
        return WarehouseError(off)
    if around := google_cloud.refused_around(error, str(address)):
        return WarehouseError(around)
    if google_cloud.is_billing_off(error):
        return WarehouseError(
            f"{google_cloud.billing_is_off(f'project {address.payer}')} "
            f"Or use ?method=partition, which needs no billing. BigQuery says: {message}"
        )
    if isinstance(error, answers.Unauthorized):
        return WarehouseError(google_sign_in.credentials_refused(message))
    if isinstance(error, answers.Forbidden) and reason_of(error) not in _NO_ROLE_HELPS:
        return WarehouseError(
            f"These credentials lack a permission in {address}. {_grants(address, message)} BigQuery says: {message}"
        )
    return None


def _grants(address: Address, message: str) -> str:
    """Which role grants the permission that a message speaks of; all that are needed, if it names none."""
    names: dict[Target, str] = {
        "bucket": "the bucket",
        "dataset": f"the dataset {address}",
        "project": f"the project {address.payer}",
    }
    return grants(permissions_in(message), names) or (
        f"Grant roles/bigquery.dataEditor on {names['dataset']}, roles/bigquery.jobUser on {names['project']} and "
        "roles/storage.objectViewer on the bucket."
    )


def _refused(error: answers.GoogleAPICallError, address: Address) -> WarehouseError:
    """The error to raise for what stays wrong until somebody fixes it."""
    message = message_of(error)
    low = message.lower()
    if is_project_missing(error):
        sentence = f"There is no project {address.project}, or these credentials may not see it."
    elif "gs://" in low and ("404" in low or "no files found" in low):
        sentence = _MISSING_OBJECT
    elif found := next((sentence for signs, sentence in _REFUSALS if any(sign in low for sign in signs)), ""):
        sentence = found.format(address=address)
    elif isinstance(error, answers.NotFound):
        sentence = f"Something in {address} was deleted during the load. Run again."
    elif any(sign in low for sign in _OF_COLUMNS):
        sentence = (
            f"BigQuery refused the columns of the file or of the table in {address}. If somebody else created the "
            "table, rename it or use another dataset."
        )
    else:
        return WarehouseError(f"BigQuery refused in {address}: {message}")
    return WarehouseError(f"{sentence} BigQuery says: {message}")
