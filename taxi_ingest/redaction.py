"""What may be shown and stored of a URL, and of a text that holds URLs: never a user, a password or a query."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_CLOSING_PUNCTUATION = ".,;:!?)]"
_PARAMETERS = re.compile(r";[^/]*")


def is_well_formed(url: str) -> bool:
    """Whether it is certain where in `url` user and password end and the host begins."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number, such as the beginning of a password
    except ValueError:
        return False
    after_host = url.partition("://")[2][len(parts.netloc) :]
    return not (":" in parts.netloc and "@" not in parts.netloc and "@" in after_host)


def public_url(url: str) -> str:
    """`url` (or a template of one) as it may be shown and stored.

    It is left without user, password, query, `;parameters` and fragment; of a malformed one only the scheme is left.
    """
    if not is_well_formed(url):
        return f"{url.partition('://')[0]}://…"
    parts = urlsplit(url)
    path = _PARAMETERS.sub("", parts.path)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))


def redacted(text: str) -> str:
    """`text` with every URL in it replaced by its `public_url`; everything else stays."""
    return _URL.sub(_public_match, text) if "://" in text else text


def _public_match(found: re.Match[str]) -> str:
    url = found[0].rstrip(_CLOSING_PUNCTUATION)
    return public_url(url) + found[0][len(url) :]
