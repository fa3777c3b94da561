"""The command line: parse, call, exit code. What each verb promises is in README.md.

`verbs` has a file for each verb. `options` holds what can be typed, `completing` what the shell offers, `help` how help
is laid out. `opening` opens the warehouse in force, `telling` tells others how a run ended, `bugs` keeps the traceback
of a bug, `asking` puts a question, `documents` is what --json prints.
"""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer

from taxi_ingest import __version__, exits
from taxi_ingest.cli import bugs
from taxi_ingest.cli.help import Verb, Verbs
from taxi_ingest.cli.verbs import (
    catalog,
    clean,
    config,
    cron,
    doctor,
    history,
    logs,
    plan,
    query,
    report,
    rows,
    run,
    status,
    verify,
)
from taxi_ingest.errors import TaxiError, machine_refused
from taxi_ingest.process import block_heavy_imports, ignore_broken_pipes, leave
from taxi_ingest.redaction import remember, without_known

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

_FIRST = """\
taxi-ingest run --source demo    made-up rows, without a network
taxi-ingest run -m 2021-01       a month of yellow trips, into ./data
taxi-ingest run --help           what else can be asked for"""

app = typer.Typer(
    name="taxi-ingest",
    help="New York's taxi trip records: any month, from the web to a table, each piece of work once.",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=_FIRST,
    context_settings=_HELP,
)

_WORK, _LOOK, _CARE = "Bring months to a table", "Look", "Operate"


class _Listed(NamedTuple):
    """A verb as the help lists it, and its command."""

    group: str
    what: str
    command: Callable[..., None]
    example: str


_VERBS = {
    "run": _Listed(
        _WORK,
        "The whole pipeline: download, parquetize, upload, load.",
        run.command("run"),
        """\
taxi-ingest run --source demo                made-up rows, without a network
taxi-ingest run -m 2021-01                   one month of yellow trips
taxi-ingest run -m 2019..2021 -d all -j 6    three years of everything
taxi-ingest run -m 2021 -n                   what would be done, and why""",
    ),
    "download": _Listed(
        _WORK,
        "Fetch the published file.",
        run.command("download"),
        "taxi-ingest download -m 2021-01..2021-03",
    ),
    "parquetize": _Listed(
        _WORK,
        "Turn the published file into Parquet, with the same columns in every month.",
        run.command("parquetize"),
        "taxi-ingest parquetize -m 2021-01 --force",
    ),
    "upload": _Listed(
        _WORK,
        "Put the Parquet file into the store.",
        run.command("upload"),
        "taxi-ingest upload -m 2021-01 --store gs://my-taxi-lake/trips",
    ),
    "load": _Listed(
        _WORK,
        "Replace the rows of the month in the table.",
        run.command("load"),
        "taxi-ingest load -m 2021-01 --warehouse duckdb:trips.duckdb",
    ),
    "plan": _Listed(
        _WORK,
        "What `run` would do and why, with rows, bytes and disk; changes nothing.",
        plan.plan,
        "taxi-ingest plan -m 2019..2021 -d all",
    ),
    "status": _Listed(
        _LOOK,
        "How far every step of every month is.",
        status.status,
        "taxi-ingest status -m 2021",
    ),
    "history": _Listed(
        _LOOK,
        "The runs, or every try of one run.",
        history.history,
        """\
taxi-ingest history                          the newest runs
taxi-ingest history latest --failed          what failed in the last one""",
    ),
    "logs": _Listed(
        _LOOK,
        "The logs of tries: of a run, a part, a step.",
        logs.logs,
        """\
taxi-ingest logs yellow-2021-01              of one part, as last tried
taxi-ingest logs latest download --failed""",
    ),
    "catalog": _Listed(
        _LOOK,
        "Datasets, sources, months, layouts of files (vintages); with --dataset also columns.",
        catalog.catalog,
        "taxi-ingest catalog -d yellow",
    ),
    "query": _Listed(
        _LOOK,
        "SQL on the warehouse: a table on a terminal, else CSV; --json, --parquet FILE.",
        query.query,
        'taxi-ingest query "SELECT count(*) FROM yellow_tripdata"',
    ),
    "rows": _Listed(
        _LOOK,
        "Rows of each month and year in the warehouse, beside those of TLC's files.",
        rows.rows,
        "taxi-ingest rows -m 2020 -d yellow",
    ),
    "report": _Listed(
        _LOOK,
        "One HTML page: how far every month is, and what happened.",
        report.report,
        "taxi-ingest report --open",
    ),
    "verify": _Listed(
        _CARE,
        "Compare every copy with its receipt: files, objects, tables by content.",
        verify.verify,
        "taxi-ingest verify -m 2021 --repair",
    ),
    "clean": _Listed(
        _CARE,
        "Remove raw or Parquet files that are not needed, or what no part owns; asks first.",
        clean.clean,
        "taxi-ingest clean --raw -n",
    ),
    "doctor": _Listed(
        _CARE,
        "Check that store and warehouse can be used; changes nothing.",
        doctor.doctor,
        "taxi-ingest doctor --store gs://my-taxi-lake/trips",
    ),
    "config": _Listed(
        _CARE,
        "The settings in force and where each came from.",
        config.config,
        "taxi-ingest config --data-dir elsewhere",
    ),
    "cron": _Listed(
        _CARE,
        "A crontab line, or a systemd timer, that runs the pipeline, quiet when idle.",
        cron.cron,
        'taxi-ingest cron --at "17 6 * * *" -m 2024-01..latest -d all',
    ),
}

for _verb, _listed in _VERBS.items():
    app.command(
        name=_verb,
        help=_listed.what,
        cls=Verb,
        rich_help_panel=_listed.group,
        epilog=_listed.example,
        context_settings=_HELP,
    )(_listed.command)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"taxi-ingest {__version__}\n")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Print the version.")
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
        return exits.code_of(error)
    except Exception as error:  # noqa: BLE001 - the edge: whatever else comes here is a bug, or no fault of ours
        refused = machine_refused(error)
        _complain(refused or bugs.kept(traceback.format_exc(), Path("logs")))
        return exits.code_of(error)


def _complain(message: str) -> None:
    """Print what went wrong, without colours where there is no memory left for them."""
    from taxi_ingest.printable import printable
    from taxi_ingest.redaction import redacted
    from taxi_ingest.report import error

    try:
        error(message)
    except (MemoryError, ImportError):
        sys.stderr.write(f"error: {printable(redacted(message))}\n")


def _run_app() -> int:
    """Run the command line until all it says on stdout is out."""
    code = exits.OK
    try:
        app(standalone_mode=True)
    except SystemExit as end:
        code = int(end.code or 0)
    sys.stdout.flush()
    return code
