"""Google Cloud Storage as store: `gs://bucket/prefix`, with Google's own client.

Credentials are Google's defaults (`google.auth.default`, impersonation included); STORAGE_EMULATOR_HOST is honoured
as the client does. An object bears its mark and provenance as custom metadata.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import requests
from google.api_core import exceptions as answers
from google.auth import default as default_credentials
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from taxi_ingest.errors import StoreError, TransientError, UsageError
from taxi_ingest.files import crc32c
from taxi_ingest.stores import Check, Held

CHUNK_BYTES = 8 << 20
CHUNK_SECONDS = 300
"""How long one chunk may take: 8 MiB in 300 s is 28 kB/s, slower than any uplink worth using."""

RETRY_SECONDS = 60
"""How long the client itself tries again before we call a fault one."""

_MARK = "taxi-ingest-mark"
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_BILLING = re.compile(r"billing (account|is|must|has)", re.IGNORECASE)
_LOGIN = "Run: gcloud auth application-default login"
_NEEDED = ("storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete")


def connect(url: str) -> GCSStore:
    """The store that `gs://bucket/prefix` names, untouched. Raises UsageError for a name Google would not allow."""
    bucket, _, prefix = url.removeprefix("gs://").partition("/")
    _check_bucket_name(bucket)
    prefix = prefix.strip("/")
    if prefix:
        _check_object_name(prefix, UsageError)
    return GCSStore(url, bucket, f"{prefix}/" if prefix else "")


class GCSStore:
    """Objects under one prefix of one bucket."""

    on_this_disk = False

    def __init__(self, url: str, bucket: str, prefix: str) -> None:
        self.url = url
        self._bucket_name = bucket
        self._prefix = prefix
        self._client: Any = None

    def held(self, prefix: str) -> dict[str, Held]:
        """All objects whose names begin with `prefix`, in one listing."""
        with self._words():
            blobs = self._bucket().list_blobs(
                prefix=self._prefix + prefix,
                fields="items(name,size,crc32c,metadata),nextPageToken",
                retry=_retry(),
            )
            return {blob.name.removeprefix(self._prefix): _held(blob) for blob in blobs}

    def put(
        self,
        file: Path,
        name: str,
        *,
        mark: str,
        facts: dict[str, str],
        progress: Callable[[int], None] | None = None,
    ) -> Held:
        """Upload `file` in chunks; see the contract in the folder's front page.

        The object is replaced only if nobody else replaced it meanwhile; otherwise StoreError is raised.
        """
        _check_object_name(self._prefix + name, StoreError)
        ours = Held(mark, crc32c(file), file.stat().st_size)
        with self._words():
            there = self._bucket().get_blob(self._prefix + name, retry=_retry())
            try:
                self._upload(file, name, {**facts, _MARK: mark}, there.generation if there else 0, progress)
            except answers.PreconditionFailed:
                return self._after_refusal(name, ours)
            except DataCorruption as error:
                raise self._not_believed(name) from error
            except ValueError as error:
                if file.stat().st_size >= ours.size:
                    raise
                # the client's word for a file that ends before the size it had
                raise StoreError(f"{file} became shorter while it was uploaded. Run again.") from error
            if self._now(name) != ours:
                raise self._not_believed(name)
        return ours

    def object_url(self, name: str) -> str:
        """The gs:// URL of the object."""
        return f"gs://{self._bucket_name}/{self._prefix}{name}"

    def checks(self) -> Iterator[Check]:
        """Credentials, bucket and permissions, without changing anything."""
        try:
            with self._words():
                bucket = self._bucket()
                yield Check(True, f"credentials are there: {_who()}")
                bucket.reload(retry=_retry())
                yield Check(True, f"bucket gs://{self._bucket_name} is there, in {bucket.location}")
                # the emulators have no permissions to ask for
                granted = _NEEDED if _on_emulator() else bucket.test_iam_permissions(_NEEDED)
                lacking = sorted(set(_NEEDED) - set(granted))
        except (StoreError, TransientError) as error:
            yield Check(False, str(error))
            return
        if lacking:
            remedy = f"Grant roles/storage.objectUser on gs://{self._bucket_name}."
            yield Check(False, f"permissions are missing: {', '.join(lacking)}. {remedy}")
        else:
            yield Check(True, "objects may be listed, read, written and replaced")

    def _upload(
        self,
        file: Path,
        name: str,
        metadata: dict[str, str],
        generation: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        blob = self._bucket().blob(self._prefix + name, chunk_size=CHUNK_BYTES)
        blob.metadata = metadata
        with file.open("rb") as content:
            blob.upload_from_file(
                _Watched(content, progress) if progress else content,
                size=file.stat().st_size,
                content_type="application/vnd.apache.parquet",
                if_generation_match=generation,
                timeout=CHUNK_SECONDS,
                checksum="crc32c",
                retry=_retry(),
            )

    def _after_refusal(self, name: str, ours: Held) -> Held:
        """A 412: success when it is our own object, whose reply was lost; somebody else's otherwise."""
        if self._now(name) == ours:
            return ours
        raise StoreError(f"somebody else wrote {self.object_url(name)} while we did. Run again to put ours there.")

    def _now(self, name: str) -> Held | None:
        blob = self._bucket().get_blob(self._prefix + name, retry=_retry())
        return _held(blob) if blob else None

    def _not_believed(self, name: str) -> StoreError:
        return StoreError(f"{self.object_url(name)} does not repeat the checksum of the file. Run again.")

    def _bucket(self) -> Any:
        if self._client is None:
            self._client = _client()
        return self._client.bucket(self._bucket_name)

    @contextlib.contextmanager
    def _words(self) -> Iterator[None]:
        """Turn what the client raises into a sentence with a remedy."""
        try:
            yield
        except auth.DefaultCredentialsError as error:
            raise StoreError(f"There are no Google credentials. {_LOGIN}") from error
        except answers.GoogleAPICallError as error:
            raise self._error(error) from error
        except (answers.RetryError, auth.TransportError, requests.RequestException) as error:
            raise TransientError(f"gs://{self._bucket_name} cannot be reached ({type(error).__name__}).") from error
        except auth.GoogleAuthError as error:
            if error.retryable:
                raise TransientError(f"Google's sign-in cannot be reached ({type(error).__name__}).") from error
            raise StoreError(f"Google refuses the credentials; they may have expired. {_LOGIN}") from error

    def _error(self, error: answers.GoogleAPICallError) -> StoreError | TransientError:
        bucket, said = f"gs://{self._bucket_name}", _said(error)
        if isinstance(error, answers.TooManyRequests | answers.ServerError) or _lost_its_session(error):
            return TransientError(f"{bucket}: Google answered {error.code}.")
        if isinstance(error, answers.NotFound):
            return StoreError(
                f"There is no bucket {bucket}. Make it: gcloud storage buckets create {bucket} --location=EU"
            )
        if isinstance(error, answers.Unauthorized):
            return StoreError(f"{bucket}: Google does not accept these credentials ({said}). {_LOGIN}")
        # 'The account for bucket "x" has been disabled' is about billing too, as its reason tells
        unpaid = _BILLING.search(said) or "accountDisabled" in getattr(error.response, "text", "")
        if isinstance(error, answers.Forbidden) and unpaid:
            return StoreError(f"Billing is off for the project of {bucket}. Turn it on in the Google Cloud console.")
        if isinstance(error, answers.Forbidden):
            return StoreError(
                f"These credentials may not do this in {bucket} ({said}). "
                "Grant them roles/storage.objectUser on the bucket."
            )
        return StoreError(f"{bucket}: Google refused: {said}")


class _Watched:
    """A file that tells how many bytes were read of it for the first time; a chunk sent again is told once."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], None]) -> None:
        self._file = file
        self._progress = progress
        self._told = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        at = self._file.tell()
        if at > self._told:
            self._progress(at - self._told)
            self._told = at
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _said(error: answers.GoogleAPICallError) -> str:
    """Google's own words. The client's message adds the URL, and that of an upload's session lets anyone write."""
    try:
        return str(error.response.json()["error"]["message"]).rstrip(".")
    except (AttributeError, KeyError, TypeError, ValueError):
        return f"status {error.code}"


def _lost_its_session(error: answers.GoogleAPICallError) -> bool:
    """Whether an upload was refused in its middle with 404 or 410, after which Google wants it begun anew."""
    request = getattr(error.response, "request", None)
    return error.code in {404, 410} and getattr(request, "method", "") == "PUT"


def _on_emulator() -> bool:
    return bool(os.environ.get("STORAGE_EMULATOR_HOST"))


def _retry() -> Any:
    return DEFAULT_RETRY.with_timeout(RETRY_SECONDS)


def _client() -> Any:
    # else each client asks for the bucket's metadata once, for traces that nobody collects
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    if _on_emulator():
        return Client(project=os.environ.get("GOOGLE_CLOUD_PROJECT", "local"), credentials=AnonymousCredentials())
    credentials, project = default_credentials(scopes=["https://www.googleapis.com/auth/devstorage.read_write"])
    return Client(project=project or "none", credentials=credentials)


def _who() -> str:
    if _on_emulator():
        return "none needed by the emulator"
    credentials, _ = default_credentials()
    return getattr(credentials, "service_account_email", "") or "your own, by gcloud auth application-default login"


def _held(blob: Any) -> Held:
    checksum = base64.b64decode(blob.crc32c or "").hex()
    return Held((blob.metadata or {}).get(_MARK, ""), checksum, blob.size)


def _check_bucket_name(name: str) -> None:
    """Google's grammar of bucket names."""
    longest = max(len(part) for part in name.split("."))
    wrong = (
        not _BUCKET.fullmatch(name)
        or not 3 <= len(name) <= (222 if "." in name else 63)
        or longest > 63
        or ".." in name
        or _ADDRESS.fullmatch(name)
        or name.startswith("goog")
        or "google" in name
    )
    if wrong:
        raise UsageError(
            f"'{name}' cannot be the name of a bucket: 3 to 63 lower-case letters, digits, - and _, "
            "beginning and ending with a letter or digit. Write gs://bucket/prefix."
        )


def _check_object_name(name: str, error: type[StoreError | UsageError]) -> None:
    """Google's grammar of object names."""
    odd = any(character in name for character in "\r\n\0") or name.startswith(".well-known/acme-challenge/")
    # a lone surrogate stands for a byte of the command line that is no UTF-8
    no_text = any("\ud800" <= character <= "\udfff" for character in name)
    too_long = len(name.encode(errors="replace")) > 1024
    if not name or name.endswith("/") or name in {".", ".."} or odd or no_text or too_long:
        raise error(f"{name!r} cannot be the name of an object: up to 1024 bytes of text on one line.")
