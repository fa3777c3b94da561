"""A month as its publisher has it now and had it before, and how a CDN serves it or does not."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

from commands import MONTH
from publishing import Answer, answer

CSV = MONTH.read_bytes()
FEWER = b"".join(CSV.splitlines(True)[:-5])
OCTOBER, JANUARY = "Wed, 25 Oct 2023 10:00:00 GMT", "Fri, 19 Jan 2024 10:00:00 GMT"
DATES = "(was of 2023-10-25, is of 2024-01-19)"
REPUBLISHED = f"the publisher republished it: 994 → 999 rows {DATES}"
DENIED = b"<Error><Code>AccessDenied</Code></Error>"
PAGE = b"<!DOCTYPE html><html>Too many requests</html>"


def versioned(body: bytes, *, etag: str = "", modified: str = "", signed: bool = False, kind: str = "") -> Answer:
    """A file as a CDN serves it: with validators, 304 to who knows them; `signed`: a signed URL, which refuses HEAD."""
    told = {"ETag": etag, "Last_Modified": modified, "Content_Type": kind}

    def respond(to: BaseHTTPRequestHandler) -> None:
        known = to.headers.get("If-None-Match"), to.headers.get("If-Modified-Since")
        if signed and to.command == "HEAD":
            answer(to, 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        elif known[0] == etag != "" or (not known[0] and known[1] == modified != ""):
            to.send_response(304)
            to.end_headers()
        else:
            answer(to, 200, body, **{name: value for name, value in told.items() if value})

    return respond
