"""What Google Cloud Storage and BigQuery share: emulators, clients, retries, and errors as sentences.

STORAGE_EMULATOR_HOST and BIGQUERY_EMULATOR_HOST are honoured as Google's clients do; an emulator is given no
credentials. Imported only by the store and the warehouse that use it, because Google's libraries take time to import.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import requests
from google.api_core.exceptions import Forbidden, GoogleAPICallError, RetryError, ServerError, TooManyRequests
from google.api_core.page_iterator import Iterator as Pages
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession
from requests import exceptions

from taxi_ingest import google_answers, google_sign_in
from taxi_ingest.errors import StoreError, TaxiError, TransientError, WarehouseError
from taxi_ingest.google_answers import ErrorBody, read, shown
from taxi_ingest.google_sign_in import CLOUD_SCOPE, LOGIN, STORAGE_SCOPE

if TYPE_CHECKING:
    from google.cloud import bigquery, storage

RETRY_SECONDS = 60.0
"""How long Google's clients retry a request before the fault becomes a TransientError."""

REQUEST_SECONDS = 60.0
"""How long one request may take. An upload has a limit of its own; a job runs on after its request."""

STORAGE_EMULATOR = "STORAGE_EMULATOR_HOST"
BIGQUERY_EMULATOR = "BIGQUERY_EMULATOR_HOST"

MARK = "taxi-ingest-mark"
"""The custom metadata of an object that holds its mark."""

_BILLING_MESSAGE = re.compile(
    r"(?<![\w:./`'-])billing (account|has not been enabled|must be enabled|is (disabled|not enabled|required|off))",
    re.IGNORECASE,
)
"""What is said of billing; `billing` may also be the name of a dataset or a part of one."""

_PERIMETER = re.compile(r"vpcServiceControls|VPC Service Controls|prohibited by organization's policy", re.IGNORECASE)
_SCOPES = re.compile(r"insufficient authentication scopes|scopes?(\(s\))? (is|are) not authorized", re.IGNORECASE)
_KEY = re.compile(r"\bKMS\b|cryptoKey", re.IGNORECASE)
_BILLING_REASONS = {"accountDisabled", "billingNotEnabled"}
_RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded"}

MOST_PAGES = 10_000
"""Of a listing; a page of Cloud Storage has a thousand objects."""

_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What Google's clients raise for an answer that is not of the API, such as a list in place of an object."""


# ---- clients


def uses_emulator(variable: str) -> bool:
    """Whether the client talks to an emulator; `variable` is STORAGE_EMULATOR or BIGQUERY_EMULATOR."""
    return bool(os.environ.get(variable))


def storage_client(project: str = "") -> storage.Client:
    """A client of Cloud Storage; `project` matters only to whoever creates buckets, which we never do."""
    from google.cloud import storage

    # otherwise each client requests the bucket's metadata once, for traces that nobody collects
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    if uses_emulator(STORAGE_EMULATOR):
        return storage.Client(project=project or "emulator", credentials=AnonymousCredentials())
    credentials, default_project = google_sign_in.credentials(STORAGE_SCOPE)
    return storage.Client(project=project or default_project or "none", credentials=credentials)


def storage_session() -> AuthorizedSession:
    """Plain HTTP to Cloud Storage, signed in, for what its client cannot do: go on with another process's upload."""
    if uses_emulator(STORAGE_EMULATOR):
        return AuthorizedSession(AnonymousCredentials())
    credentials, _ = google_sign_in.credentials(STORAGE_SCOPE)
    return AuthorizedSession(credentials)


def bigquery_client(project: str) -> bigquery.Client:
    """A client of BigQuery whose jobs run, and are billed, in `project`."""
    from google.cloud import bigquery

    if uses_emulator(BIGQUERY_EMULATOR):
        return bigquery.Client(project=project, credentials=AnonymousCredentials())
    credentials, _ = google_sign_in.credentials(CLOUD_SCOPE)
    return bigquery.Client(project=project, credentials=credentials)


def signed_in_as(variable: str) -> str:
    """A sentence that says whose credentials are used; `variable` names the service's emulator.

    Raises what google.auth raises where there are no credentials.
    """
    if uses_emulator(variable):
        return "an emulator is used, which needs no credentials"
    return google_sign_in.account()


def limited(policy: Retry) -> Retry:
    """A client's own retry policy, ended after RETRY_SECONDS."""
    return policy.with_timeout(RETRY_SECONDS)


def listed(pages: Pages) -> Iterator[Any]:
    """The items of a listing, page by page.

    Raises TransientError for one without an end: a page names one as the next that was before it.
    """
    seen: set[object] = set()
    for page in pages.pages:
        yield from page
        if pages.next_page_token in seen or len(seen) >= MOST_PAGES:
            raise TransientError("A list that Google sends page by page comes to no end. Run again.")
        seen.add(pages.next_page_token)


class _UnreadableError(Exception):
    """An answer is not of the API."""


@contextlib.contextmanager
def reads_answer() -> Iterator[None]:
    """Let what cannot be read in the block be the answer's fault, and no bug; also as a decorator."""
    try:
        yield
    except _UNREADABLE as error:
        raise _UnreadableError from error


# ---- errors


def message_of(error: GoogleAPICallError) -> str:
    """Google's own message on one line, without addresses and its full stop; `status N` when there is none.

    The client's message is used only for errors that came without an HTTP response (failed jobs): for others it adds
    the URL, and the URL of an upload session lets anyone write.
    """
    without_response = str(error.message).partition("; reason:")[0]
    message = without_response if error.response is None else _answer(error).message
    return shown(message) or f"status {error.code}"


def reason_of(error: GoogleAPICallError) -> str:
    """Google's code for an error, such as `accessDenied`; "" when there is none."""
    for detail in error.errors:
        if isinstance(detail, dict):
            return str(detail.get("reason", ""))
    return next((detail.reason for detail in _answer(error).errors), "")


def is_passing(error: Exception) -> bool:
    """Whether a request that failed so may succeed when it is sent again: a line that was cut, or a busy server."""
    if isinstance(error, GoogleAPICallError):
        return (
            isinstance(error, TooManyRequests | ServerError) or error.code == 408 or reason_of(error) in _RATE_REASONS
        )
    if isinstance(error, GoogleAuthError):
        return bool(error.retryable)
    cut = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, (*cut, ConnectionError, TimeoutError))


def is_billing_off(error: GoogleAPICallError) -> bool:
    """Whether the request was refused because nobody pays for the project."""
    # 'The account for bucket "x" has been disabled' is also about billing; only its reason says so
    forbidden = isinstance(error, Forbidden) and _BILLING_MESSAGE.search(message_of(error))
    return bool(forbidden) or reason_of(error) in _BILLING_REASONS


def billing_is_off(project: str) -> str:
    """The sentence for `is_billing_off`; `project` is how the project is called."""
    return f"Billing is off for {project}. Turn it on in the Google Cloud console."


def api_is_off(error: GoogleAPICallError, project: str) -> str:
    """The sentence for a request to an API that `project` has not turned on; "" if it is something else.

    A question about a bucket may also be what BigQuery is asked for; which API it is, only the message tells.
    """
    message = message_of(error)
    if not isinstance(error, Forbidden) or not google_answers.is_api_off(f"{reason_of(error)} {message}"):
        return ""
    name, service = ("Cloud Storage", "storage") if "storage" in message.lower() else ("BigQuery", "bigquery")
    return (
        f"The {name} API is off in project {project}. Turn it on: gcloud services enable {service}.googleapis.com "
        f"--project={project}. Google says: {message}"
    )


def refused_around(error: GoogleAPICallError, place: str) -> str:
    """The sentence for what is refused whatever the roles are; else "".

    By the perimeter around `place`, by the key it is encrypted with, by what the credentials may be used for.
    """
    message = message_of(error)
    if isinstance(error, Forbidden) and _SCOPES.search(message):
        return (
            f"These credentials may be used for less than {place} needs: their access scopes are too narrow, whatever "
            "their roles are. On a virtual machine, stop it and run: gcloud compute instances set-service-account VM "
            f"--scopes=cloud-platform. Elsewhere sign in again. {LOGIN}. Google says: {message}"
        )
    if _PERIMETER.search(message) or reason_of(error) == "vpcServiceControls":
        return (
            f"VPC Service Controls keep this machine out of {place}. Run inside their perimeter, or have its "
            f"administrator let these credentials in. Google says: {message}"
        )
    if _KEY.search(message):
        return (
            f"The Cloud KMS key that encrypts {place} cannot be used. See that it is enabled, and grant "
            "roles/cloudkms.cryptoKeyEncrypterDecrypter on it to the service account that Google's message names, or "
            f"to that of the service. Google says: {message}"
        )
    return ""


def creating_bucket(bucket: str) -> str:
    """The sentence for a bucket that does not exist."""
    return f"Create it: gcloud storage buckets create gs://{bucket} --location=EU"


@contextlib.contextmanager
def translated_errors(
    what: str,
    failure: type[StoreError | WarehouseError],
    explain: Callable[[GoogleAPICallError], TaxiError],
) -> Iterator[None]:
    """Turn what Google's clients raise into `failure`, or TransientError where another try may help.

    `what` is how messages call the far side; `explain` gives the error to raise for an answer of the API.
    """
    try:
        with _translated_refusals(what, failure, explain):
            yield
    except (_UnreadableError, *_UNREADABLE) as error:
        if not isinstance(error, _UnreadableError) and not _is_of_client(error.__traceback__):
            raise
        raise TransientError(
            f"{what} answered with something else than its API does. Something in between, such as a proxy that wants "
            "a sign-in, may answer in its place. Run again."
        ) from error


@contextlib.contextmanager
def _translated_refusals(
    what: str,
    failure: type[StoreError | WarehouseError],
    explain: Callable[[GoogleAPICallError], TaxiError],
) -> Iterator[None]:
    """As `translated_errors`, but for answers that cannot be read."""
    try:
        yield
    except DefaultCredentialsError as error:
        raise failure(google_sign_in.no_credentials(error)) from error
    except GoogleAPICallError as error:
        raise explain(error) from error
    except RetryError as error:
        if isinstance(error.cause, GoogleAPICallError):
            raise explain(error.cause) from error
        if isinstance(error.cause, GoogleAuthError) and not isinstance(error.cause, TransportError):
            raise google_sign_in.sign_in_failed(failure, error.cause) from error
        raise _unreachable(what, error.cause or error) from error
    except (exceptions.InvalidURL, exceptions.InvalidSchema, exceptions.MissingSchema) as error:
        raise failure(
            f"{what} has no usable address ({type(error).__name__}). {STORAGE_EMULATOR}, {BIGQUERY_EMULATOR} and "
            "HTTPS_PROXY must look like http://HOST:PORT where they are set."
        ) from error
    except exceptions.InvalidJSONError:
        raise  # it was reached, and cannot be read
    except (TransportError, requests.RequestException, ConnectionError, TimeoutError) as error:
        raise _unreachable(what, error) from error
    except GoogleAuthError as error:
        raise google_sign_in.sign_in_failed(failure, error) from error


def _is_of_client(traceback: TracebackType | None) -> bool:
    """Whether an error arose in Google's libraries, and not in our own code."""
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__", "").startswith("google."):
            return True
        traceback = traceback.tb_next
    return False


def _unreachable(what: str, error: Exception) -> TransientError:
    return TransientError(f"{what} cannot be reached ({type(error).__name__}). Run again.")


def _answer(error: GoogleAPICallError) -> ErrorBody:
    """What the response says; nothing if there was none."""
    return read(getattr(error.response, "content", None))
