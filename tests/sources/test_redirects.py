"""Redirects: from the internet nothing leads into a private network, and what was checked is what is connected to."""

from __future__ import annotations

import socket
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import MONTH, Command, Publisher, answer
from loopback import Internet, LoopbackHandler, internet, self_signed, serving

from taxi_ingest.catalog import Part
from taxi_ingest.errors import SourceError, TransientError
from taxi_ingest.layout import Layout
from taxi_ingest.sources.addresses import is_public
from taxi_ingest.steps.download import Origin, download

__all__ = ["internet"]

CSV = MONTH.read_bytes()
PUBLIC, ALSO_PUBLIC = "93.184.216.34", "93.184.216.35"


def fetch(url: str, folder: Path, timeout_seconds: float = 3) -> bytes:
    layout = Layout(folder)
    download(Part("yellow", "2020-01"), Origin("somewhere", url), layout, timeout_seconds=timeout_seconds)
    return layout.raw(Part("yellow", "2020-01"), ".csv").read_bytes()


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = ("DNS:localhost", "DNS:files.example", "IP:127.0.0.1")
    return self_signed(tmp_path_factory.mktemp("tls"), *names)


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    return certificate


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.251", "239.1.1.1",
        "255.255.255.255", "::1", "::", "fe80::1%eth0", "fec0::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1",
        "::ffff:127.0.0.1", "::127.0.0.1", "::a00:1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "2002:a00:1::", "2002:7f00:1::1", "2002:c0a8:101::1",
    ],
)  # fmt: skip
def test_these_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "2606:2800:220:1::1", f"::ffff:{PUBLIC}", f"64:ff9b::{PUBLIC}", "2002:5db8:d822::1"],
)
def test_these_addresses_are(address: str) -> None:
    assert is_public(address)


# ---- behind a proxy, which looks names up itself, the spelling is all there is


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1.", "127.1", "0x7f.0.0.1", "2130706433", "0.0.0.0", "10.0.0.1", "224.0.0.1",
        "localhost", "LOCALHOST.", "a.localhost", "[::1]", "[::]", "[::ffff:10.0.0.1]", "[::10.0.0.1]",
        "[64:ff9b::10.0.0.1]", "[2002:a00:1::]", "[ff02::1]", "user:word@10.0.0.1:8443",
    ],
)  # fmt: skip
def test_a_literal_address_is_refused_behind_a_proxy_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    class Proxy(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            answer(self, 302, b"", Location=f"https://{host}/a.csv?token=hunter2")

    with serving(Proxy) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        with pytest.raises(SourceError, match="into a private network") as raised:
            fetch("http://publisher.example/a.csv?token=hunter2", tmp_path)
    assert not any(secret in str(raised.value) for secret in ("hunter2", "word"))


# ---- without one, it is the address that is connected to


def redirecting(*locations: str) -> type[LoopbackHandler]:
    """Redirect the n-th request to the n-th location, and then send the file."""
    waiting = list(locations)

    class Handler(LoopbackHandler):
        hosts: list[str] = []  # noqa: RUF012 - of this class alone

        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            self.hosts.append(self.headers["Host"])
            answer(self, 302, b"", Location=waiting.pop(0)) if waiting else answer(self, 200, CSV)

    return Handler


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.7"],
        [PUBLIC, "10.0.0.7"],
        ["10.0.0.7", PUBLIC],
        ["::ffff:10.0.0.7"],
        ["64:ff9b::a00:7"],
        ["2002:a00:7::"],
    ],
)
def test_a_name_of_a_private_address_is_refused(internet: Internet, tmp_path: Path, addresses: list[str]) -> None:
    with serving(redirecting("https://inside.example/a.csv")) as url:
        internet.names = {"publisher.example": [[PUBLIC]], "inside.example": [list(addresses)]}
        internet.ports = {PUBLIC: port_of(url)}
        with pytest.raises(SourceError, match=r"private network \(inside\.example\)"):
            fetch("http://publisher.example/a.csv", tmp_path)
    assert internet.connected == [PUBLIC]


def test_a_name_is_looked_up_once_and_certificate_and_host_go_by_the_name(
    internet: Internet, trusted: Path, tmp_path: Path
) -> None:
    """A second look-up would give 127.0.0.1: DNS rebinding."""
    files = redirecting()
    with serving(redirecting("https://files.example/b.csv")) as url, serving(files, trusted) as tls:
        internet.names = {"publisher.example": [[PUBLIC]], "files.example": [[ALSO_PUBLIC], ["127.0.0.1"]]}
        internet.ports = {PUBLIC: port_of(url), ALSO_PUBLIC: port_of(tls)}
        assert fetch("http://publisher.example/a.csv", tmp_path) == CSV
    assert (internet.connected, internet.looked_up) == ([PUBLIC, ALSO_PUBLIC], ["publisher.example", "files.example"])
    assert (files.sni, files.hosts) == ("files.example", ["files.example"])  # type: ignore[attr-defined]


def test_a_certificate_of_another_name_is_refused(internet: Internet, trusted: Path, tmp_path: Path) -> None:
    with serving(redirecting("https://other.example/b.csv")) as url, serving(redirecting(), trusted) as tls:
        internet.names = {"publisher.example": [[PUBLIC]], "other.example": [[ALSO_PUBLIC]]}
        internet.ports = {PUBLIC: port_of(url), ALSO_PUBLIC: port_of(tls)}
        with pytest.raises(SourceError, match="certificate cannot be verified"):
            fetch("http://publisher.example/a.csv", tmp_path)


def test_a_public_page_in_between_does_not_open_the_way_back(internet: Internet, trusted: Path, tmp_path: Path) -> None:
    public = redirecting("https://localhost/c.csv")
    with serving(public, trusted) as tls, serving(redirecting("https://files.example/b.csv")) as url:
        internet.names = {"files.example": [[PUBLIC]]}
        internet.ports = {PUBLIC: port_of(tls)}
        with pytest.raises(SourceError, match=r"now at files\.example\) redirects into a private network"):
            fetch(f"{url}/a.csv", tmp_path)


def test_within_a_private_network_redirects_are_followed(trusted: Path, tmp_path: Path) -> None:
    with serving(redirecting(), trusted) as tls, serving(redirecting(f"{tls}/b.csv")) as url:
        assert fetch(f"{url}/a.csv", tmp_path) == CSV


def test_of_the_address_that_it_redirects_to_only_the_host_is_told(publisher: Publisher, tmp_path: Path) -> None:
    secret = "https://anna:hunter2@127.0.0.1:9/hunter2/a.csv;hunter2?token=hunter2#hunter2"
    publisher.files["/a.csv"] = lambda to: answer(to, 302, b"", Location=secret)
    with pytest.raises(TransientError, match=r"/a\.csv \(now at 127\.0\.0\.1\): the connection failed") as raised:
        fetch(publisher.url + "/a.csv", tmp_path)
    assert "hunter2" not in str(raised.value)


def test_a_relative_redirect_keeps_the_bytes_it_was_sent_with(trusted: Path, tmp_path: Path) -> None:
    class Handler(LoopbackHandler):
        paths: list[str] = []  # noqa: RUF012 - of this class alone

        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            self.paths.append(self.path)
            answer(self, 200, CSV) if len(self.paths) > 1 else answer(self, 302, b"", Location="/\xe9 b.csv?x=%2F")

    with serving(Handler, trusted) as tls:
        assert fetch(f"{tls}/a.csv", tmp_path) == CSV
    assert Handler.paths[1] == "/%E9%20b.csv?x=%2F"


def test_a_drip_over_tls_is_cut_and_nothing_encrypted_is_kept(trusted: Path, tmp_path: Path) -> None:
    def drip(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 99999\r\n\r\n' + CSV[:3000])
        while True:
            to.wfile.write(b"x")
            time.sleep(0.02)

    class Handler(LoopbackHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name http.server calls
            self.close_connection = True
            try:
                drip(self)
            except OSError:
                return

    with serving(Handler, trusted) as tls, pytest.raises(TransientError, match="it sent less than"):
        fetch(f"{tls}/a.csv", tmp_path, timeout_seconds=0.4)
    (partial,) = (tmp_path / "raw" / "yellow").glob("*.part")
    kept = partial.read_bytes()
    assert (kept[:3000], kept[3000:].strip(b"x")) == (CSV[:3000], b"")


# ---- what makes no sense is refused in a sentence


MALFORMED = {
    "bad ipv6": "https://[::1/a.csv",
    "brackets": "https://a[b]c/a.csv",
    "bad host": "https://exa mple/a.csv",
    "no host": "https:///a.csv",
    "long label": f"https://{'a' * 300}.example/a.csv",
    "long name": f"https://{'a.' * 200}example/a.csv",
    "empty label": "https://a..example/a.csv",
    "port out of range": "https://host.example:99999/a.csv",
    "port in words": "https://host.example:https/a.csv",
    "raw bytes": "https://\xff\xfe/a.csv",
    "nfkc": "https://exa\xbdmple.example/a.csv",
    "nfkc in utf-8": "https://host\xe2\x84\x80.example/a.csv",
    "percent": "https://%31%32%37.0.0.1/a.csv",
    "nothing": "",
    "a word": "mailto:someone",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_redirect_is_refused_in_a_sentence(publisher: Publisher, tmp_path: Path, what: str) -> None:
    publisher.files["/a.csv"] = lambda to: answer(to, 302, b"", Location=MALFORMED[what])
    with pytest.raises(SourceError, match="redirects to an address that is") as raised:
        fetch(publisher.url + "/a.csv", tmp_path)
    assert "\n" not in str(raised.value)


def test_none_of_them_is_a_bug(taxi: Command, publisher: Publisher) -> None:
    months = [f"2020-{number:02}" for number in range(1, 13)]
    for month, location in zip(months, MALFORMED.values(), strict=False):
        publisher.files[f"/yellow_tripdata_{month}.csv"] = lambda to, at=location: answer(to, 302, b"", Location=at)  # type: ignore[misc]
    ran = taxi("run", "--month", f"{months[0]}..{months[-1]}", "--source", publisher.template)
    assert (ran.code, len(publisher.requests)) == (1, len(months)), ran.err


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000, "-1", "1e3", "5, 6", "0x10"])
def test_a_length_that_is_no_size_is_refused_in_a_sentence(publisher: Publisher, tmp_path: Path, length: str) -> None:
    def send(to: BaseHTTPRequestHandler) -> None:
        to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode("latin-1") + b"\r\n\r\n" + CSV)
        to.close_connection = True
        to.connection.shutdown(socket.SHUT_RDWR)

    publisher.files["/a.csv"] = send
    with pytest.raises(SourceError, match=r"no size|contradict"):
        fetch(publisher.url + "/a.csv", tmp_path)
