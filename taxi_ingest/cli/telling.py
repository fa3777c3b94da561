"""Telling others how a run ended, for the verbs that work. Nothing is imported for it unless somebody is to be told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taxi_ingest import exits, report
from taxi_ingest.cli.options import file_to_write

if TYPE_CHECKING:
    from taxi_ingest.engine.outside import Ended, Outside
    from taxi_ingest.engine.session import Session
    from taxi_ingest.settings import Settings


def outside(settings: Settings) -> Outside | None:
    """Who is to be told; None for nobody. Raises UsageError for an address or a file that cannot be used."""
    from taxi_ingest.job import layout_of, ping_of

    operate = settings.operate
    if not (operate.on_failure or operate.ping_url or operate.metrics_file):
        return None
    from taxi_ingest.engine.metrics import BEGINNING
    from taxi_ingest.engine.outside import Outside

    metrics = None
    if operate.metrics_file:
        metrics = file_to_write(Path(operate.metrics_file), settings, begins=BEGINNING.encode())
    return Outside(layout_of(settings), operate.on_failure, ping_of(settings), metrics)


def ended(outside: Outside | None, session: Session, request: str, seconds: float) -> None:
    """Tell how a run ended."""
    if outside is None:
        return
    from taxi_ingest.engine.outside import Ended

    failures = (
        f"{part} {step}: {session.messages[part, step]}"
        for (part, step), outcome in session.outcomes.items()
        if outcome == "failed"
    )
    messages = (*session.complaints, *failures)
    _tell(outside, Ended(session.run_id, request, session.exit_code(), seconds, messages, tuple(session.results())))


def refused(outside: Outside | None, request: str, seconds: float, error: Exception) -> None:
    """Tell that a run could not begin, or broke off."""
    if outside is None:
        return
    from taxi_ingest.engine.outside import Ended

    _tell(outside, Ended("", request, exits.code_of(error), seconds, (str(error),)))


def _tell(outside: Outside, how: Ended) -> None:
    for sentence in outside.tell(how):
        report.error(sentence)
