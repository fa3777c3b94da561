"""What can be typed after a verb; each option once, with its help."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taxi_ingest import stores, warehouses
from taxi_ingest.cli import completing

if TYPE_CHECKING:
    from taxi_ingest.layout import Layout
    from taxi_ingest.settings import Settings
    from taxi_ingest.values import Value

WHAT, WHERE, HOW, OUTPUT = "What", "Where", "How", "Output"
"""The groups of options in the help of a verb."""


def flag(*names: str, help: str, group: str = HOW) -> Any:  # noqa: A002 - typer's name
    """An option without a value."""
    return typer.Option(*names, help=help, rich_help_panel=group)


def valued(
    *names: str,
    metavar: str,
    help: str,  # noqa: A002 - typer's name
    group: str = WHERE,
    shown_default: str = "",
    complete: Callable[..., list[str]] | None = None,
) -> Any:
    """An option with a value; `shown_default` are words for a default that is none of the settings'."""
    return typer.Option(
        *names,
        metavar=metavar,
        help=help,
        rich_help_panel=group,
        show_default=shown_default or True,
        autocompletion=complete,
    )


def _months(text: str, shown_default: str = "") -> Any:
    return valued(
        "--month",
        "-m",
        metavar="MONTHS",
        help=text,
        group=WHAT,
        shown_default=shown_default,
        complete=completing.months,
    )


def _datasets(shown_default: str = "") -> Any:
    return valued(
        "--dataset",
        "-d",
        metavar="DATASETS",
        help="One, several with commas, or all; may repeat.",
        group=WHAT,
        shown_default=shown_default,
        complete=completing.datasets,
    )


Month = Annotated[
    list[str] | None,
    _months("2021-01, 2021 (a year), 2021-01..2021-12, 2021-01..latest, 2021-01,2021-03, or latest; may repeat."),
]
DatasetName = Annotated[list[str] | None, _datasets()]
HeldMonth = Annotated[
    list[str] | None,
    _months(
        "2021-01, 2021 (a year), 2021-01..2021-12, 2021-01,2021-03, or latest (the newest held); may repeat.",
        "all that is held",
    ),
]
HeldDataset = Annotated[list[str] | None, _datasets("all")]
"""Months and datasets for a verb that looks at what is held: by default at all of it, whatever the settings say."""

NightMonth = Annotated[
    list[str] | None, _months("2021-01..latest, or as for `run`; may repeat.", "from the first held to the newest")
]
Source = Annotated[
    str | None,
    valued(
        "--source",
        metavar="SOURCE",
        help="auto, csv, tlc, demo, or a URL template with {dataset} and {month}.",
        complete=completing.sources,
    ),
]
Store = Annotated[
    str | None,
    valued("--store", metavar="STORE", help=f"Where Parquet goes: {stores.EXAMPLES}; by default DIR/lake."),
]
Warehouse = Annotated[
    str | None,
    valued(
        "--warehouse",
        metavar="WAREHOUSE",
        help=f"Where rows go: {warehouses.EXAMPLES}; by default duckdb:DIR/taxi.duckdb.",
    ),
]
DataDir = Annotated[
    str | None, valued("--data-dir", metavar="DIR", help="Where everything lives that is not sent elsewhere.")
]
Config = Annotated[
    str | None,
    valued("--config", "-c", metavar="FILE", help="The config file; otherwise TAXI_INGEST_CONFIG or ./config.toml."),
]
Jobs = Annotated[
    int | None, valued("--jobs", "-j", metavar="N", help="How many steps may work at the same time.", group=HOW)
]
Force = Annotated[
    bool, flag("--force", "-f", help="Redo the step (`run`: all four), whatever receipts, store and warehouse say.")
]
Refresh = Annotated[bool, flag("--refresh", help="Ask the publisher what changed since, and redo just that.")]
Strict = Annotated[bool, flag("--strict", help="Fail on an unknown column or code, and on a file of another month.")]
AllowEmpty = Annotated[bool, flag("--allow-empty", help="Let a file without rows replace a month.")]
NoDiskCheck = Annotated[bool, flag("--no-disk-check", help="Begin even if the disk seems too small.")]
Wait = Annotated[bool, flag("--wait", help="Wait for another run to end, instead of giving up.")]
OnFailure = Annotated[
    str | None,
    valued(
        "--on-failure",
        metavar="COMMAND",
        help="Run this in a shell when the run failed; TAXI_INGEST_EXIT, _FAILED and _MESSAGE tell it why.",
        group=HOW,
    ),
]
WouldDo = Annotated[bool, flag("--dry-run", "-n", help="Only show what would be done and why, as `plan` does.")]
DryRun = Annotated[bool, flag("--dry-run", "-n", help="Only show what would be removed.")]
Yes = Annotated[bool, flag("--yes", "-y", help="Remove it without asking.")]
Quiet = Annotated[bool, flag("--quiet", "-q", help="Say nothing when there is nothing to do.", group=OUTPUT)]
AsJson = Annotated[bool, flag("--json", help="Print one JSON document to stdout, the rest to stderr.", group=OUTPUT)]
JsonLine = Annotated[bool, flag("--json-line", help="As --json, on one line, as schedulers take it.", group=OUTPUT)]
OnlyFailed = Annotated[bool, flag("--failed", help="Only what failed or was interrupted.", group=OUTPUT)]
Verbose = Annotated[bool, flag("--verbose", "-v", help="With the traceback of every failure.", group=OUTPUT)]
Raw = Annotated[bool, flag("--raw", help="Published files that nothing needs any more.", group=WHAT)]
Parquet = Annotated[bool, flag("--parquet", help="Parquet files that are whole in store and table.", group=WHAT)]
Orphans = Annotated[bool, flag("--orphans", help="Files that a run left and no part owns any more.", group=WHAT)]
At = Annotated[
    str, valued("--at", metavar="WHEN", help="When: the five fields of cron, or @daily and the like.", group=HOW)
]
Systemd = Annotated[bool, flag("--systemd", help="A systemd service and its timer instead.", group=OUTPUT)]
Last = Annotated[
    int,
    typer.Option(
        "--last", metavar="N", min=0, help="How many runs, the newest first; 0 for all.", rich_help_panel=OUTPUT
    ),
]
Run = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="A run, the beginning of its name, or latest.", autocompletion=completing.runs),
]


def file_to_write(path: Path, settings: Settings, *, begins: bytes) -> Path:
    """`path`, if a file of a kind that `begins` so may be written there.

    Raises UsageError for a folder, for a file of another kind, which would be lost, and for a place where we keep
    files that we need.
    """
    from taxi_ingest.errors import UsageError
    from taxi_ingest.job import keeps_files_beside

    if path.is_dir():
        raise UsageError(f"{path} is a folder. Name a file in it.")
    if _is_of_another_kind(path, begins):
        raise UsageError(f"{path} is a file of another kind, which would be lost. Name another file, or remove it.")
    if keeps_files_beside(settings, path):
        raise UsageError(f"{path} lies where taxi-ingest keeps files of its own. Name a file elsewhere.")
    return path


def _is_of_another_kind(path: Path, begins: bytes) -> bool:
    """Whether there is a file that begins otherwise; what cannot be read is left to whoever writes it."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(len(begins)) not in {b"", begins}
    return False


def _with_options(message: str) -> str:
    """`message` with the name of the option in place of that of the setting, where an option was refused."""
    from taxi_ingest.cli.help import SETTINGS

    for option, setting in SETTINGS.items():
        message = message.replace(f"flag: {setting} ", f"{option} ")
    return message


@dataclass(frozen=True, kw_only=True)
class Given:
    """Options as they were typed; None or False where they were not."""

    month: list[str] | None = None
    dataset: list[str] | None = None
    source: str | None = None
    store: str | None = None
    warehouse: str | None = None
    jobs: int | None = None
    strict: bool = False
    wait: bool = False
    config: str | None = None
    data_dir: str | None = None
    quiet: bool = False
    allow_empty: bool = False
    no_disk_check: bool = False
    refresh: bool = False
    on_failure: str | None = None

    def settings(self) -> Settings:
        """The settings in force with these flags on top."""
        from taxi_ingest.errors import UsageError
        from taxi_ingest.settings import read

        flags: dict[str, Value | None] = {
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
            "global.check_disk": False if self.no_disk_check else None,
            "parquetize.allow_empty": self.allow_empty or None,
            "operate.on_failure": self.on_failure,
        }
        given = {name: value for name, value in flags.items() if value is not None}
        try:
            return read(given, config=self.config)
        except UsageError as error:
            raise UsageError(_with_options(str(error))) from error

    def layout(self) -> Layout:
        """The paths of the data directory in force."""
        from taxi_ingest.job import layout_of

        return layout_of(self.settings())

    def request(self, verb: str, *, force: bool, as_json: bool) -> str:
        """What was asked for, as it may be recorded: no address with its secrets, whichever option it stands after."""
        from taxi_ingest.redaction import public_text

        words = [verb]
        for name, value in vars(self).items():
            option = f"--{name.replace('_', '-')}"
            if name == "on_failure":  # a command may hold what nobody can tell from a secret
                words += [option, "…"] if value else []
            elif isinstance(value, list):
                words += [word for item in value for word in (option, public_text(item))]
            elif value is True:
                words.append(option)
            elif value not in {None, False}:
                words += [option, public_text(str(value))]
        words += [flag for flag, given in (("--force", force), ("--json", as_json)) if given]
        return " ".join(words)
