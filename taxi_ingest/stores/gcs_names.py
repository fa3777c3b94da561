"""Where in Cloud Storage a store is, and which names Google allows."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from taxi_ingest.errors import StoreError, UsageError
from taxi_ingest.place import Place

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])")
_PAYER = re.compile(r"[a-z0-9.:-]*")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def parse_bucket(place: Place) -> tuple[str, str, str]:
    """Bucket, prefix and project that pays of `gs://bucket/prefix?user_project=…`.

    The prefix ends with "/" unless it is empty; the project is "" unless the bucket lets its readers pay.
    """
    rest, _, query = place.url.partition("://")[2].partition("?")
    bucket, _, prefix = rest.partition("/")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    payer = parameters.pop("user_project", "")
    # these would be hidden where the place is shown, so two stores would look like one
    if (
        not place.has_host
        or "@" in bucket
        or parameters
        or not _PAYER.fullmatch(payer)
        or any(character in rest + query for character in "#;")
    ):
        raise UsageError(
            f"'{place}' is not a bucket. Write gs://bucket/prefix, without user, # and ;, and with no parameter but "
            "?user_project=PROJECT, for a bucket whose readers pay."
        )
    _check_bucket_name(bucket)
    prefix = prefix.strip("/")
    if prefix:
        check_object_name(prefix, UsageError)
    return bucket, f"{prefix}/" if prefix else "", payer


def _check_bucket_name(name: str) -> None:
    """Google's rules: https://cloud.google.com/storage/docs/buckets#naming."""
    longest = max(len(part) for part in name.split("."))
    wrong = (
        not _BUCKET.fullmatch(name)
        or not 3 <= len(name) <= (222 if "." in name else 63)
        or longest > 63
        or ".." in name
        or _IP_ADDRESS.fullmatch(name)
        or name.startswith("goog")
        or "google" in name
    )
    if wrong:
        raise UsageError(
            f"'{name}' cannot be the name of a bucket: 3 to 63 lower-case letters, digits, - and _, "
            "beginning and ending with a letter or digit. Write gs://bucket/prefix."
        )


def check_object_name(name: str, error: type[StoreError | UsageError]) -> None:
    """Raise `error` for a name that no object can have: https://cloud.google.com/storage/docs/objects#naming."""
    forbidden = any(character in name for character in "\r\n\0") or name.startswith(".well-known/acme-challenge/")
    # a lone surrogate stands for a byte of the command line that is not UTF-8
    not_unicode = any("\ud800" <= character <= "\udfff" for character in name)
    too_long = len(name.encode(errors="replace")) > 1024
    if not name or name.endswith("/") or name in {".", ".."} or forbidden or not_unicode or too_long:
        raise error(f"{name!r} cannot be the name of an object: up to 1024 bytes of text on one line.")
