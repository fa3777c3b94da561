"""What may be shown and stored of an address, and of a text that quotes one: never a user, a password or a query.

What is shown of an address is decided where it is read: `public_text` for a value that somebody typed, `public_url` for
a URL. `redacted` is the second net, under texts that others wrote: it knows the secrets of every address that was read.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlencode, urlsplit

HIDDEN = "…"

_URL = re.compile(r"[A-Za-z0-9+._-]*://[^\s'\"<>]+")
_URL_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CLOSING_PUNCTUATION = ".,;:!?)]"
_PARAMETERS = re.compile(r";[^/]*")
_FILE_START = re.compile(r"duckdb:(?!//)|/(?!/)|\.\.?/")
"""How a path on this disk begins, whatever it holds."""

_USER_IN_PATH = re.compile(r".*:(?!//)[^@]*@", re.DOTALL)
"""How a path begins that may be the rest of `user:password@host`, where a slash stands in the user."""

_BROKEN_ADDRESS = re.compile(r"[^/:]*:.*@|//.*[@?]|https?:|.*[?;#][^/]*=", re.DOTALL | re.IGNORECASE)
"""How a text begins that may be an address with a mistake in it: a user before @, or parameters."""

_HOSTS = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^][:,@/]*)(:[0-9]+)?(,(\[[0-9A-Fa-f:.]*\]|[^][:,@/]*)(:[0-9]+)?)+")
"""Hosts with their ports, of which an address of Postgres may name several."""

_HOSTS_WITHOUT_DOT = {"localhost"}
_WITHOUT_USERS = {"file", "gs"}
"""Schemes whose addresses name no user, so that an @ in them belongs to a path."""

_SHORTEST = 6
"""A shorter secret is not looked for in texts: too much else would be taken for it."""

_A_LONG_WORD = 12

_NAMING = dict.fromkeys(("postgresql", "postgres"), ("host", "port", "dbname", "service", "schema"))
"""Scheme → the parameters that tell which place an address names. They are shown."""

_OF_LIBPQ = {
    *_NAMING["postgresql"],
    *("application_name", "channel_binding", "connect_timeout", "gssencmode", "options", "passfile", "sslcert"),
    *("sslcrl", "sslkey", "sslmode", "sslrootcert", "target_session_attrs", "user"),
}
_PLAIN = {
    "postgresql": _OF_LIBPQ,
    "postgres": _OF_LIBPQ,
    "bigquery": {"billing_project", "location", "method"},
    "gs": {"user_project"},
}
"""Scheme → the parameters of an address that are no secrets: names, modes and paths."""

_COMMON = {"password", "postgres"}
"""Passwords in many a tutorial, which are not looked for in texts either: they are words of every message."""

_known: dict[str, str] = {}
_learning = threading.Lock()


def is_well_formed(url: str) -> bool:
    """Whether it is certain where in `url` user and password end and the host begins."""
    try:
        parts = urlsplit(url)
        several = parts.scheme in _NAMING and _HOSTS.fullmatch(parts.netloc.rpartition("@")[2])
        _ = several or parts.port  # raises for a port that is no number, such as the beginning of a password
    except ValueError:
        return False
    if "@" in parts.netloc:
        return "@" not in parts.path  # which else may be the rest of a password with @ and / in it
    after_host = url.partition("://")[2][len(parts.netloc) :]
    if "@" in after_host and (":" in parts.netloc or _may_be_a_user(parts.netloc, parts.scheme)):
        return False
    return not _USER_IN_PATH.match(parts.path)


def _may_be_a_user(netloc: str, scheme: str) -> bool:
    """Whether what stands for a host may be the beginning of a user, such as a token, that a slash cuts in two."""
    is_host = "." in netloc or netloc.lower() in _HOSTS_WITHOUT_DOT
    return bool(netloc) and not is_host and scheme not in _WITHOUT_USERS


def public_url(url: str) -> str:
    """`url` (or a template of one) as it may be shown and stored.

    It is left without user, password, `;parameters`, fragment and query, except for what names the place itself; of a
    malformed one only the scheme is left.
    """
    if not is_well_formed(url):
        return f"{url.partition('://')[0]}://{HIDDEN}"
    parts = urlsplit(url)
    path = _PARAMETERS.sub("", parts.path)
    given = dict(parse_qsl(parts.query)) if parts.scheme in _NAMING else {}
    naming = [(name, given[name]) for name in _NAMING.get(parts.scheme, ()) if name in given]
    query = f"?{urlencode(naming, safe='/')}" if naming else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}{query}"


def has_password(address: str) -> bool:
    """Whether a well-formed address brings a password with it."""
    parts = urlsplit(address)
    return bool(parts.password) or any("password" in name for name, _ in parse_qsl(parts.query))


def public_text(text: str) -> str:
    """The value of an option or setting as it may be shown: an address as its `public_url`, other texts as they are.

    Of what looks like an address with a mistake in it nothing is left, but for the scheme of a web address.
    """
    if _URL_START.match(text):
        return public_url(text)
    if "://" in text or (_BROKEN_ADDRESS.match(text) and not _FILE_START.match(text)):
        scheme = text.partition(":")[0].lower()
        return f"{scheme}:{HIDDEN}" if scheme in {"http", "https"} else HIDDEN
    return text


def remember(text: str) -> None:
    """Have `redacted` look for `text`, if it is an address with something to hide, and for its secrets."""
    shown = public_text(text)
    if shown == text:
        return
    with _learning:
        for secret, replacement in ((text, shown), *((part, HIDDEN) for part in _secrets(text))):
            if len(secret) >= _SHORTEST and secret not in _COMMON:
                for form in _forms(secret):
                    _known[form] = _known[repr(form)[1:-1]] = _known[json.dumps(form)[1:-1]] = replacement


def _forms(secret: str) -> Iterator[str]:
    """How a secret may stand in a text. Bytes of an argument that are no UTF-8 are surrogates in it."""
    yield from (secret, unquote(secret))
    for plainly, safe in ((quote, "/"), (quote, ""), (quote_plus, "")):
        yield plainly(secret, safe, errors="surrogateescape")


def without_known(text: str) -> str:
    """`text` without the secrets of remembered addresses."""
    for secret, replacement in sorted(_known.items(), key=lambda known: -len(known[0])):
        text = text.replace(secret, replacement)
    return text


def redacted(text: str) -> str:
    """`text` without the secrets of remembered addresses, and every other URL in it as its `public_url`."""
    text = without_known(text)
    return _URL.sub(_public_match, text) if "://" in text else text


def _secrets(address: str) -> Iterator[str]:
    """The parts of an address that are secret wherever they stand: user with password, password, parameters.

    A user may be a token; but in Postgres it is a role, of which messages speak.
    """
    scheme = address.partition("://")[0].lower()
    in_postgres, plain = scheme in _NAMING, _PLAIN.get(scheme, set())
    after_scheme = address.rpartition("://")[2] if "://" in address else address.partition(":")[2].lstrip("/")
    user, at, rest = after_scheme.rpartition("@")
    if at:
        yield from ((user, user.partition(":")[2]) if ":" in user or not in_postgres else ())
    for parameters in re.split(r"[?#;]", rest)[1:]:
        pairs = [pair for pair in parameters.split("&") if not _is_plain(pair.partition("=")[2] or pair)]
        pairs = [pair for pair in pairs if pair.partition("=")[0] not in plain]
        if pairs:
            yield parameters
        for pair in pairs:
            yield from (pair, pair.partition("=")[2])


def _is_plain(value: str) -> bool:
    """Whether the value of a parameter is no secret: a word, such as a format, or a placeholder, as in a template."""
    return "{" in value or (value.isalpha() and len(value) < _A_LONG_WORD and value in {value.lower(), value.upper()})


def _public_match(found: re.Match[str]) -> str:
    url = found[0].rstrip(_CLOSING_PUNCTUATION)
    return public_text(url) + found[0][len(url) :]
