"""The JSON with which Google's APIs tell of an error, and what may be shown of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

_LONGEST_MESSAGE = 400
_ADDRESS = re.compile(
    r"\s*\(?(?:for more information,?\s*)?(?:(?:see|visit|by visiting|at)\s+)?https?://[^\s)]*[^\s).,;]\)?",
    re.IGNORECASE,
)
"""An address in a message, with the words that send its reader there."""

_API_OFF = re.compile(r"api has not been used|accessNotConfigured|SERVICE_DISABLED", re.IGNORECASE)


@dataclass(frozen=True)
class ErrorDetail:
    """One of the errors in an answer."""

    reason: str = ""


@dataclass(frozen=True)
class ErrorBody:
    """What an answer says of an error."""

    message: str = ""
    errors: tuple[ErrorDetail, ...] = ()
    code: int = 0


@dataclass(frozen=True)
class _ErrorDocument:
    """The JSON that both APIs send with an error."""

    error: ErrorBody = ErrorBody()


def read(content: object) -> ErrorBody:
    """What the body of an answer, as bytes or text, says; an empty one when it is not the JSON of an API."""
    try:
        return msgspec.json.decode(content, type=_ErrorDocument).error  # type: ignore[call-overload, no-any-return]
    except (TypeError, RecursionError, msgspec.MsgspecError):
        return ErrorBody()


def shown(message: str) -> str:
    """A message on one line, without addresses and its full stop, cut if it is long."""
    line = " ".join(_ADDRESS.sub("", message).split()).rstrip(".")
    return f"{line[:_LONGEST_MESSAGE]} …" if len(line) > _LONGEST_MESSAGE else line


def is_api_off(said: str) -> bool:
    """Whether an answer says that the project that asks has not turned an API on."""
    return bool(_API_OFF.search(said))
