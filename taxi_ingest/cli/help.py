"""How help is laid out: options and verbs in groups, with defaults, environment names and examples. Needs no rich."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from taxi_ingest import exits
from taxi_ingest.cli.options import HOW, OUTPUT, WHAT, WHERE

if TYPE_CHECKING:
    from taxi_ingest.settings import Settings

_ARGUMENTS, _OTHERS = "Arguments", "Other options"
_ORDER = (_ARGUMENTS, WHAT, WHERE, HOW, OUTPUT, _OTHERS)

_MONTHS = re.compile(r"latest|[0-9]{4}(-[0-9]{1,2})?(\.\.\S+)?(,\S+)?")

_UsageError: Any = typer.BadParameter.__base__  # typer does not export it by itself


class Verb(TyperCommand):
    """A verb. Its options stand in the groups that they name as their `rich_help_panel`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, group by group, in the same order for every verb."""
        groups: dict[str, list[tuple[str, str]]] = {group: [] for group in _ORDER}
        for option in self.get_params(ctx):
            if record := option.get_help_record(ctx):
                names, text = record
                if option.param_type_name == "argument":
                    groups[_ARGUMENTS].append((names.partition(" <")[0], text))
                else:
                    group = getattr(option, "rich_help_panel", None) or _OTHERS
                    has_own_default = isinstance(getattr(option, "show_default", None), str)
                    groups[group].append((names, _plain(text) if has_own_default else text + _note(option.opts)))
        for group, records in groups.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(self.epilog, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; of a month or dataset that was typed without its option, the refusal says which one that is."""
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            error.message = _whole_number(error.message) + _guess(typed, error.message)
            if instead := _INSTEAD.get(getattr(error, "option_name", "")):
                error.message = f"{error.message.rstrip('.')}. {instead}"
            raise


class Verbs(TyperGroup):
    """All verbs, in the groups that they name as their `rich_help_panel`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; of an option that was typed before the verb, the refusal says where it belongs."""
        args = _as_options(args)
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            verb = next((word for word in typed if word in self.commands), "run")
            option = getattr(error, "option_name", "")
            if option and option in {name for one in self.commands.values() for o in one.params for name in o.opts}:
                error.message = f"Options stand after the verb: taxi-ingest {verb} {option} …"
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb; of a word that other programs know, the refusal says what it is called here."""
        try:
            return super().resolve_command(ctx, args)
        except _UsageError as error:
            if meant := _CALLED_HERE.get(args[0]):
                error.message = f"No such command '{args[0]}'. Did you mean taxi-ingest {meant}?"
            raise

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write what to begin with, and what an exit code means."""
        _write_examples(self.epilog, formatter)
        with formatter.section("Exit codes"):
            formatter.write_dl([(f"{code:<3}", meaning) for code, meaning in exits.MEANINGS.items()])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each verb with all of its sentence."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            groups.setdefault(command.rich_help_panel or "Verbs", []).append((name, command.help or ""))
        widest = max(len(name) for records in groups.values() for name, _ in records)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl([(f"{name:{widest}}", text) for name, text in records])


def _write_examples(examples: str | None, formatter: Any) -> None:
    """Write examples as they are: they are there to be copied."""
    if examples:
        with formatter.section("Examples"):
            for line in examples.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def _as_options(words: list[str]) -> list[str]:
    """`help`, `help VERB` and `version`, which many programs know, as the options that they are here."""
    match words:
        case ["help"]:
            return ["--help"]
        case ["help", verb]:
            return [verb, "--help"]
        case ["version"]:
            return ["--version"]
    return words


_CALLED_HERE = {
    "build": "run",
    "retry": "run",
    "sync": "run",
    "fetch": "download",
    "convert": "parquetize",
    "diff": "plan",
    "info": "status",
    "list": "status",
    "ls": "status",
    "show": "status",
    "runs": "history",
    "trace": "logs",
    "columns": "catalog",
    "schema": "catalog",
    "tables": "catalog",
    "sql": "query",
    "count": "rows",
    "stats": "rows",
    "docs": "report",
    "check": "doctor",
    "debug": "doctor",
    "prune": "clean",
    "settings": "config",
    "schedule": "cron",
}
"""Words that other programs have for what is called otherwise here."""

_INSTEAD = {
    "-v": "More of every try is in its log: taxi-ingest logs --verbose.",
    "--verbose": "More of every try is in its log: taxi-ingest logs --verbose.",
    "--color": "Colours follow the terminal; the environment variables NO_COLOR and FORCE_COLOR are honoured.",
    "--no-color": "Set the environment variable NO_COLOR=1.",
    "--no-progress": "Bars are drawn on a terminal only: use --quiet, or a pipe.",
}
"""Options that other programs have, and what there is here."""

SETTINGS: Mapping[str, str] = {
    "--month": "shared.month",
    "--dataset": "shared.dataset",
    "--source": "global.source",
    "--store": "global.store",
    "--warehouse": "global.warehouse",
    "--jobs": "global.jobs",
    "--data-dir": "global.data_dir",
    "--strict": "global.strict",
    "--wait": "global.wait",
    "--quiet": "global.quiet",
    "--no-disk-check": "global.check_disk",
    "--allow-empty": "parquetize.allow_empty",
    "--on-failure": "operate.on_failure",
}
"""Option → the setting that it is for this one time."""


def _plain(text: str) -> str:
    """The help of an option whose default is words, without the brackets that typer puts around those."""
    return re.sub(r" +\[default: \((.*)\)\]$", r" [default: \1]", text)


def _note(names: Iterable[str]) -> str:
    """The default of an option's setting, if it has one, and the environment variable."""
    from taxi_ingest.catalog.reading import default_dataset
    from taxi_ingest.settings import Settings, environment_name

    setting = next((SETTINGS[name] for name in names if name in SETTINGS), "")
    if not setting:
        return ""
    default = _default(Settings(), setting) or (default_dataset().name if setting == "shared.dataset" else "")
    shown = f"default: {default}; " if default and not isinstance(default, bool) else ""
    return f" [{shown}{environment_name(setting)}]"


def _default(settings: Settings, name: str) -> object:
    from taxi_ingest.settings import SECTIONS

    section, _, key = name.partition(".")
    return getattr(getattr(settings, SECTIONS[section]), key)


def _whole_number(message: str) -> str:
    """A refusal of a number, in words that a person uses."""
    return "write a whole number, such as 4." if "valid integer" in message else message


def _guess(typed: list[str], message: str) -> str:
    """Which option was left out before a word; "" unless that is clear."""
    if "unexpected extra argument" not in message:
        return ""
    from taxi_ingest.catalog.reading import datasets

    for word in typed:
        dataset, _, month = word.partition("-")
        if word in message and dataset in datasets() and _MONTHS.fullmatch(month):
            return f". Did you mean --dataset {dataset} --month {month}?"
        if word in message and _MONTHS.fullmatch(word):
            return f". Did you mean --month {word}?"
        if word in message and word in {*datasets(), "all"}:
            return f". Did you mean --dataset {word}?"
    return ""
