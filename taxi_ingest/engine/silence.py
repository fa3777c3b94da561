"""Publishers that do not answer at all: once a part has waited for one in all of its tries, others try it once.

Each try waits for a minute: with all tries for every part, a backfill would wait for hours for one that is gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from taxi_ingest.errors import TransientError
from taxi_ingest.retrying import Retries


class Silence:
    """The sources that were silent when they were last asked. Thread-safe."""

    def __init__(self) -> None:
        self._sources: set[str] = set()

    def retries(self, source: str, usual: Retries) -> Retries:
        """How often `source` is tried."""
        return replace(usual, tries=1) if source in self._sources else usual

    @contextlib.contextmanager
    def noted(self, source: str) -> Iterator[None]:
        """Note whether `source` answers to the tries in the block, be it with an error."""
        silent = False
        try:
            yield
        except TransientError as error:
            silent = error.is_silence
            raise
        finally:
            (self._sources.add if silent else self._sources.discard)(source)
