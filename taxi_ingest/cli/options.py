"""What can be typed after a verb; each option once, with its help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from taxi_ingest import stores, warehouses

if TYPE_CHECKING:
    from taxi_ingest.settings import Settings
    from taxi_ingest.values import Value

Month = Annotated[
    list[str] | None,
    typer.Option(help="2021-01, 2021-01..2021-12, 2021-01..latest, 2021-01,2021-03, or latest; may repeat."),
]
DatasetName = Annotated[
    list[str] | None, typer.Option("--dataset", help="One, several with commas, or all; may repeat.")
]
Source = Annotated[str | None, typer.Option(help="auto, csv, tlc, demo, or a URL template with {dataset} and {month}.")]
Store = Annotated[str | None, typer.Option(help=f"Where Parquet goes: {stores.EXAMPLES}.")]
Warehouse = Annotated[str | None, typer.Option(help=f"Where rows go: {warehouses.EXAMPLES}.")]
Jobs = Annotated[int | None, typer.Option(help="Steps at work at once.")]
Force = Annotated[bool, typer.Option("--force", help="Redo it, whatever receipts, store and warehouse say.")]
Refresh = Annotated[
    bool, typer.Option("--refresh", help="Ask what the publisher changed since, and redo exactly that.")
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Fail on an unknown column or code, and on a file of another month.")
]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Let a file without rows replace a month.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for a run that holds the lock.")]
Config = Annotated[str | None, typer.Option(help="The config file; otherwise TAXI_INGEST_CONFIG or ./config.toml.")]
DataDir = Annotated[str | None, typer.Option(help="Where everything lives that is not sent elsewhere.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing when there is nothing to do.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout, the rest to stderr.")]
JsonLine = Annotated[
    bool, typer.Option("--json-line", help="As --json, on one line: the last, as schedulers take the result.")
]
OnlyFailed = Annotated[bool, typer.Option("--failed", help="Only what failed or was interrupted.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="With the traceback of every failure.")]
Raw = Annotated[bool, typer.Option("--raw", help="Published files whose Parquet is there, or in store and table.")]
Parquet = Annotated[bool, typer.Option("--parquet", help="Parquet files that are whole in the store and in the table.")]
Orphans = Annotated[bool, typer.Option("--orphans", help="Files that a run once left and that no part owns any more.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")]
Yes = Annotated[bool, typer.Option("--yes", help="Remove it without asking.")]
NoDiskCheck = Annotated[bool, typer.Option("--no-disk-check", help="Begin also when the disk seems too small.")]
At = Annotated[str, typer.Option(help="When, in cron's five fields.")]
Last = Annotated[int, typer.Option(min=0, help="How many runs, the newest first; 0 for all.")]


@dataclass(frozen=True)
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

    def settings(self) -> Settings:
        """The settings in force with these flags on top."""
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
        }
        given = {name: value for name, value in flags.items() if value is not None}
        return read(given, config=self.config)

    def request(self, verb: str, *, force: bool, as_json: bool) -> str:
        """What was asked for, as it may be recorded: no address with its secrets, whichever option it stands after."""
        from taxi_ingest.redaction import public_text

        words = [verb]
        for name, value in vars(self).items():
            option = f"--{name.replace('_', '-')}"
            if isinstance(value, list):
                words += [word for item in value for word in (option, public_text(item))]
            elif value is True:
                words.append(option)
            elif value not in {None, False}:
                words += [option, public_text(str(value))]
        words += [flag for flag, given in (("--force", force), ("--json", as_json)) if given]
        return " ".join(words)
