"""The verbs: parse, call, exit code. What each promises is in README.md.

`options` holds what can be typed; `working` the verbs that run steps, `looking` those that only look, `looking_back`
those that look at what was done, `reporting` the one that writes the page, `querying` those that ask the warehouse,
`verifying` the one that looks at everything, `cleaning` the one that removes files; `asking` is a question at the
terminal, `documents` what --json prints.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from taxi_ingest import __version__, exits
from taxi_ingest.cli import cleaning, looking, looking_back, querying, reporting, verifying, working
from taxi_ingest.errors import LockedError, TaxiError, UsageError, machine_refused
from taxi_ingest.process import block_heavy_imports, ignore_broken_pipes, leave
from taxi_ingest.redaction import remember, without_known

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
    "status": ("How far every step of every month is.", looking_back.status),
    "history": ("The runs, or the attempts of one run.", looking_back.history),
    "logs": ("The log files of attempts: of a run, a part, a step.", looking_back.logs),
    "report": ("One HTML page of all that is there and that happened.", reporting.report),
    "clean": ("Remove raw or Parquet files that are not needed, or what no part owns; asks first.", cleaning.clean),
    "catalog": ("Datasets, months, vintages, sources; with --dataset also its columns.", looking.catalog),
    "verify": ("Compare every copy with its receipt: files, objects, tables by content.", verifying.verify),
    "query": ("SQL on the warehouse: a table on a terminal, else CSV; --json, --parquet FILE.", querying.query),
    "rows": ("Rows by month and year in the warehouse, beside how many TLC's files have.", querying.rows),
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
    """Run the command line and end the process with one of `exits`."""
    block_heavy_imports()
    ignore_broken_pipes()
    _keep_secrets_off_stderr()
    leave(_exit_code())


class _WithoutSecrets(io.TextIOWrapper):
    def write(self, text: str, /) -> int:
        super().write(without_known(text))
        return len(text)


def _keep_secrets_off_stderr() -> None:
    """Let no secret of an address on the command line out in the words of others: typer quotes what it refuses."""
    for word in sys.argv[1:]:
        for text in (word, word.partition("=")[2], word.lstrip("-")):
            remember(text)
    stream = sys.stderr
    if isinstance(stream, io.TextIOWrapper):  # None when the shell closed it
        encoding, errors, by_line = stream.encoding, stream.errors, bool(stream.line_buffering)
        sys.stderr = _WithoutSecrets(stream.detach(), encoding=encoding, errors=errors, line_buffering=by_line)


def _exit_code() -> int:
    """Run the command line; whatever goes wrong becomes a message and a code."""
    try:
        return _run_app()
    except TaxiError as error:
        _complain(str(error))
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), exits.FAILED)
    except Exception as error:  # noqa: BLE001 - the edge: whatever else comes here is a bug, or no fault of ours
        refused = machine_refused(error)
        _complain(refused or f"This is a bug in taxi-ingest; {working.keep(traceback.format_exc(), Path('logs'))}")
        return exits.FAILED if refused else exits.BUG


_CODES: dict[type[TaxiError], int] = {UsageError: exits.USAGE, LockedError: exits.LOCKED}


def _complain(message: str) -> None:
    """Print what went wrong, without colours where there is no memory left for them."""
    from taxi_ingest import report
    from taxi_ingest.redaction import redacted

    try:
        report.error(message)
    except (MemoryError, ImportError):
        sys.stderr.write(f"error: {redacted(message)}\n")


def _run_app() -> int:
    """Run the command line until all it says on stdout is out."""
    code = exits.OK
    try:
        app(standalone_mode=True)
    except SystemExit as end:
        code = int(end.code or 0)
    sys.stdout.flush()
    return code
