"""Signing in to Google Cloud: Application Default Credentials, impersonation and workload identity included."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from google.auth import default as default_credentials
from google.auth import external_account
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError

from taxi_ingest.errors import StoreError, TaxiError, TransientError, WarehouseError
from taxi_ingest.google_answers import ErrorBody, is_api_off, read, shown
from taxi_ingest.google_roles import grants, permissions_in

LOGIN = "Run: gcloud auth application-default login"

STORAGE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

_CREDENTIALS_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_LONGEST_PATH = 1_000
_CLOCK = re.compile(r"\biat and exp\b|reasonable timeframe", re.IGNORECASE)


def credentials(scope: str) -> tuple[Credentials, str | None]:
    """Application Default Credentials, and the project they name. Raises DefaultCredentialsError if there are none."""
    try:
        found: tuple[Credentials, str | None] = default_credentials(scopes=[scope])
    except (AttributeError, LookupError, OSError, TypeError) as error:  # a folder; JSON that is no credentials
        raise DefaultCredentialsError(f"It holds no credentials ({type(error).__name__})") from error
    return found


def account() -> str:
    """A sentence that says whose credentials are used. Raises DefaultCredentialsError if there are none."""
    found, _ = credentials(CLOUD_SCOPE)
    email = getattr(found, "service_account_email", "")
    if email:
        return f"signed in as {email}"
    if isinstance(found, external_account.Credentials):
        return "signed in by workload identity"
    return "signed in with your own account (gcloud application-default)"


def credentials_refused(detail: str) -> str:
    """The sentence for credentials that Google does not accept."""
    clock = " (or this machine's clock is wrong)" if _CLOCK.search(detail) else ""
    return f"Google does not accept these credentials ({detail}); they may have expired{clock}. {LOGIN}"


def no_credentials(error: DefaultCredentialsError) -> str:
    """The sentence for credentials that cannot be found or read."""
    named = os.environ.get(_CREDENTIALS_FILE)
    if not named:
        return f"There are no Google credentials. {LOGIN}"
    if "{" in named or "\n" in named or len(named) > _LONGEST_PATH:  # a key, not its file
        return (
            f"{_CREDENTIALS_FILE} holds something else than the path of a file. Write the key to a file that only you "
            f"can read and name that, or unset it and sign in yourself. {LOGIN}"
        )
    said = shown(str(error.args[0]))
    return (
        f"{_CREDENTIALS_FILE} names {named}, which cannot be used to sign in ({said}). Let it name a file of "
        f"credentials, or unset it and sign in yourself. {LOGIN}"
    )


def sign_in_failed(failure: type[StoreError | WarehouseError], error: GoogleAuthError) -> TaxiError:
    """The error to raise for a sign-in that failed."""
    if _passes(error):
        return TransientError(f"Google's sign-in cannot be reached ({type(error).__name__}). Run again.")
    said = next(filter(None, (shown(body.message) for body in _answers(error))), "")
    if not said:
        return failure(credentials_refused(shown(str(error.args[0])) if error.args else type(error).__name__))
    if is_api_off(said):
        remedy = "Turn that API on in the Google Cloud console."
    else:
        remedy = grants(permissions_in(said), {"account": "the service account"})
    remedy = remedy or f"See that the service account exists and may be used by you. {LOGIN}"
    return failure(f"Google refuses the sign-in: {said}. {remedy}")


def _passes(error: GoogleAuthError) -> bool:
    """Whether a sign-in that failed may succeed next time; not all that pass are marked so by Google's library."""
    if error.retryable or isinstance(error.__cause__, TransportError):
        return True
    return any(body.code == 429 or body.code >= 500 for body in _answers(error))


def _answers(error: GoogleAuthError) -> Iterator[ErrorBody]:
    """What Google answered, where it did so in the JSON of its APIs."""
    return map(read, error.args)
