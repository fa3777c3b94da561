"""Google's sign-in: a fault that passes is tried again, credentials that are refused are not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import workload_credentials
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from loopback import LoopbackHandler, serving

from taxi_ingest.errors import StoreError, TaxiError, TransientError
from taxi_ingest.place import Place
from taxi_ingest.stores import open_store


@contextlib.contextmanager
def sign_in(status: int) -> Iterator[str]:
    """Google's server that gives a token for one of another identity provider; it answers with `status`."""

    class Handler(LoopbackHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name http.server calls
            self.body()
            self.reply_json(status, {"error": {"code": status, "message": "no", "status": "UNAVAILABLE"}})

    with serving(Handler) as url:
        yield url


@pytest.mark.parametrize(("status", "kind"), [(503, TransientError), (429, TransientError), (403, StoreError)])
def test_a_sign_in_that_fails_for_the_moment_may_be_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int, kind: type[TaxiError]
) -> None:
    monkeypatch.setattr("taxi_ingest.google_cloud.RETRY_SECONDS", 0.5)
    with sign_in(status) as url:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(workload_credentials(tmp_path, url)))
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "wire-project")
        with pytest.raises(kind) as raised:
            open_store(Place.parse("gs://demo-bucket")).held("trips/")
    assert ("sign-in cannot be reached" in str(raised.value)) == (kind is TransientError)
    assert "http" not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (
            "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
            "Grant roles/iam.serviceAccountTokenCreator on the service account.",
        ),
        (
            "IAM Service Account Credentials API has not been used in project 1 before or it is disabled. Enable it by "
            "visiting https://console.developers.google.com/x then retry.",
            "Turn that API on in the Google Cloud console.",
        ),
        ("Not found; Gaia id not found for email a@b.c", "See that the service account exists"),
    ],
)
def test_a_service_account_that_may_not_be_used_is_told_in_googles_words_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, remedy: str
) -> None:
    class Handler(LoopbackHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name http.server calls
            self.body()
            if "generateAccessToken" in self.path:
                self.reply_json(403, {"error": {"code": 403, "message": said}})
            else:
                self.reply_json(200, {"access_token": "a-token", "token_type": "Bearer", "expires_in": 3600})

    with serving(Handler) as url:
        path = workload_credentials(tmp_path, url)
        impersonating = {
            "service_account_impersonation_url": f"{url}/v1/projects/-/serviceAccounts/a@b.c:generateAccessToken"
        }
        path.write_text(json.dumps(json.loads(path.read_text()) | impersonating))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "wire-project")
        with pytest.raises(StoreError) as raised:
            open_store(Place.parse("gs://demo-bucket")).held("trips/")
    assert str(raised.value).startswith(f"Google refuses the sign-in: {said[:20]}")
    assert remedy in str(raised.value)
    assert "http" not in str(raised.value)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What GOOGLE_APPLICATION_CREDENTIALS names."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "named"))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "wire-project")
    return tmp_path / "named"


UNUSABLE = {
    "missing": None,
    "empty": b"",
    "binary": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "a text": b'"key"',
    "of no kind": b"{}",
    "without a key": b'{"type": "service_account", "client_email": "a@b.c", "private_key": "x", "token_uri": "y"}',
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_holds_no_credentials_is_told_with_the_variable_that_names_it(
    named: Path, content: bytes | None
) -> None:
    if content is not None:
        named.write_bytes(content)
    with pytest.raises(
        StoreError, match=r"^GOOGLE_APPLICATION_CREDENTIALS names .*/named, which cannot be used .*unset"
    ):
        open_store(Place.parse("gs://demo-bucket")).held("trips/")


@pytest.mark.parametrize("value", ['{"private_key": "a-secret"}', "YS1zZWNyZXQ/" * 100, "-----BEGIN\na-secret"])
def test_a_key_in_place_of_the_path_of_its_file_is_not_shown(
    named: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", value)
    with pytest.raises(StoreError, match="holds something else than the path of a file") as raised:
        open_store(Place.parse("gs://demo-bucket")).held("trips/")
    assert not any(secret in str(raised.value) for secret in ("a-secret", "YS1zZWNyZXQ"))


def test_a_folder_in_place_of_credentials_is_told_by_doctor(named: Path) -> None:
    named.mkdir()
    (check,) = open_store(Place.parse("gs://demo-bucket")).checks()
    assert (check.ok, check.sentence[:36]) == (False, "GOOGLE_APPLICATION_CREDENTIALS names")


def test_workload_identity_is_not_taken_for_somebodys_own_account(named: Path, tmp_path: Path) -> None:
    named.write_bytes(workload_credentials(tmp_path, "http://127.0.0.1:9").read_bytes())
    assert next(open_store(Place.parse("gs://demo-bucket")).checks()).sentence == "signed in by workload identity"


def test_a_token_that_is_refused_is_told_in_googles_words(named: Path) -> None:
    said = "Invalid JWT: Token must be in a reasonable timeframe. Check your iat and exp values in the JWT claim."

    class Handler(LoopbackHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name http.server calls
            self.body()
            self.reply_json(400, {"error": "invalid_grant", "error_description": said})

    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with serving(Handler) as url:
        account = {"type": "service_account", "client_email": "a@b.c", "token_uri": url, "private_key": key.decode()}
        named.write_text(json.dumps(account))
        with pytest.raises(
            StoreError, match=r"iat and exp .*; they may have expired \(or this machine's clock is wrong"
        ):
            open_store(Place.parse("gs://demo-bucket")).held("trips/")
