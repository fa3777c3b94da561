"""The verb `query`: SQL of a user's, asked of the warehouse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_ingest import exits
from taxi_ingest.cli.opening import opened_warehouse
from taxi_ingest.cli.options import OUTPUT, Config, DataDir, Given, Warehouse, file_to_write, flag, valued
from taxi_ingest.process import leave

if TYPE_CHECKING:
    from taxi_ingest.settings import Settings
    from taxi_ingest.warehouses.capabilities import Answer, AnswersQueries


Sql = Annotated[str, typer.Argument(metavar="SQL", help="One statement that reads; - takes it from stdin.")]
AsCsv = Annotated[bool, flag("--csv", help="Print all rows as CSV; so does a pipe.", group=OUTPUT)]
AsJsonRows = Annotated[bool, flag("--json", help="Print all rows as one JSON list of objects.", group=OUTPUT)]
ToParquet = Annotated[
    Path | None,
    valued("--parquet", metavar="FILE", help="Write all rows to a Parquet file.", group=OUTPUT),
]


def query(
    sql: Sql = "",
    as_csv: AsCsv = False,
    as_json: AsJsonRows = False,
    parquet: ToParquet = None,
    warehouse: Warehouse = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Answer SQL: a table on a terminal, CSV elsewhere, or what was asked for."""
    from taxi_ingest import report
    from taxi_ingest.errors import UsageError, WarehouseError
    from taxi_ingest.job import layout_of
    from taxi_ingest.report.past import where_the_demo_is

    if as_csv + as_json + (parquet is not None) > 1:
        raise UsageError("One form at a time: --csv, --json or --parquet FILE.")
    settings = Given(warehouse=warehouse, config=config, data_dir=data_dir).settings()
    if parquet is not None:
        file_to_write(parquet, settings, begins=b"PAR1")
    statement = _statement(sql)
    if not statement.strip():
        raise UsageError('Ask what? Write a statement, such as "SELECT count(*) FROM yellow_tripdata".')
    place = _asked(settings)
    try:
        with place.query(statement) as answer:
            if answer.note:
                report.tell(answer.note)
            _write(answer, as_csv=as_csv, as_json=as_json, parquet=parquet)
    except WarehouseError as error:
        hints = where_the_demo_is(layout_of(settings).data_dir)
        if not hints:
            raise
        raise WarehouseError(" ".join([str(error), *hints])) from error
    except KeyboardInterrupt:
        report.error("interrupted")
        leave(exits.INTERRUPTED)


def _statement(sql: str) -> str:
    """The statement of the command line or of stdin, which must be text."""
    from taxi_ingest.errors import UsageError

    try:
        statement = sys.stdin.buffer.read().decode() if sql == "-" else sql
        statement.encode()  # an argument may have bytes that are none of a character
    except UnicodeError as error:
        raise UsageError("The statement is not UTF-8 text. Save or type it as UTF-8.") from error
    if "\0" in statement:
        raise UsageError("The statement contains a NUL character, which no warehouse takes. Leave it out.")
    return statement


def _asked(settings: Settings) -> AnswersQueries:
    from taxi_ingest.errors import UsageError
    from taxi_ingest.warehouses.capabilities import AnswersQueries

    opened = opened_warehouse(settings)
    if not isinstance(opened, AnswersQueries):
        raise UsageError(f"{opened.place} cannot be asked in SQL from here.")
    return opened


def _write(answer: Answer, *, as_csv: bool, as_json: bool, parquet: Path | None) -> None:
    from taxi_ingest import report
    from taxi_ingest.report import answers
    from taxi_ingest.report.words import count

    if parquet is not None:
        rows = answers.write_parquet(parquet, answer)
        report.tell(f"{count(rows, 'row')} in {parquet}")
    elif not as_csv and not as_json and sys.stdout.isatty():
        answers.table(report.console(), answer)
    else:
        write = answers.write_json if as_json else answers.write_csv
        try:
            # not sys.stdout, which lets what nobody reads pass: a query would go on for ever behind `| head`
            with open(sys.stdout.fileno(), "wb", closefd=False) as out:
                write(answers.writing(out), answer)
        except BrokenPipeError:
            return
