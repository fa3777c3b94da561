"""How a query is refused, in the same words by every kind of warehouse."""

from __future__ import annotations

from taxi_ingest.errors import UsageError
from taxi_ingest.place import Place


def refused(place: Place, said: str) -> UsageError:
    """The error for a statement that is wrong; `said` is what the warehouse says of it, in however many lines."""
    return UsageError(f"{place} refused the query: {' '.join(said.split())}")


def may_only_read(place: Place, said: str) -> UsageError:
    """The error for a statement that would write."""
    return UsageError(f"{place} is only read by a query ({' '.join(said.split()).rstrip('.')}). Ask with one SELECT.")
