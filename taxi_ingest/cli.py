"""The verbs: parse, call, exit code. What each promises is in README.md."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxi_ingest import __version__
from taxi_ingest.errors import LockedError, TaxiError, UsageError

if TYPE_CHECKING:
    from taxi_ingest.config import Settings
    from taxi_ingest.session import Session

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

Month = Annotated[
    list[str] | None,
    typer.Option(help="2021-01, a range 2021-01..2021-12, or a list 2021-01,2021-03; may repeat."),
]
DatasetName = Annotated[
    list[str] | None, typer.Option("--dataset", help="One, several with commas, or all; may repeat.")
]
Source = Annotated[str | None, typer.Option(help="auto, csv, tlc, demo, or a URL template with {dataset} and {month}.")]
Store = Annotated[str | None, typer.Option(help="Where Parquet goes: a folder or gs://bucket/prefix.")]
Warehouse = Annotated[str | None, typer.Option(help="Where rows go: duckdb:FILE or bigquery://project/dataset.")]
Jobs = Annotated[int | None, typer.Option(help="Steps at work at once.")]
Force = Annotated[bool, typer.Option("--force", help="Redo it, whatever receipts, store and warehouse say.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail on an unknown column or code.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for a run that holds the lock.")]
Config = Annotated[str | None, typer.Option(help="The config file; otherwise TAXI_INGEST_CONFIG or ./config.toml.")]
DataDir = Annotated[str | None, typer.Option(help="Where everything lives that is not sent elsewhere.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only what needs attention.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout, the rest to stderr.")]


@dataclass(frozen=True)
class _Options:
    """The options that all working verbs share, as they were typed."""

    month: list[str] | None
    dataset: list[str] | None
    source: str | None
    store: str | None
    warehouse: str | None
    jobs: int | None
    force: bool
    strict: bool
    wait: bool
    config: str | None
    data_dir: str | None
    quiet: bool
    json: bool

    def settings(self) -> Settings:
        """The settings in force with these flags on top."""
        from taxi_ingest import config

        flags: dict[str, Any] = {
            "shared.month": ",".join(self.month) if self.month else None,
            "shared.dataset": ",".join(self.dataset) if self.dataset else None,
            "global.source": self.source,
            "global.store": self.store,
            "global.warehouse": self.warehouse,
            "global.jobs": self.jobs,
            "global.data_dir": self.data_dir,
            "global.strict": self.strict or None,
            "global.wait": self.wait or None,
            "global.quiet": self.quiet or None,
        }
        given = {name: value for name, value in flags.items() if value is not None}
        return config.read(given, config=self.config)


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


def _working_verb(verb: str, what: str) -> None:
    def command(  # noqa: PLR0913, PLR0917 - typer makes an option of each
        month: Month = None,
        dataset: DatasetName = None,
        source: Source = None,
        store: Store = None,
        warehouse: Warehouse = None,
        jobs: Jobs = None,
        force: Force = False,
        strict: Strict = False,
        wait: Wait = False,
        config: Config = None,
        data_dir: DataDir = None,
        quiet: Quiet = False,
        as_json: AsJson = False,
    ) -> None:
        options = _Options(
            month, dataset, source, store, warehouse, jobs, force, strict, wait, config, data_dir, quiet, as_json
        )
        raise typer.Exit(_work_or_stop(verb, options))

    app.command(name=verb, help=what)(command)


_working_verb("run", "The whole pipeline: download, parquetize, upload, load.")
_working_verb("download", "Fetch the published file.")
_working_verb("parquetize", "Turn it into Parquet in the canonical schema, and do what that needs.")
_working_verb("upload", "Put the Parquet into the store, and do what that needs.")
_working_verb("load", "Replace the month in the table, and do what that needs.")


@app.command(name="config", help="The settings in force and where each came from.")
def _config(config: Config = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    from taxi_ingest import config as configuration
    from taxi_ingest import report

    flags: dict[str, Any] = {"global.data_dir": data_dir} if data_dir else {}
    items = configuration.read(flags, config=config).items()
    if as_json:
        document = {name: {"value": value, "from": origin} for name, value, origin in items}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    report.settings(report.console(), [(n, v, o, configuration.environment_name(n)) for n, v, o in items])


@app.command(name="catalog", help="Datasets, months, vintages, sources; with --dataset also its columns.")
def _catalog(dataset: DatasetName = None, as_json: AsJson = False) -> None:
    from taxi_ingest import report
    from taxi_ingest.catalog import reading

    names = ",".join(dataset or []).split(",") if dataset else []
    chosen = [reading.dataset(name) for name in names if name != "all"] or list(reading.datasets().values())
    if as_json:
        document = {
            "datasets": {known.name: asdict(known) for known in chosen},
            "sources": {source.name: asdict(source) for source in reading.sources().values()},
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    report.catalog(report.console(), chosen, list(reading.sources().values()), columns=bool(dataset))


@app.command(name="doctor", help="Check that store and warehouse can be used; changes nothing.")
def _doctor(store: Store = None, warehouse: Warehouse = None, config: Config = None, data_dir: DataDir = None) -> None:
    from taxi_ingest import config as configuration
    from taxi_ingest import report, request, stores, warehouses

    flags = {"global.store": store, "global.warehouse": warehouse, "global.data_dir": data_dir}
    settings = configuration.read({name: value for name, value in flags.items() if value}, config=config)
    place = request.store_url(settings)
    request.check_places(place, request.warehouse_url(settings))
    bucket = place.removeprefix("gs://").partition("/")[0] if place.startswith("gs://") else None
    found = [(check.well, check.sentence) for check in stores.connect(place).checks()]
    found += warehouses.connect(request.warehouse_url(settings)).examine(bucket)
    report.checks(report.console(), found)
    raise typer.Exit(0 if all(well for well, _ in found) else 1)


def _work_or_stop(verb: str, options: _Options) -> int:
    """Work until done or interrupted."""
    from taxi_ingest import report

    try:
        return _work(verb, options)
    except KeyboardInterrupt:
        report.error("interrupted; what was finished stays finished")
        sys.stdout.flush()
        sys.stderr.flush()
        # steps are still inside Arrow and DuckDB, whose threads must not meet a Python that shuts down around them
        os._exit(130)


def _work(verb: str, options: _Options) -> int:
    """Run the pipeline for `verb` and show what came of it; returns the exit code."""
    from taxi_ingest import report, request, session, tasks
    from taxi_ingest.runner import Runner

    settings = options.settings()
    pipeline, notices = request.pipeline(settings, verb=verb, force=options.force)
    out = report.console(stderr=options.json)
    if not settings.global_.quiet:
        report.say(out, notices)
    begun = time.monotonic()
    with report.view(out, quiet=settings.global_.quiet) as view:
        work = session.Session(Runner(pipeline), view, _request(), wait=settings.global_.wait)
        tasks.run(work)
    code = work.exit_code()
    if options.json:
        sys.stdout.write(json.dumps(_document(work, code), indent=2) + "\n")
    if not settings.global_.quiet:
        report.summary(out, work.results(), time.monotonic() - begun, _hint(work, verb))
    for bug in work.bugs:
        report.error(f"This is a bug in taxi-ingest; {_keep(bug, pipeline.data_dir)}")
    return code


def _request() -> str:
    """What was typed, as it may be recorded."""
    from taxi_ingest.publishers import without_secrets

    return " ".join(without_secrets(word) if "://" in word else word for word in sys.argv[1:])


def _hint(session: Session, verb: str) -> str:
    """The line that opens the first table that was loaded."""
    from taxi_ingest import warehouses
    from taxi_ingest.catalog.reading import dataset

    loaded = [r.part for r in session.results() if r.steps.get("load") in {"done", "up_to_date"}]
    if verb not in {"run", "load"} or not loaded:
        return ""
    return warehouses.connect(session.runner.pipeline.warehouse).opens(dataset(loaded[0].dataset).table)


def _document(session: Session, code: int) -> dict[str, Any]:
    return {
        "run": session.run_id,
        "exit": code,
        "parts": [
            {
                "dataset": result.part.dataset,
                "month": result.part.month,
                "source": result.source,
                "rows": result.rows,
                "rejects": result.rejects,
                "steps": result.steps,
            }
            for result in session.results()
        ],
    }


def _keep(text: str, folder: Path) -> str:
    """Write a traceback to a log file and say where it is."""
    path = folder / "logs" / f"bug-{time.strftime('%Y%m%dT%H%M%S')}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError:
        return f"its log could not be written to {path}, so here it is:\n{text}"
    return f"its log is {path.resolve()}"


def main() -> None:
    """Run the command line and exit with one of EXIT_CODES."""
    from taxi_ingest import report

    try:
        app(standalone_mode=True)
    except UsageError as error:
        report.error(str(error))
        sys.exit(2)
    except LockedError as error:
        report.error(str(error))
        sys.exit(75)
    except TaxiError as error:
        report.error(str(error))
        sys.exit(1)
    except OSError as error:
        report.error(f"this machine refused: {error}. Check disk space and permissions.")
        sys.exit(1)
    except Exception:  # noqa: BLE001 - the edge: whatever else comes here is a bug
        report.error(f"This is a bug in taxi-ingest; {_keep(traceback.format_exc(), Path())}")
        sys.exit(3)
