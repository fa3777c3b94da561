"""The verbs that ask the warehouse: SQL of a user's, and how many rows there are."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_ingest import exits
from taxi_ingest.cli.documents import print_json
from taxi_ingest.cli.options import (
    OUTPUT,
    AsJson,
    Config,
    DataDir,
    Given,
    HeldDataset,
    HeldMonth,
    Warehouse,
    file_to_write,
)
from taxi_ingest.process import leave

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taxi_ingest.settings import Settings
    from taxi_ingest.state.counts import Counted
    from taxi_ingest.warehouses import Warehouse as OpenWarehouse
    from taxi_ingest.warehouses.capabilities import Answer, AnswersQueries

Sql = Annotated[str, typer.Argument(metavar="SQL", help="One statement that reads; - takes it from stdin.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print all rows as CSV; so does a pipe.", rich_help_panel=OUTPUT)]
AsJsonRows = Annotated[
    bool, typer.Option("--json", help="Print all rows as one JSON list of objects.", rich_help_panel=OUTPUT)
]
ToParquet = Annotated[
    Path | None,
    typer.Option("--parquet", metavar="FILE", help="Write all rows to a Parquet file.", rich_help_panel=OUTPUT),
]


def query(
    sql: Sql,
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
                report.say(report.console(stderr=True), [answer.note])
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

    opened = _opened(settings)
    if not isinstance(opened, AnswersQueries):
        raise UsageError(f"{opened.place} cannot be asked in SQL from here.")
    return opened


def _opened(settings: Settings) -> OpenWarehouse:
    """The warehouse in force; what it waits for is told."""
    from dataclasses import replace

    from taxi_ingest import report
    from taxi_ingest.job import options_of, warehouse_of
    from taxi_ingest.warehouses import open_warehouse

    def announce(sentence: str) -> None:
        report.say(report.console(stderr=True), [sentence])

    return open_warehouse(warehouse_of(settings), replace(options_of(settings), announce=announce))


def _write(answer: Answer, *, as_csv: bool, as_json: bool, parquet: Path | None) -> None:
    from taxi_ingest import report
    from taxi_ingest.report import answers
    from taxi_ingest.report.words import count

    if parquet is not None:
        rows = answers.write_parquet(parquet, answer)
        report.say(report.console(stderr=True), [f"{count(rows, 'row')} in {parquet}"])
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


def rows(
    month: HeldMonth = None,
    dataset: HeldDataset = None,
    warehouse: Warehouse = None,
    config: Config = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how many rows each month has in the warehouse, beside how many TLC's file has."""
    from dataclasses import asdict

    from taxi_ingest import report
    from taxi_ingest.asked import chosen, datasets_named
    from taxi_ingest.job import layout_of
    from taxi_ingest.report import counts
    from taxi_ingest.report.past import where_the_demo_is
    from taxi_ingest.state.counts import count_months

    settings = Given(warehouse=warehouse, config=config, data_dir=data_dir).settings()
    opened = _opened(settings)
    counted: list[Counted] = list(count_months(opened, datasets_named(",".join(dataset or ["all"]))))
    wanted = set(chosen([one.part for one in counted], months=month or [], datasets=dataset or []))
    found = [one for one in counted if one.part in wanted]
    if as_json:
        months = [{"dataset": one.part.dataset, "month": one.part.month} | _without_part(asdict(one)) for one in found]
        print_json({"months": months, "rows": sum(one.rows for one in found)})
    else:
        place, layout = str(opened.place), layout_of(settings)
        if not found:
            held = [one.part for one in counted]
            report.say(
                report.console(), counts.nothing(place, held) + ([] if held else where_the_demo_is(layout.data_dir))
            )
            return
        counts.months(report.console(), found)
        report.say(report.console(), counts.missing(_not_there(month or [], dataset or [], found)))


def _not_there(months: list[str], names: list[str], found: Sequence[Counted]) -> dict[str, tuple[int, list[str]]]:
    """Of each dataset how many months were asked for, and those of them that are not among what was found."""
    from taxi_ingest.asked import datasets_named
    from taxi_ingest.catalog.months import parse_months

    named = ",".join(names) or ",".join({one.part.dataset: None for one in found})
    missing = {}
    for known in datasets_named(named):
        held = {one.part.month for one in found if one.part.dataset == known.name}
        newest = max((month for month in held if month), default="")
        asked = [month for month in parse_months(months, functools.partial(str, newest)) if month >= known.first]
        if known.monthly and (left := [month for month in asked if month not in held]):
            missing[known.name] = len(asked), left
    return missing


def _without_part(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name != "part"}
