"""A secret in a source's URL is used to fetch and appears nowhere else: no file, screen, log or crash report."""

from __future__ import annotations

import base64
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import MONTH, Answer, Command, Publisher, Ran, answer, serve
from hypothesis import given
from hypothesis import strategies as st

from taxi_ingest.redaction import redacted

USER, PASSWORD, TOKEN, SIGNATURE = "anna-secret", "hunter2-secret", "tok-secret", "signed-secret"
SECRETS = (USER, PASSWORD, TOKEN, SIGNATURE, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
QUICK = {"TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0", "TAXI_INGEST_DOWNLOAD__TRIES": "2"}


def redirect(to: BaseHTTPRequestHandler) -> None:
    answer(to, 302, b"", Location=f"http://storage.example/{SIGNATURE}?X-Signature={SIGNATURE}")


def echo(to: BaseHTTPRequestHandler) -> None:
    answer(to, 500, f"{to.path} {to.headers['Authorization']}".encode())


def hang_up(to: BaseHTTPRequestHandler) -> None:
    to.close_connection = True


ANSWERS: dict[str, Answer] = {
    "the file": lambda to: serve(to, MONTH.read_bytes()),
    "not found": lambda to: answer(to, 404, b""),
    "a fault that repeats what was asked": echo,
    "a cut line": hang_up,
    "a redirect with a signature": redirect,
    "an error page": lambda to: answer(to, 200, f"<html>{TOKEN}</html>".encode()),
}


@pytest.fixture
def template(publisher: Publisher) -> str:
    return publisher.url.replace("//", f"//{USER}:{PASSWORD}@") + f"/{{dataset}}/{{month}}.csv?token={TOKEN}"


def leaks(folder: Path, *ran: Ran) -> list[str]:
    """Where a secret appears: files by name, and what was printed."""
    contents = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    contents |= {f"printed {number}": (one.out + one.err).encode() for number, one in enumerate(ran)}
    return [name for name, text in contents.items() if any(secret.encode() in text for secret in SECRETS)]


@pytest.mark.parametrize("answered", ANSWERS)
@pytest.mark.parametrize("by", ["flag", "flag with =", "environment"])
def test_no_secret_is_kept_or_shown(
    taxi: Command, publisher: Publisher, template: str, tmp_path: Path, answered: str, by: str
) -> None:
    publisher.everything = ANSWERS[answered]
    how = {"flag": ["--source", template], "flag with =": [f"--source={template}"]}.get(by, [])
    environment = QUICK | ({"TAXI_INGEST_GLOBAL__SOURCE": template} if by == "environment" else {})
    ran = taxi("run", "--month", "2020-01", *how, **environment)
    assert publisher.headers[0].get("Authorization", "").startswith("Basic ")
    seen = [
        taxi("history"),
        taxi("history", "latest", "--json"),
        taxi("logs"),
        taxi("status"),
        taxi("report"),
        taxi("plan", "--month", "2020-01", *how, **environment),
        taxi("config", "--json", **environment),
        taxi("config", **environment),
    ]
    assert leaks(tmp_path, ran, *seen) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda template: template.replace("http://", "ftp://"),
        lambda template: template.replace("{month}", "{year}"),
        lambda template: template.replace("{month}", "one").replace("{dataset}", "file"),
    ],
    ids=["scheme", "placeholder", "one file"],
)
def test_a_refused_source_is_quoted_without_its_secrets(
    taxi: Command, template: str, tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    ran = taxi("run", "--month", "2020-01,2020-02", "--source", spoil(template))
    assert (ran.code, leaks(tmp_path, ran)) == (2, [])


def test_a_crash_report_holds_no_secret(taxi: Command, template: str, tmp_path: Path) -> None:
    (tmp_path / "filelock.py").write_text("import sys; raise ZeroDivisionError(' '.join(sys.argv))")
    ran = taxi("run", "--month", "2020-01", "--source", template, PYTHONPATH=str(tmp_path))
    assert (ran.code, leaks(tmp_path, ran)) == (3, [])
    (log,) = tmp_path.glob("logs/bug-*.log")
    assert "ZeroDivisionError: " in log.read_text()


def test_cron_refuses_to_write_a_secret_down(taxi: Command, template: str) -> None:
    ran = taxi("cron", "--source", template)
    assert (ran.code, ran.out, "config.toml" in ran.err) == (2, "", True)


@given(
    before=st.text(),
    user=st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    after=st.text().filter(lambda text: "QQ" not in text),
)
def test_whatever_surrounds_an_address_its_secrets_are_gone(before: str, user: str, after: str) -> None:
    text = f"{before} https://{user}QQ:passQQ@host/path?token=QQ {after}"
    assert "QQ" not in redacted(text).replace(before, "")


@given(st.text().filter(lambda text: "://" not in text))
def test_a_text_without_an_address_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text
