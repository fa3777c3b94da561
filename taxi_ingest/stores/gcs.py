"""Google Cloud Storage as store: `gs://bucket/prefix`, with Google's own client.

An object carries its mark and provenance as custom metadata.
"""

from __future__ import annotations

import base64
import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from google.api_core import exceptions as answers
from google.api_core.retry import Retry
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from taxi_ingest import google_cloud
from taxi_ingest.errors import StoreError, TaxiError, TransientError, UsageError
from taxi_ingest.files import crc32c, replacing
from taxi_ingest.place import Check, Place
from taxi_ingest.stores import Held

CHUNK_BYTES = 8 << 20
CHUNK_SECONDS = 300
"""How long one chunk may take: 8 MiB in 300 s is 28 kB/s, slower than any uplink worth using."""

_MARK = "taxi-ingest-mark"
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_PERMISSIONS = ("storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete")


class GCSStore:
    """Objects under one prefix of one bucket. Raises UsageError for a name that Google does not allow."""

    needs_network = True

    def __init__(self, place: Place) -> None:
        self.place = place
        self._bucket_name, self._prefix = _parse(place)
        self._client: Client | None = None

    def held(self, prefix: str) -> dict[str, Held]:
        """All objects whose names begin with `prefix`, in one listing."""
        with self._translated_errors():
            blobs = self._bucket().list_blobs(
                prefix=self._prefix + prefix,
                fields="items(name,size,crc32c,metadata),nextPageToken",
                retry=_retry(),
            )
            return {blob.name.removeprefix(self._prefix): _describe(blob) for blob in blobs}

    def put(
        self,
        file: Path,
        name: str,
        *,
        mark: str,
        facts: Mapping[str, str],
        progress: Callable[[int], None] | None = None,
    ) -> Held:
        """Upload `file` in chunks; see the contract, `Store.put`.

        The object is replaced only if no other writer replaced it meanwhile; otherwise StoreError is raised.
        """
        _check_object_name(self._prefix + name, StoreError)
        ours = Held(mark, crc32c(file), file.stat().st_size)
        with self._translated_errors():
            existing = self._blob(name)
            try:
                self._upload(file, name, {**facts, _MARK: mark}, existing.generation if existing else 0, progress)
            except answers.PreconditionFailed:
                return self._after_precondition_failed(name, ours)
            except DataCorruption as error:
                raise self._wrong_checksum(name) from error
            except ValueError as error:
                if file.stat().st_size >= ours.size:
                    raise
                # what the client raises for a file that ends before the size it had
                raise StoreError(f"{file} became shorter while it was uploaded. Run again.") from error
            if self._stored(name) != ours:
                raise self._wrong_checksum(name)
        return ours

    def get(self, name: str, file: Path) -> None:
        """Download the object `name` to `file`; see the contract, `Store.get`."""
        with self._translated_errors(), replacing(file) as scratch:
            blob = self._blob(name)
            if blob is None:
                raise StoreError(f"There is no {self.url(name)}. Run upload for this month.")
            try:
                blob.download_to_filename(str(scratch), timeout=CHUNK_SECONDS, checksum="crc32c", retry=_retry())
            except DataCorruption as error:
                raise self._wrong_checksum(name) from error

    def url(self, name: str) -> str:
        """The gs:// URL of the object `name`."""
        _check_object_name(self._prefix + name, StoreError)
        return f"gs://{self._bucket_name}/{self._prefix}{name}"

    def checks(self) -> Iterator[Check]:
        """Credentials, bucket and permissions."""
        try:
            with self._translated_errors():
                bucket = self._bucket()
                yield Check(True, google_cloud.signed_in_as(google_cloud.STORAGE_EMULATOR))
                bucket.reload(retry=_retry())
                yield Check(True, f"bucket gs://{self._bucket_name} exists, in {bucket.location}")
                # emulators have no permissions to query
                emulated = google_cloud.uses_emulator(google_cloud.STORAGE_EMULATOR)
                granted = _PERMISSIONS if emulated else bucket.test_iam_permissions(_PERMISSIONS)
                missing = sorted(set(_PERMISSIONS) - set(granted))
        except (StoreError, TransientError) as error:
            yield Check(False, str(error))
            return
        if missing:
            remedy = f"Grant roles/storage.objectUser on gs://{self._bucket_name}."
            yield Check(False, f"permissions are missing: {', '.join(missing)}. {remedy}")
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
        with _ProgressReader(file, progress) as content:
            blob.upload_from_file(
                content,
                size=file.stat().st_size,
                content_type="application/vnd.apache.parquet",
                if_generation_match=generation,
                timeout=CHUNK_SECONDS,
                checksum="crc32c",
                retry=_retry(),
            )

    def _after_precondition_failed(self, name: str, ours: Held) -> Held:
        """Success if the object is ours (the reply to our first request was lost); otherwise another writer's."""
        if self._stored(name) == ours:
            return ours
        raise StoreError(f"Another writer replaced {self.url(name)} during this upload. Run again to upload yours.")

    def _stored(self, name: str) -> Held | None:
        blob = self._blob(name)
        return _describe(blob) if blob else None

    def _blob(self, name: str) -> Blob | None:
        return self._bucket().get_blob(self._prefix + name, retry=_retry())

    def _bucket(self) -> Bucket:
        if self._client is None:
            self._client = google_cloud.storage_client()
        return self._client.bucket(self._bucket_name)

    def _wrong_checksum(self, name: str) -> StoreError:
        return StoreError(f"{self.url(name)} does not have the checksum of the file. Run again.")

    def _translated_errors(self) -> contextlib.AbstractContextManager[None]:
        return google_cloud.translated_errors(f"gs://{self._bucket_name}", StoreError, self._explain)

    def _explain(self, error: answers.GoogleAPICallError) -> TaxiError:
        bucket, message = f"gs://{self._bucket_name}", google_cloud.message_of(error)
        if _is_transient(error):
            return TransientError(f"{bucket}: Google answered {error.code} ({message}). Run again.")
        if isinstance(error, answers.NotFound):
            return StoreError(
                f"There is no bucket {bucket}. Create it: gcloud storage buckets create {bucket} --location=EU"
            )
        if isinstance(error, answers.Unauthorized):
            return StoreError(f"{bucket}: {google_cloud.credentials_refused(message)}")
        if google_cloud.is_billing_off(error):
            return StoreError(google_cloud.billing_is_off(f"the project of {bucket}"))
        if isinstance(error, answers.Forbidden):
            return StoreError(
                f"These credentials lack a permission in {bucket} ({message}). "
                "Grant them roles/storage.objectUser on the bucket."
            )
        return StoreError(f"{bucket}: Google refused: {message}")


class _ProgressReader(io.BufferedReader):
    """A file that reports how many bytes were read for the first time; a chunk that is resent is not counted again."""

    def __init__(self, file: Path, progress: Callable[[int], None] | None) -> None:
        super().__init__(io.FileIO(file))
        self._progress = progress
        self._reported = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        position = self.tell()
        if self._progress is not None and position > self._reported:
            self._progress(position - self._reported)
            self._reported = position
        return data


def _is_transient(error: answers.GoogleAPICallError) -> bool:
    # 404 or 410 in the middle of an upload: Google lost its session and wants the upload begun anew
    method = getattr(getattr(error.response, "request", None), "method", "")
    lost_session = error.code in {404, 410} and method == "PUT"
    return isinstance(error, answers.TooManyRequests | answers.ServerError) or error.code == 408 or lost_session


def _retry() -> Retry:
    return google_cloud.limited(DEFAULT_RETRY)


def _describe(blob: Blob) -> Held:
    checksum = base64.b64decode(blob.crc32c or "").hex()
    facts = dict(blob.metadata or {})
    return Held(facts.pop(_MARK, ""), checksum, blob.size, facts)


def _parse(place: Place) -> tuple[str, str]:
    """Bucket and prefix of `gs://bucket/prefix`; the prefix ends with "/" unless it is empty."""
    rest = place.url.partition("://")[2]
    bucket, _, prefix = rest.partition("/")
    # these would be hidden where the place is shown, so two stores would look like one
    if not place.has_host or "@" in bucket or any(character in rest for character in "?#;"):
        raise UsageError(f"'{place}' is not a bucket. Write gs://bucket/prefix, without user, ?, # and ;.")
    _check_bucket_name(bucket)
    prefix = prefix.strip("/")
    if prefix:
        _check_object_name(prefix, UsageError)
    return bucket, f"{prefix}/" if prefix else ""


def _check_bucket_name(name: str) -> None:
    """Google's rules: https://cloud.google.com/storage/docs/buckets#naming."""
    longest = max(len(part) for part in name.split("."))
    wrong = (
        not _BUCKET.fullmatch(name)
        or not 3 <= len(name) <= (222 if "." in name else 63)
        or longest > 63
        or ".." in name
        or _IP_ADDRESS.fullmatch(name)
        or name.startswith("goog")
        or "google" in name
    )
    if wrong:
        raise UsageError(
            f"'{name}' cannot be the name of a bucket: 3 to 63 lower-case letters, digits, - and _, "
            "beginning and ending with a letter or digit. Write gs://bucket/prefix."
        )


def _check_object_name(name: str, error: type[StoreError | UsageError]) -> None:
    """Google's rules: https://cloud.google.com/storage/docs/objects#naming."""
    forbidden = any(character in name for character in "\r\n\0") or name.startswith(".well-known/acme-challenge/")
    # a lone surrogate stands for a byte of the command line that is not UTF-8
    not_unicode = any("\ud800" <= character <= "\udfff" for character in name)
    too_long = len(name.encode(errors="replace")) > 1024
    if not name or name.endswith("/") or name in {".", ".."} or forbidden or not_unicode or too_long:
        raise error(f"{name!r} cannot be the name of an object: up to 1024 bytes of text on one line.")
