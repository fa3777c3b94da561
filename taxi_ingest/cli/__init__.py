"""The verbs: parse, call, exit code. What each promises is in README.md.

`options` holds what can be typed; `working` the verbs that change something, `looking` those that only look;
`leaving` the end of the process.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from taxi_ingest import __version__
from taxi_ingest.cli import looking, working
from taxi_ingest.errors import LockedError, TaxiError, UsageError
from taxi_ingest.process import block_heavy_imports, ignore_broken_pipes, leave

EXIT_CODES = {
    0: "everything asked for is done or was up to date",
    1: "at least one part failed or was blocked by a failure (the others finished)",
    2: "the request makes no sense (usage, config)",
    3: "a bug in taxi-ingest: the log's path is printed",
    4: "nothing failed, but a month asked for is not published yet",
    75: "another run holds the lock",
    130: "interrupted",
}
"""Every exit code and its meaning, as README shows them."""

app = typer.Typer(
    name="taxi-ingest",
    help="New York's taxi trip records: any month, from the web to a table, each piece of work once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_VERBS: dict[str, tuple[str, Callable[..., None]]] = {
    "run": ("The whole pipeline: download, parquetize, upload, load.", working.command("run")),
    "download": ("Fetch the published file.", working.command("download")),
    "parquetize": ("Turn it into Parquet in the canonical schema.", working.command("parquetize")),
    "upload": ("Put the Parquet into the store.", working.command("upload")),
    "load": ("Replace the month in the table.", working.command("load")),
    "plan": ("What `run` would do and why, with rows, bytes and disk; does nothing.", looking.plan),
    "status": ("How far every step of every month is.", looking.status),
    "history": ("The runs, or the attempts of one run.", looking.history),
    "logs": ("The log files of attempts: of a run, a part, a step.", looking.logs),
    "catalog": ("Datasets, months, vintages, sources; with --dataset also its columns.", looking.catalog),
    "doctor": ("Check that store and warehouse can be used; changes nothing.", looking.doctor),
    "config": ("The settings in force and where each came from.", looking.config),
    "cron": ("A crontab line that runs the pipeline, quiet when there is nothing to do.", looking.cron),
}
for _verb, (_what, _command) in _VERBS.items():
    app.command(name=_verb, help=_what)(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"taxi-ingest {__version__}\n")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line and end the process with one of EXIT_CODES."""
    block_heavy_imports()
    ignore_broken_pipes()
    leave(_exit_code())


def _exit_code() -> int:
    """Run the command line; whatever goes wrong becomes a message and a code."""
    from taxi_ingest import report

    try:
        return _told()
    except UsageError as error:
        report.error(str(error))
        return 2
    except LockedError as error:
        report.error(str(error))
        return 75
    except TaxiError as error:
        report.error(str(error))
        return 1
    except OSError as error:
        report.error(f"this machine refused: {error}. Check disk space and permissions.")
        return 1
    except Exception:  # noqa: BLE001 - the edge: whatever else comes here is a bug
        report.error(f"This is a bug in taxi-ingest; {working.keep(traceback.format_exc(), Path())}")
        return 3


def _told() -> int:
    """Run the command line until all it says on stdout is out."""
    code = 0
    try:
        app(standalone_mode=True)
    except SystemExit as end:
        code = int(end.code or 0)
    if sys.stdout is not None:  # as it is when the shell closed it
        sys.stdout.flush()
    return code
