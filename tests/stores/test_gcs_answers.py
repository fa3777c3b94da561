"""Google Cloud Storage as store: errors become sentences, and impossible names are refused before any call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance_of_stores import checksum
from scripted_gcs import Reply, Scripted, described, refusal, scripted

from taxi_ingest.errors import StoreError, TransientError, UsageError
from taxi_ingest.place import Place
from taxi_ingest.stores import Store, open_store

NAME = "trips/a.parquet"
NO_OBJECT = refusal(404, f"No such object: demo-bucket/{NAME}", "notFound")


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 1)
    with scripted() as google:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)
        yield google


@pytest.fixture
def store() -> Store:
    return open_store(Place.parse("gs://demo-bucket"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file that goes up in one request."""
    (tmp_path / "a").write_bytes(b"content")
    return tmp_path / "a"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that goes up in a session, in chunks."""
    (tmp_path / "a").write_bytes(b"x" * 9_000_000)
    return tmp_path / "a"


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (refusal(404, "The specified bucket does not exist."), StoreError, "no bucket gs://demo-bucket. Create it:"),
        (
            refusal(403, "a@b.c does not have storage.objects.list access"),
            StoreError,
            "a@b.c .*Grant roles/storage.obj",
        ),
        (
            refusal(403, "a@b.c has no storage.buckets.get access"),
            StoreError,
            r"Grant roles/storage\.bucketViewer on gs:",
        ),
        (
            refusal(403, "Caller has no serviceusage.services.use access"),
            StoreError,
            "Grant roles/serviceusage.serviceUsageConsumer on the project that pays",
        ),
        (refusal(401, "Login Required", "required"), StoreError, "gcloud auth application-default login"),
        (refusal(403, "The project to be billed: billing account absent", "accountDisabled"), StoreError, "Billing is"),
        (refusal(403, "The account for the bucket has been disabled.", "accountDisabled"), StoreError, "Billing is"),
        (
            refusal(403, "Object 'a' is subject to bucket's retention policy or object retention", "forbidden"),
            StoreError,
            "gs://demo-bucket protects the object, by a retention policy or a hold, .*name another",
        ),
        (
            refusal(
                403, "Object 'a' is under active Temporary hold and cannot be overwritten", "objectUnderActiveHold"
            ),
            StoreError,
            "protects the object, by a retention policy or a hold",
        ),
        (
            refusal(403, "Permission denied on Cloud KMS key. Ensure that your service account may use it."),
            StoreError,
            "KMS key that encrypts gs://demo-bucket cannot be used. .*roles/cloudkms.cryptoKeyEncrypterDecrypter",
        ),
        (
            refusal(403, "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x1"),
            StoreError,
            "VPC Service Controls keep this machine out of gs://demo-bucket.* x1",
        ),
        (
            refusal(403, "Provided scope(s) are not authorized", "forbidden"),
            StoreError,
            "access scopes are too narrow, whatever their roles are.* --scopes=cloud-platform",
        ),
        (
            refusal(403, "Cloud Storage JSON API has not been used in project 1 before", "accessNotConfigured"),
            StoreError,
            "The Cloud Storage API is off in project PROJECT.* gcloud services enable storage.googleapis.com",
        ),
        (refusal(403, "Rate Limit Exceeded", "rateLimitExceeded"), TransientError, "Google answered 403"),
        (refusal(400, "Invalid argument"), StoreError, "Google refused: Invalid argument"),
        (refusal(408, "Request Timeout"), TransientError, "Google answered 408"),
        (refusal(429, "The rate limit was exceeded"), TransientError, r"answered 429 \(The rate limit was exceeded\)"),
        (refusal(503, "Backend error"), TransientError, "Google answered 503"),
        ((403, {"error": {"x": json.loads("[" * 900 + "]" * 900)}}), StoreError, "status 403.*Grant roles/"),
        ((403, ["no error document"]), StoreError, "status 403.*Grant roles/"),
    ],
)
def test_an_error_becomes_a_sentence_with_the_remedy(
    google: Scripted, store: Store, answer: Reply, kind: type[Exception], sentence: str
) -> None:
    google.script = {"GET": [answer]}
    with pytest.raises(kind, match=sentence):
        store.held("trips/")


def test_an_object_that_goes_away_while_it_is_fetched_is_not_taken_for_a_missing_bucket(
    google: Scripted, store: Store, tmp_path: Path
) -> None:
    gone = refusal(404, "No such object: demo-bucket/trips/a")
    google.script = {"GET": [described("trips/a", "00000000", 4, "m1"), gone]}
    with pytest.raises(StoreError, match=r"an object was removed meanwhile .*Run again\."):
        store.get("trips/a", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_bucket_named_after_billing_is_not_taken_for_billing_that_is_off(google: Scripted) -> None:
    google.script = {"GET": [refusal(403, "a@b.c does not have access to billing-exports.", "forbidden")]}
    with pytest.raises(StoreError, match=r"Grant roles/storage\.objectUser on gs://billing-exports\."):
        open_store(Place.parse("gs://billing-exports")).held("trips/")


def test_a_bucket_that_is_gone_when_the_upload_begins_is_reported(google: Scripted, store: Store, small: Path) -> None:
    google.script = {"GET": [NO_OBJECT], "POST": [refusal(404, "The specified bucket does not exist.")]}
    with pytest.raises(StoreError, match="There is no bucket"):
        store.put(small, NAME, mark="m1", facts={})


@pytest.mark.parametrize("status", [404, 410])
def test_an_upload_whose_session_google_lost_may_be_tried_again(
    google: Scripted, store: Store, large: Path, status: int
) -> None:
    google.script = {"GET": [NO_OBJECT], "POST": [(200, {})], "PUT": [refusal(status, "Gone")]}
    with pytest.raises(TransientError, match=str(status)):
        store.put(large, NAME, mark="m1", facts={})


def test_the_error_of_a_refused_upload_does_not_show_the_url_of_its_session(
    google: Scripted, store: Store, large: Path
) -> None:
    google.script = {"GET": [NO_OBJECT], "POST": [(200, {})], "PUT": [refusal(400, "Bad chunk")]}
    with pytest.raises(StoreError) as refused:
        store.put(large, NAME, mark="m1", facts={})
    assert str(refused.value) == "gs://demo-bucket: Google refused: Bad chunk"


RIGHT = described(NAME, checksum(b"content"), 7, "m1")


@pytest.mark.parametrize(
    ("reply", "look"),
    [
        (RIGHT, described(NAME, "00000000", 7, "m1")),
        (RIGHT, described(NAME, checksum(b"content"), 8, "m1")),
        (RIGHT, NO_OBJECT),
        (described(NAME, "00000000", 7, "m1"), NO_OBJECT),
    ],
    ids=["other checksum", "other size", "gone", "other checksum in the reply"],
)
def test_an_upload_fails_unless_google_reports_its_checksum_and_size(
    google: Scripted, store: Store, small: Path, reply: Reply, look: Reply
) -> None:
    google.script = {"GET": [NO_OBJECT, look], "POST": [reply], "DELETE": [(200, {})]}
    with pytest.raises(StoreError, match="does not have the checksum of the file"):
        store.put(small, NAME, mark="m1", facts={})


ALL = ["storage.objects.list", "storage.objects.get", "storage.objects.create", "storage.objects.delete"]


def checked(google: Scripted, store: Store, permissions: list[str], *more: Reply) -> list[tuple[bool, str]]:
    google.script = {"GET": [(200, {"permissions": permissions}), *more]}
    return [(check.ok, check.sentence) for check in store.checks()]


def test_all_permissions_are_in_order(google: Scripted, store: Store) -> None:
    found = checked(google, store, [*ALL, "storage.buckets.get"], (200, {"name": "demo-bucket", "location": "EU"}))
    assert [ok for ok, _ in found] == [True] * 3
    assert found[1][1] == "bucket gs://demo-bucket exists, in EU"


def test_a_missing_permission_is_reported_with_its_very_role(google: Scripted, store: Store) -> None:
    *_, (ok, sentence) = checked(google, store, ALL[:3])
    assert (ok, sentence) == (
        False,
        "permissions are missing: storage.objects.delete. Grant roles/storage.objectUser on gs://demo-bucket.",
    )


def test_a_bucket_that_may_be_used_and_not_seen_is_in_order(google: Scripted, store: Store) -> None:
    found = checked(google, store, ALL)
    assert [ok for ok, _ in found] == [True] * 3
    assert "to see where (storage.buckets.get): Grant roles/storage.bucketViewer on gs://demo-bucket" in found[1][1]


def test_missing_credentials_are_reported_with_the_command_that_creates_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: Store
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StoreError, match="gcloud auth application-default login"):
        store.held("trips/")


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "Capital", "a_b-", "-ab", "192.168.5.4", "goog-mine", "my-google", "a..b", "under score", ""),
        *("a" * 64, f"a.{'b' * 64}", ".".join(["a" * 60] * 4)),
    ],
)
def test_names_that_no_bucket_can_have_are_refused_before_any_call(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a bucket"):
        open_store(Place.parse(f"gs://{name}/trips"))


@pytest.mark.parametrize("name", ["abc", "a_b-c", "a" * 63, "data.example.com", ".".join(["a" * 60] * 3)])
def test_names_that_a_bucket_can_have_are_taken(name: str) -> None:
    assert open_store(Place.parse(f"gs://{name}/trips")).url("x") == f"gs://{name}/trips/x"


@pytest.mark.parametrize("prefix", ["a\nb", "..", ".well-known/acme-challenge/x", "a" * 1025, "é" * 513, "a\udce9"])
def test_prefixes_that_no_object_can_have_are_refused_before_any_call(prefix: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an object"):
        open_store(Place.parse(f"gs://demo-bucket/{prefix}"))


@pytest.mark.parametrize(
    "url", ["gs://user:secret@demo-bucket/x", "gs://demo-bucket?secret", "gs://demo-bucket/x#secret"]
)
def test_a_url_with_parts_that_are_not_shown_is_refused_without_showing_them(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        open_store(Place.parse(url))
    assert "secret" not in str(refused.value)
