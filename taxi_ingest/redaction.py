"""What may be shown and stored of a URL, and of a text that holds URLs: never a user, a password or a query."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")
_CLOSING = ".,;:!?)]"


def public_url(url: str) -> str:
    """`url` (or a template of one) as it may be shown and stored: without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def redacted(text: str) -> str:
    """`text` with every URL in it as `public_url` gives it; the rest, closing punctuation included, as it is."""
    return _URL.sub(_public_match, text) if "://" in text else text


def _public_match(found: re.Match[str]) -> str:
    url = found[0].rstrip(_CLOSING)
    try:
        return public_url(url) + found[0][len(url) :]
    except ValueError:  # an address that is none cannot be taken apart, so nothing of it is shown
        return f"{url.partition('://')[0]}://…"
