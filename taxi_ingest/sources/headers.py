"""What a publisher's headers say, as plain values. A header may hold anything at all, so nothing here trusts it."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from taxi_ingest.errors import SourceError

if TYPE_CHECKING:
    from taxi_ingest.sources.connection import Answer

GZIP, DEFLATE = ("gzip", "x-gzip"), "deflate"

_NUMBER = re.compile(r"[0-9]{1,18}")  # str.isdigit() takes "²" too, and int() refuses thousands of digits
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_LONGEST_DATE = 64
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,20}")
_NO_CODING = {"", "identity", "aws-chunked", "utf-8", "binary"}
"""The last three are no codings, but are found where uploads set the header by mistake."""


@dataclass(frozen=True)
class ContentRange:
    """The piece of a file that an answer holds: its first and last byte, and the file's size if that is told."""

    first: int
    last: int
    total: int | None


def whole_number(text: str) -> int | None:
    """The number that `text` is, written in at most 18 ASCII digits, once or several times; None for anything else."""
    (number, *others) = {part.strip() for part in text.split(",")}
    return int(number) if not others and _NUMBER.fullmatch(number) else None


def content_range(text: str) -> ContentRange | None:
    """What a Content-Range says; None when it makes no sense."""
    found = _CONTENT_RANGE.fullmatch(text.strip())
    if found is None:
        return None
    piece = ContentRange(int(found[1]), int(found[2]), whole_number(found[3]))
    fits = piece.first <= piece.last and (piece.total is None or piece.last < piece.total)
    return piece if fits else None


def seconds_to_wait(retry_after: str) -> float | None:
    """The seconds that a Retry-After asks to wait, given as a number or as a date; None when it says neither."""
    seconds = whole_number(retry_after.strip())
    if seconds is not None:
        return float(seconds)
    at = moment(retry_after)
    return max(0.0, (at - datetime.now(UTC)).total_seconds()) if at else None


def moment(text: str) -> datetime | None:
    """The moment that a header names, in UTC where it names no zone; None when it is no date."""
    with contextlib.suppress(ValueError, TypeError, OverflowError, IndexError):
        found = parsedate_to_datetime(text[:_LONGEST_DATE])
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def coding_of(answer: Answer) -> str:
    """The coding of an answer, "" for none. Raises SourceError for one that is not undone here."""
    codings = [coding.strip() for coding in answer.header("Content-Encoding").lower().split(",")]
    coding = ", ".join(coding for coding in codings if coding not in _NO_CODING)
    if not coding:
        return ""
    if coding in GZIP or coding == DEFLATE:
        return coding
    shown = coding if _TOKEN.fullmatch(coding) else "several codings"
    raise SourceError(
        f"{answer.shown}: the publisher sends the file with an unsupported Content-Encoding ({shown}; "
        "gzip and deflate are supported). Download it yourself, unpack it, and name it as --source file:///…."
    )
