"""The same tasks for those who type `doit`, under the same lock; dodo.py of the repository holds them.

Where that file is not at hand: `python -m taxi_ingest.dodo list --all`, and so on.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from taxi_ingest import exits, report, settings
from taxi_ingest.engine import doit_commands
from taxi_ingest.engine.doit_tasks import Reporter, namespace
from taxi_ingest.engine.session import Session
from taxi_ingest.errors import TaxiError
from taxi_ingest.job import make_job
from taxi_ingest.process import ignore_broken_pipes
from taxi_ingest.report.plain import plain


def tasks() -> dict[str, Any]:
    """What a dodo file holds. What cannot be done is said in a sentence, and ends the process."""
    with _in_a_sentence():
        doit_commands.check_command(sys.argv[1:])
        flags = {f"shared.{key}": value for key in ("month", "dataset") if (value := doit_commands.variable(key))}
        job, notices = make_job(settings.read(flags), verb="run")
    ignore_broken_pipes()
    notices += [f"{name}: {sentence}" for name, sentence in job.unanswered.items()]
    session = Session(job, plain(notices), "doit", wait=False)
    return namespace(session, Reporter(session, plain_doit=True))


@contextlib.contextmanager
def _in_a_sentence() -> Iterator[None]:
    """End the process with a sentence where doit would show a traceback."""
    try:
        yield
    except TaxiError as error:
        report.error(str(error))
        raise SystemExit(exits.USAGE) from None


def _main() -> int:
    with _in_a_sentence():
        doit_commands.check_command(sys.argv[1:])  # of dumpdb, doit makes no tasks
    return doit_commands.main(tasks, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_main())
