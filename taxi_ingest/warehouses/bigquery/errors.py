"""What BigQuery answers, as a sentence with a remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import requests
from google.api_core import exceptions as answers
from google.auth import exceptions as auth

from taxi_ingest.errors import TaxiError, TransientError, WarehouseError
from taxi_ingest.warehouses.bigquery.address import Address

_LATER = {
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "rateLimitExceeded",
    "tableUnavailable",
}
_CONFLICTS = ("could not serialize access", "due to concurrent update", "write-write conflict", "conflict on")
"""Beginnings of sentences: Google's two, and those of the server the tests use."""


@contextlib.contextmanager
def words(place: Address) -> Iterator[None]:
    """Turn what Google's clients raise into WarehouseError or TransientError."""
    try:
        yield
    except auth.DefaultCredentialsError as error:
        raise WarehouseError("There are no Google credentials. Run: gcloud auth application-default login") from error
    except answers.RetryError as error:
        raise _after_retries(error, place) from error
    except answers.GoogleAPICallError as error:
        raise in_words(error, place) from error
    except (auth.TransportError, requests.RequestException, ConnectionError, TimeoutError) as error:
        raise _unreachable(error, place) from error
    except auth.GoogleAuthError as error:
        raise WarehouseError(
            "Google refuses the credentials; they may have expired. Run: gcloud auth application-default login"
        ) from error


def is_conflict(error: Exception) -> bool:
    """Whether another writer of the same table came between; the job changed nothing and may be sent again."""
    told = str(getattr(error, "message", error)).lower()
    return isinstance(error, answers.GoogleAPICallError) and any(sign in told for sign in _CONFLICTS)


def in_words(error: answers.GoogleAPICallError, place: Address) -> TaxiError:
    """The sentence for one answer."""
    told = _short(str(error.message))
    return _later(error, told, place) or _not_allowed(error, told, place) or _refused(error, told, place)


def no_project(error: answers.GoogleAPICallError) -> bool:
    """Whether the project itself is missing, rather than something in it."""
    return isinstance(error, answers.NotFound) and "not found: project" in str(error.message).lower()


def reason_of(error: Exception) -> str:
    """Google's own word for an error, such as `accessDenied`; "" when there is none."""
    details = getattr(error, "errors", None) or [{}]
    first = details[0]
    return str(first.get("reason", "")) if isinstance(first, dict) else ""


def _later(error: answers.GoogleAPICallError, told: str, place: Address) -> TransientError | None:
    """The error to raise for what another try may mend."""
    reason = reason_of(error)
    if is_conflict(error) or isinstance(error, answers.PreconditionFailed):
        return TransientError(f"{place}: somebody else changed the table meanwhile; run again. BigQuery says: {told}")
    if reason == "stopped":
        return TransientError(f"{place}: the job was cancelled; run again. BigQuery says: {told}")
    if reason == "quotaExceeded":
        return TransientError(
            f"{place}: a quota of BigQuery is used up; run again later, or ask for more in the Google Cloud console. "
            f"BigQuery says: {told}"
        )
    if reason in _LATER or isinstance(error, answers.TooManyRequests | answers.ServerError):
        return TransientError(f"{place}: BigQuery cannot do it just now; run again. It says: {told}")
    return None


def _not_allowed(error: answers.GoogleAPICallError, told: str, place: Address) -> WarehouseError | None:
    """The error to raise for what an owner of the project must allow first."""
    reason, low = reason_of(error), told.lower()
    if reason == "accessNotConfigured" or "api has not been used" in low:
        return WarehouseError(
            f"The BigQuery API is off in project {place.project}. "
            f"Turn it on: gcloud services enable bigquery.googleapis.com --project={place.project}"
        )
    if reason == "billingNotEnabled" or (isinstance(error, answers.Forbidden) and "billing" in low):
        return WarehouseError(
            f"Billing is off for project {place.project}. Turn it on in the Google Cloud console, "
            f"or use ?method=partition, which needs no billing. BigQuery says: {told}"
        )
    if isinstance(error, answers.Unauthorized):
        return WarehouseError("Google refuses the credentials. Run: gcloud auth application-default login")
    if isinstance(error, answers.Forbidden):
        return WarehouseError(
            f"These credentials may not do this in {place}. Grant them roles/bigquery.dataEditor on the dataset, "
            "roles/bigquery.jobUser on the project and roles/storage.objectViewer on the bucket. "
            f"BigQuery says: {told}"
        )
    return None


def _refused(error: answers.GoogleAPICallError, told: str, place: Address) -> WarehouseError:
    """The error to raise for what stays wrong until somebody mends it."""
    low = told.lower()
    if "different locations" in low or "was not found in location" in low or "different region" in low:
        return WarehouseError(
            f"The bucket and the dataset {place} are in different locations. Use a dataset in the bucket's location "
            f"(a new one is made there), or a bucket in the dataset's. BigQuery says: {told}"
        )
    if "not found: uri" in low or ("gs://" in low and ("404" in low or "no files found" in low)):
        return WarehouseError(f"The object to load is not there. Run upload for this month. BigQuery says: {told}")
    if no_project(error):
        return WarehouseError(f"There is no project {place.project}, or it cannot be seen. BigQuery says: {told}")
    if isinstance(error, answers.NotFound):
        return WarehouseError(f"Something in {place} was deleted meanwhile. Run again. BigQuery says: {told}")
    if any(sign in low for sign in ("schema", "parquet column", "does not match", "type", "field", "column")):
        return WarehouseError(
            f"BigQuery refused the columns of the file or of the table in {place}. If the table was made by somebody "
            f"else, rename it or use another dataset. BigQuery says: {told}"
        )
    return WarehouseError(f"BigQuery refused in {place}: {told}")


def _after_retries(error: answers.RetryError, place: Address) -> TaxiError:
    cause = error.cause
    if isinstance(cause, answers.GoogleAPICallError):
        return in_words(cause, place)
    return _unreachable(cause or error, place)


def _unreachable(error: Exception, place: Address) -> TransientError:
    return TransientError(f"BigQuery cannot be reached for {place} ({type(error).__name__}). Run again.")


def _short(told: str) -> str:
    """One line of an answer: the client repeats it and adds the request."""
    line = " ".join(told.partition("; reason:")[0].split())
    return line if len(line) <= 400 else line[:400] + " …"
