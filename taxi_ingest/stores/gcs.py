"""Google Cloud Storage as store: `gs://bucket/prefix`, with Google's own client.

An object carries its mark and provenance as custom metadata.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from google.api_core import exceptions as answers
from google.api_core.retry import Retry
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from taxi_ingest import google_cloud
from taxi_ingest.errors import StoreError, TransientError
from taxi_ingest.files import crc32c, replacing
from taxi_ingest.place import Check, Place
from taxi_ingest.stores import Held
from taxi_ingest.stores.gcs_errors import NEEDED, explain, granting
from taxi_ingest.stores.gcs_names import check_object_name, parse_bucket
from taxi_ingest.stores.gcs_session import Sending, open_session
from taxi_ingest.stores.unfinished import Notes, Unfinished

WHOLE_BYTES = 8 << 20
"""Up to this size, a file is sent in one request, without a session."""

TRANSFER_SECONDS = 300
"""How long a file of WHOLE_BYTES may take, which is 28 kB/s; and how long a download may stand still."""

_TYPE = "application/vnd.apache.parquet"

_CRC32C = "taxi-ingest-crc32c"
"""The checksum as custom metadata, because a listing leaves it out where a key of the customer encrypts the object.

It may be believed: Google compared it with the bytes when the object was written, and whoever writes other bytes writes
an object without this metadata.
"""
_SEEING = "storage.buckets.get"
"""Needed only to see where the bucket is."""


class GCSStore:
    """Objects under one prefix of one bucket. Raises UsageError for a name that Google does not allow."""

    needs_network = True

    def __init__(self, place: Place, uploads: Path | None = None) -> None:
        self.place = place
        self._bucket_name, self._prefix, self._payer = parse_bucket(place)
        self._uploads = uploads
        self._client: Client | None = None

    def held(self, prefix: str) -> dict[str, Held]:
        """All objects whose names begin with `prefix`, in one listing."""
        with self._translated_errors():
            blobs = self._bucket().list_blobs(
                prefix=self._prefix + prefix,
                fields="items(name,size,crc32c,metadata),nextPageToken",
                retry=_retry(),
            )
            return {blob.name.removeprefix(self._prefix): _describe(blob) for blob in google_cloud.listed(blobs)}

    def put(
        self,
        file: Path,
        name: str,
        *,
        mark: str,
        facts: Mapping[str, str],
        progress: Callable[[int], None] | None = None,
    ) -> Held:
        """Upload `file`; see the contract, `Store.put`.

        A large one goes on where another process was killed. The object is replaced only if no other writer replaced it
        meanwhile; otherwise StoreError is raised.
        """
        check_object_name(self._prefix + name, StoreError)
        ours = Held(mark, crc32c(file), file.stat().st_size)
        metadata = {**facts, google_cloud.MARK: mark, _CRC32C: ours.crc32c}
        send = self._send_whole if ours.size <= WHOLE_BYTES else self._send_in_session
        with self._translated_errors():
            server = self._connected().api_endpoint
            upload = Unfinished(server, self.url(name), ours.crc32c, ours.size, metadata)
            try:
                send(file, name, upload, progress)
            except answers.PreconditionFailed:
                return self._after_precondition_failed(name, ours)
            except (DataCorruption, answers.BadRequest) as error:
                if isinstance(error, answers.BadRequest) and "crc32c" not in google_cloud.message_of(error).lower():
                    raise
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
                blob.download_to_filename(str(scratch), timeout=TRANSFER_SECONDS, checksum="crc32c", retry=_retry())
            except DataCorruption as error:
                raise self._wrong_checksum(name) from error

    def url(self, name: str) -> str:
        """The gs:// URL of the object `name`."""
        check_object_name(self._prefix + name, StoreError)
        return f"gs://{self._bucket_name}/{self._prefix}{name}"

    def checks(self) -> Iterator[Check]:
        """Credentials, bucket and permissions."""
        try:
            with self._translated_errors():
                bucket = self._bucket()
                yield Check(True, google_cloud.signed_in_as(google_cloud.STORAGE_EMULATOR))
                granted = _granted(bucket)
                if _SEEING in granted:
                    bucket.reload(retry=_retry())
                    yield Check(True, f"bucket gs://{self._bucket_name} exists, in {bucket.location}")
                else:
                    remedy = granting(self._bucket_name, [_SEEING])
                    yield Check(True, f"bucket gs://{self._bucket_name} exists; to see where ({_SEEING}): {remedy}")
        except (StoreError, TransientError) as error:
            yield Check(False, str(error))
            return
        missing = sorted(set(NEEDED) - granted)
        if missing:
            yield Check(False, f"permissions are missing: {', '.join(missing)}. {granting(self._bucket_name, missing)}")
        else:
            yield Check(True, "objects may be listed, read, written and replaced")

    def _send_whole(self, file: Path, name: str, upload: Unfinished, progress: Callable[[int], None] | None) -> None:
        generation = self._generation(name)
        blob = self._bucket().blob(self._prefix + name, chunk_size=WHOLE_BYTES)
        blob.metadata = dict(upload.metadata)
        with _ProgressReader(file, progress) as content:
            blob.upload_from_file(
                content,
                size=upload.size,
                content_type=_TYPE,
                if_generation_match=generation,
                timeout=TRANSFER_SECONDS,
                checksum="crc32c",
                retry=_retry(),
            )

    def _send_in_session(
        self, file: Path, name: str, upload: Unfinished, progress: Callable[[int], None] | None
    ) -> None:
        """Upload in the session that an earlier process began for the same bytes, if it is still there; else anew."""
        notes = Notes(self._uploads, name)
        with contextlib.closing(google_cloud.storage_session()) as transport:
            try:
                begun = notes.session_of(upload)
                sending = Sending(transport, begun, file, upload.size, progress)
                if not (begun and self._goes_on(name, upload, sending)):
                    session = open_session(
                        transport, self._sessions_url(name), self._described(name, upload), upload.size
                    )
                    notes.write(replace(upload, session=session))
                    sending.begin(session)
            except answers.GoogleAPICallError as error:
                if not google_cloud.is_passing(error):
                    notes.forget()
                raise
        notes.forget()

    def _goes_on(self, name: str, upload: Unfinished, sending: Sending) -> bool:
        """Finish the upload of an earlier process. Returns False if the server does not go on with its session.

        It may have lost it, have begun it for other credentials, or for an object that was replaced since; what is
        wrong apart from that is told when a session is begun anew. Also if it took what had arrived for the whole, as
        an emulator does when it is asked how much that is.
        """
        try:
            sending.go_on()
        except answers.GoogleAPICallError as error:
            if google_cloud.is_passing(error):
                raise
            return False
        stored = self._stored(name)
        return stored is not None and (stored.crc32c, stored.size) == (upload.crc32c, upload.size)

    def _sessions_url(self, name: str) -> str:
        """Where an upload to the object `name` is begun, which fails if another writer replaces it meanwhile."""
        where = f"{self._connected().api_endpoint}/upload/storage/v1/b/{self._bucket_name}/o"
        paid = f"&userProject={self._payer}" if self._payer else ""
        return f"{where}?uploadType=resumable&ifGenerationMatch={self._generation(name)}{paid}"

    def _described(self, name: str, upload: Unfinished) -> dict[str, object]:
        """The object to come; Google refuses bytes that do not have its checksum."""
        checksum = base64.b64encode(bytes.fromhex(upload.crc32c)).decode()
        described = {"name": self._prefix + name, "contentType": _TYPE, "crc32c": checksum}
        return {**described, "metadata": dict(upload.metadata)}

    @google_cloud.reads_answer()
    def _generation(self, name: str) -> int:
        """The generation of the object as it is now; 0 if there is none."""
        existing = self._blob(name)
        return int(existing.generation) if existing else 0

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
        return self._connected().bucket(self._bucket_name, user_project=self._payer or None)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = google_cloud.storage_client()
        return self._client

    def _wrong_checksum(self, name: str) -> StoreError:
        return StoreError(f"{self.url(name)} does not have the checksum of the file. Run again.")

    def _translated_errors(self) -> contextlib.AbstractContextManager[None]:
        return google_cloud.translated_errors(
            f"gs://{self._bucket_name}", StoreError, functools.partial(explain, self._bucket_name)
        )


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


@google_cloud.reads_answer()
def _granted(bucket: Bucket) -> set[str]:
    """Which of the permissions we want are granted; all, by a server that knows no permissions, as emulators do."""
    wanted = (*NEEDED, _SEEING)
    try:
        return set(bucket.test_iam_permissions(wanted, retry=_retry()))
    except answers.NotFound:  # if the bucket is missing, whoever looks at it next is told
        return set(wanted)


def _retry() -> Retry:
    return google_cloud.limited(DEFAULT_RETRY)


@google_cloud.reads_answer()
def _describe(blob: Blob) -> Held:
    facts = {str(name): str(fact) for name, fact in (blob.metadata or {}).items()}
    mark, recorded = facts.pop(google_cloud.MARK, ""), facts.pop(_CRC32C, "")
    checksum = base64.b64decode(blob.crc32c).hex() if blob.crc32c else recorded
    return Held(mark, checksum, blob.size, facts)
