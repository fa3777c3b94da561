"""Why a publisher does not send a file: it is not there, it may be had later, or we ask too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxi_ingest.errors import TransientError
from taxi_ingest.sources.headers import seconds_to_wait

if TYPE_CHECKING:
    from taxi_ingest.sources.connection import Answer

_ERROR_PAGE = 4096
"""Bytes of an error page that are read; the storage's own have some 300."""

_WORTH_ANOTHER_TRY = {408, 425, 429, 500, 502, 503, 504}


def passing_fault(found: Answer) -> TransientError | None:
    """The error for a status that another try may change; None for any other status."""
    if found.status not in _WORTH_ANOTHER_TRY:
        return None
    return TransientError(f"{found.shown}: the publisher answered {found.status}.", retry_after=_wait(found))


def throttle(found: Answer) -> TransientError:
    """The error for a 403 of a publisher that wants fewer requests."""
    return TransientError(f"{found.shown}: the publisher is holding us back (403).", retry_after=_wait(found))


def denied_by_storage(found: Answer) -> bool:
    """Whether a 403 is the storage's own "no such object" (XML, AccessDenied) and not a throttle's page."""
    return b"<Code>AccessDenied</Code>" in found.beginning(_ERROR_PAGE)


def _wait(found: Answer) -> float | None:
    return seconds_to_wait(found.header("Retry-After"))
