"""Which exit code an error makes."""

from __future__ import annotations

from taxi_ingest import exits
from taxi_ingest.errors import LockedError, TaxiError, UsageError, machine_refused

_CODES: dict[type[TaxiError], int] = {UsageError: exits.USAGE, LockedError: exits.LOCKED}


def code_of(error: Exception) -> int:
    """The exit code of a command that `error` ended."""
    if isinstance(error, TaxiError):
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), exits.FAILED)
    return exits.FAILED if machine_refused(error) else exits.BUG
