"""What will not pass is asked for once, and the sentence names what to set; what may pass is tried again."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Iterator
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from conftest import MONTH, Command, Publisher, Ran, answer, serve
from loopback import Internet, LoopbackHandler, internet, self_signed, serving

from taxi_ingest.catalog import Part
from taxi_ingest.errors import SourceError, TransientError
from taxi_ingest.layout import Layout
from taxi_ingest.sources.headers import seconds_to_wait
from taxi_ingest.steps.download import Origin, download

__all__ = ["internet"]

CSV = MONTH.read_bytes()
QUICK = {"TAXI_INGEST_DOWNLOAD__BACKOFF_SECONDS": "0", "TAXI_INGEST_DOWNLOAD__TIMEOUT_SECONDS": "3"}
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def no_settings_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


class Files(LoopbackHandler):
    """Sends the month, whatever is asked for."""

    def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
        answer(self, 200, CSV)

    do_HEAD = do_GET  # noqa: N815 - the server's name


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), "DNS:localhost")


@pytest.fixture
def https(certificate: Path) -> Iterator[str]:
    """A publisher at https://localhost with a certificate that nobody knows."""
    with serving(Files, certificate) as url:
        yield url.replace("127.0.0.1", "localhost")


def run(taxi: Command, url: str, verb: str = "download", month: str = "2020-01", **environment: str) -> Ran:
    template = url + f"/{{dataset}}_tripdata_{{month}}.csv?token={SECRET}"
    ran = taxi(verb, "--month", month, "--source", template, **{**QUICK, **environment})
    assert SECRET not in ran.out + ran.err
    return Ran(ran.code, "", ran.out + ran.err)


def tries(taxi: Command) -> int:
    return len(taxi("history", "latest", "--json").document["attempts"])


# ---- certificates


def test_an_unknown_certificate_is_refused_at_once_and_the_remedy_told(taxi: Command, https: str) -> None:
    ran = run(taxi, https)
    assert (ran.code, tries(taxi)) == (1, 1)
    assert "certificate cannot be verified" in ran.err
    assert "REQUESTS_CA_BUNDLE" in ran.err


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_remedy_helps(taxi: Command, https: str, certificate: Path, name: str) -> None:
    assert run(taxi, https, **{name: str(certificate)}).code == 0


def test_a_name_that_the_certificate_lacks_is_told(taxi: Command, https: str, certificate: Path) -> None:
    ran = run(taxi, https.replace("localhost", "127.0.0.1"), REQUESTS_CA_BUNDLE=str(certificate))
    assert (ran.code, tries(taxi), "certificate cannot be verified" in ran.err) == (1, 1, True), ran.err


@pytest.mark.parametrize("what", ["nothing", "no certificate"])
def test_a_bundle_that_is_none_is_told(taxi: Command, https: str, tmp_path: Path, what: str) -> None:
    bundle = tmp_path / "bundle.pem"
    if what != "nothing":
        bundle.write_text("no certificate")
    ran = run(taxi, https, REQUESTS_CA_BUNDLE=str(bundle))
    assert (ran.code, tries(taxi), "REQUESTS_CA_BUNDLE" in ran.err) == (1, 1, True), ran.err


def test_https_where_plain_http_is_spoken_is_told(taxi: Command, publisher: Publisher) -> None:
    ran = run(taxi, publisher.url.replace("http:", "https:"))
    assert (ran.code, tries(taxi), "does not speak https" in ran.err) == (1, 1, True), ran.err


def test_latest_says_the_same_at_once(taxi: Command, https: str) -> None:
    ran = run(taxi, https, "plan", "latest")
    assert (ran.code, "REQUESTS_CA_BUNDLE" in ran.err) == (1, True), ran.err


# ---- proxies


class Proxy(LoopbackHandler):
    """A proxy that wants a password."""

    def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
        answer(self, 407, b"", Proxy_Authenticate="Basic")

    do_CONNECT = do_HEAD = do_GET  # noqa: N815 - the server's names


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("verb", ["download", "plan"])
def test_a_proxy_that_wants_a_password_is_told(taxi: Command, scheme: str, verb: str) -> None:
    name = f"{scheme}_proxy".upper()
    with serving(Proxy) as proxy:
        secret = proxy.replace("//", f"//anna:{SECRET}@")
        ran = run(
            taxi, f"{scheme}://files.example", verb, "2020-01" if verb == "download" else "latest", **{name: secret}
        )
    assert (ran.code, f"The proxy that {name} names" in ran.err, "(407)" in ran.err) == (1, True, True), ran.err
    assert verb == "plan" or tries(taxi) == 1


UNUSABLE = [
    f"socks5://anna:{SECRET}@127.0.0.1:9",
    "ftp://127.0.0.1:9",
    "http://",
    "http://[::1:80",
    "http://127.0.0.1:x",
    "http://127.0.0.1:99999",
    f"http://anna:{SECRET}@ho st:80",
]


@pytest.mark.parametrize("address", UNUSABLE)
@pytest.mark.parametrize("name", ["ALL_PROXY", "HTTP_PROXY"])
def test_a_proxy_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, address: str
) -> None:
    monkeypatch.setenv(name, address)
    with pytest.raises(SourceError, match=f"The proxy that {name} names cannot be used") as raised:
        fetch("http://files.example/a.csv", tmp_path)
    assert ("PySocks" in str(raised.value)) == address.startswith("socks")
    assert SECRET not in str(raised.value)


def test_it_is_tried_once(taxi: Command) -> None:
    ran = run(taxi, "http://files.example", ALL_PROXY=UNUSABLE[0])
    assert (ran.code, tries(taxi), "ALL_PROXY" in ran.err) == (1, 1, True), ran.err


def test_a_proxy_that_does_not_answer_is_tried_again(taxi: Command) -> None:
    ran = run(taxi, "http://files.example", HTTP_PROXY="http://127.0.0.1:9", TAXI_INGEST_DOWNLOAD__TRIES="2")
    assert (ran.code, tries(taxi)) == (1, 2)
    assert "the proxy that HTTP_PROXY names (Connection refused)" in ran.err


def test_a_proxy_whose_host_does_not_exist_is_told(
    internet: Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    internet.names = {"proxy.example": [socket.gaierror(socket.EAI_NONAME, "Name or service not known")]}
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    with pytest.raises(SourceError, match="HTTP_PROXY names has a host that does not exist"):
        fetch("http://files.example/a.csv", tmp_path)


def fetch(url: str, folder: Path) -> None:
    download(Part("yellow", "2020-01"), Origin("somewhere", url), Layout(folder), timeout_seconds=3)


PROXIES = [
    {"HTTP_PROXY": "http://127.0.0.1:9"},
    {"http_proxy": "http://127.0.0.1:9", "NO_PROXY": "localhost", "no_proxy": "localhost"},
    {"ALL_PROXY": "socks5://127.0.0.1:9"},
    {"ALL_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "ftp://x"},
]


@pytest.mark.parametrize("proxies", PROXIES, ids=" ".join)
def test_the_demo_is_asked_without_a_proxy(taxi: Command, proxies: dict[str, str]) -> None:
    environment = {**QUICK, **proxies, "TAXI_INGEST_DEMO__ROWS": "50"}
    assert taxi("run", "--source", "demo", **environment).code == 0


class OverIPv6(ThreadingHTTPServer):
    """A server on ::1."""

    address_family = socket.AF_INET6


def test_every_loopback_host_is_asked_without_a_proxy(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    publisher.everything = lambda to: serve(to, CSV)
    for host in ("127.0.0.1", "localhost", "127.1"):
        fetch(publisher.url.replace("127.0.0.1", host) + "/a.csv", tmp_path / host)
        assert [file.read_bytes() for file in (tmp_path / host).rglob("*.csv")] == [CSV]
    server = OverIPv6(("::1", 0), Files)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    fetch(f"http://[::1]:{server.server_address[1]}/a.csv", tmp_path / "six")
    assert len([*(tmp_path / "six").rglob("*.csv")]) == 1
    server.shutdown()
    server.server_close()
    thread.join()


# ---- names


def test_a_host_that_does_not_exist_is_told(internet: Internet, tmp_path: Path) -> None:
    internet.names = {"files.example": [socket.gaierror(socket.EAI_NONAME, "Name or service not known")]}
    with pytest.raises(SourceError, match=r"The host files\.example cannot be found"):
        fetch(f"http://files.example/a.csv?token={SECRET}", tmp_path)


def test_a_resolver_that_does_not_answer_may_do_so_later(internet: Internet, tmp_path: Path) -> None:
    internet.names = {"files.example": [socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")]}
    with pytest.raises(TransientError, match="Temporary failure"):
        fetch("http://files.example/a.csv", tmp_path)


@pytest.mark.parametrize("host", [f"{'a' * 300}.example", "*.example", "a..example", "xn--\xbd.example"])
def test_a_host_that_is_none_is_refused_at_once(taxi: Command, host: str) -> None:
    ran = run(taxi, f"http://{host}")
    assert ran.code in {1, 2}, ran.err
    assert ran.code == 2 or tries(taxi) == 1


# ---- headers


def at(seconds: int) -> str:
    return format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds), usegmt=True)


def test_a_retry_after_that_is_a_date_is_honoured(publisher: Publisher, tmp_path: Path) -> None:
    publisher.files["/a.csv"] = lambda to: answer(to, 503, b"", Retry_After=at(90))
    with pytest.raises(TransientError) as raised:
        fetch(publisher.url + "/a.csv", tmp_path)
    assert raised.value.retry_after is not None
    assert 80 < raised.value.retry_after <= 90


@pytest.mark.parametrize(
    "text",
    ["\xb2", "9" * 5000, "-1", "soon", "", "Mon, 99 Foo 2024 99:99:99 GMT", "Mon, 01 Jan 99999 00:00:00 GMT", "1 1 1"],
)
def test_a_retry_after_that_makes_no_sense_asks_for_nothing(publisher: Publisher, tmp_path: Path, text: str) -> None:
    publisher.files["/a.csv"] = lambda to: answer(to, 503, b"", Retry_After=text)
    with pytest.raises(TransientError) as raised:
        fetch(publisher.url + "/a.csv", tmp_path)
    assert raised.value.retry_after is None


def test_a_date_that_is_past_asks_for_no_wait() -> None:
    assert seconds_to_wait(at(-5)) == 0
    assert seconds_to_wait("Mon, 01 Jan 2024 00:00:00 -0000") == 0


def test_latest_waits_for_as_long_as_the_publisher_asks(taxi: Command, publisher: Publisher) -> None:
    publisher.everything = lambda to: answer(to, 503, b"", Retry_After="86400")
    ran = run(taxi, publisher.url, "plan", "latest")
    assert (ran.code, len(publisher.requests)) == (1, 1), ran.err


def test_headers_that_cannot_be_read_show_no_secret(taxi: Command, publisher: Publisher) -> None:
    def garbled(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\n: nothing\r\nX\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\na,b\n")
        to.close_connection = True

    publisher.everything = garbled
    run(taxi, publisher.url, TAXI_INGEST_DOWNLOAD__TRIES="1")
    assert len(publisher.requests) == 1
