"""What a failed request means: a sentence without secrets, and whether another try may help.

Imports requests, so it is itself imported when first needed.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from http.client import IncompleteRead

from requests import exceptions
from urllib3.exceptions import InvalidHeader

from taxi_ingest.errors import SourceError, TaxiError, TransientError

_NO_SUCH_HOST = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_TUNNEL_STATUS = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}


def fault(shown: str, host: str, error: Exception, proxy: str) -> TaxiError:
    """What `error`, raised by requests or urllib3, means.

    `shown` is what the message calls what was asked for, `host` the one that was asked, `proxy` the URL of the proxy
    that was used, "" without one.
    """
    causes = list(_causes(error))
    for cause in causes:
        lasting = _of_tls(shown, cause) or _of_host(host, cause, proxy) or _of_proxy(cause, proxy)
        if lasting:
            return lasting
    if isinstance(error, exceptions.InvalidSchema | exceptions.InvalidURL | exceptions.MissingSchema):
        return SourceError(f"{shown} cannot be asked: the address is malformed. Check the --source template.")
    if isinstance(error, exceptions.InvalidHeader | InvalidHeader):
        return SourceError(f"{shown}: the publisher's headers contradict each other.")
    via = f" by way of the proxy that {_set_by(proxy)}" if proxy else ""
    is_silence = isinstance(error, exceptions.Timeout) or any(isinstance(cause, TimeoutError) for cause in causes)
    return TransientError(f"{shown}: the connection failed{via} ({_kind(error, causes)}).", is_silence=is_silence)


def proxy_in_words(proxy: str) -> str:
    """The beginning of a sentence about the proxy: which one it is, without its address, which may hold secrets."""
    return f"The proxy that {_set_by(proxy)}"


def proxy_wants_password(proxy: str) -> str:
    """The sentence for a proxy that answers 407."""
    return (
        f"{proxy_in_words(proxy)} accepts no request without the right user and password (407). "
        "Write them there, as USER:PASSWORD@ in front of the host."
    )


def _set_by(proxy: str) -> str:
    names = sorted(
        name
        for name, value in os.environ.items()
        if name.lower().endswith("_proxy") and name.lower() != "no_proxy" and value == proxy
    )
    return f"{' and '.join(names)} names" if names else "this system's settings name"


def _of_tls(shown: str, cause: BaseException) -> TaxiError | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SourceError(
            f"{shown}: its certificate cannot be verified ({cause.verify_message.rstrip('.')}). If your network puts "
            "its own certificates in between, name the file that holds them in REQUESTS_CA_BUNDLE."
        )
    if isinstance(cause, ssl.SSLError) and cause.reason in _NOT_TLS:
        return SourceError(f"{shown}: the publisher does not speak https there. Check the --source template.")
    if isinstance(cause, ssl.SSLError) and "NO_CERTIFICATE" in str(cause.reason):
        return SourceError("The file named in REQUESTS_CA_BUNDLE or SSL_CERT_FILE holds no certificate in PEM form.")
    return None


def _of_host(host: str, cause: BaseException, proxy: str) -> TaxiError | None:
    if not isinstance(cause, socket.gaierror) or cause.errno not in _NO_SUCH_HOST:
        return None
    if proxy:
        return SourceError(f"{proxy_in_words(proxy)} has a host that does not exist. Correct it or remove it.")
    return SourceError(f"The host {host} cannot be found. Check --source, and whether this machine is online.")


def _of_proxy(cause: BaseException, proxy: str) -> TaxiError | None:
    status = _TUNNEL_STATUS.search(str(cause)) if proxy else None
    if status is None or status[1].startswith("5"):
        return None
    if status[1] == "407":
        return SourceError(proxy_wants_password(proxy))
    return SourceError(f"{proxy_in_words(proxy)} refuses to connect ({status[1]}).")


def _kind(error: Exception, causes: list[BaseException]) -> str:
    """What failed, in the system's own words where it has any; never in those of requests, which hold the URL."""
    if any(isinstance(cause, IncompleteRead) for cause in causes):
        return "the line was cut"
    said = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.errno and cause.strerror]
    return said[-1] if said else type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and everything it was raised from or wraps."""
    waiting: list[object] = [error]
    seen: list[int] = []
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.append(id(one))
            yield one
            waiting += [one.__context__, one.__cause__, getattr(one, "reason", None), *one.args]
