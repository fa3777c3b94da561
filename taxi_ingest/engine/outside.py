"""What others are told at the end of a run: a command when it failed, a ping, a file of metrics.

None of them changes how the run ended; what does not work is said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taxi_ingest import exits
from taxi_ingest.engine.metrics import prometheus
from taxi_ingest.engine.results import PartResult
from taxi_ingest.errors import HistoryError, TaxiError
from taxi_ingest.files import write_text
from taxi_ingest.history.reading import past_runs
from taxi_ingest.layout import Layout
from taxi_ingest.place import Place
from taxi_ingest.redaction import redacted
from taxi_ingest.sources.http import answer
from taxi_ingest.sources.patience import Patience

_COMMAND_SECONDS = 300
_PING_SECONDS = 10.0
_FOR_ALL_TO_READ = 0o644
"""The permissions of the file of metrics, whose reader is another user."""


@dataclass(frozen=True)
class Ended:
    """How a run ended. `run` is "" for one that could not begin; `messages` tell what failed, a sentence each."""

    run: str
    request: str
    exit: int
    seconds: float
    messages: tuple[str, ...] = ()
    results: tuple[PartResult, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """The parts that did not come through, such as yellow-2021-01."""
        return tuple(str(one.part) for one in self.results if {"failed", "blocked"} & set(one.steps.values()))


@dataclass(frozen=True)
class Outside:
    """Who is told: a shell command ("" for none), a URL, a file."""

    layout: Layout
    on_failure: str = ""
    ping: Place | None = None
    metrics: Path | None = None

    def tell(self, ended: Ended) -> Iterator[str]:
        """Tell all of them; yields a sentence for each that could not be told."""
        if self.metrics:
            yield from _write(self.metrics, prometheus(ended, time.time(), self._last_good()))
        if self.ping:
            yield from _ping(self.ping, ended)
        if self.on_failure and ended.exit not in exits.FINE:
            yield from _call(self.on_failure, _facts(ended, self.layout))

    def _last_good(self) -> float | None:
        """When the last run ended that did not fail, in seconds since 1970."""
        try:
            with past_runs(self.layout.history, at_work=False) as past:
                return past.last_end(exits.FINE)
        except HistoryError:
            return None


def _write(path: Path, text: str) -> Iterator[str]:
    try:
        write_text(path, text, mode=_FOR_ALL_TO_READ)
    except OSError as error:
        yield f"The metrics could not be written to {path}: {error.strerror or error}."


def _ping(place: Place, ended: Ended) -> Iterator[str]:
    """Ask the URL; after a failure the one below it that ends in /fail, as services for cron jobs have it."""
    url = place.url if ended.exit in exits.FINE else f"{place.url.rstrip('/')}/fail"
    try:
        with answer("GET", url, {}, Patience(_PING_SECONDS)) as found:
            if found.status >= 400:
                yield f"{place} was told how the run ended, and answered {found.status}. Check operate.ping_url."
    except TaxiError as error:
        yield f"{place} could not be told how the run ended. {redacted(str(error))}"


def _facts(ended: Ended, layout: Layout) -> dict[str, str]:
    """What the command finds in its environment."""
    return {
        "TAXI_INGEST_RUN": ended.run,
        "TAXI_INGEST_REQUEST": ended.request,
        "TAXI_INGEST_EXIT": str(ended.exit),
        "TAXI_INGEST_MEANING": exits.MEANINGS[ended.exit],
        "TAXI_INGEST_FAILED": " ".join(ended.failed),
        "TAXI_INGEST_MESSAGE": "\n".join(redacted(message) for message in ended.messages),
        "TAXI_INGEST_SECONDS": f"{ended.seconds:.0f}",
        "TAXI_INGEST_DATA_DIR": str(layout.data_dir),
        "TAXI_INGEST_LOGS": str(layout.logs / ended.run) if ended.run else "",
    }


def _call(command: str, facts: dict[str, str]) -> Iterator[str]:
    """Run the user's command; what it prints goes to stderr, since stdout may be a document."""
    try:
        done = subprocess.run(  # noqa: S602 - a command line is what the setting holds
            command,
            shell=True,
            env=os.environ | facts,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield f"The command of --on-failure did not work: {type(error).__name__}."
    else:
        if done.returncode:
            yield f"The command of --on-failure ended with {done.returncode}."
