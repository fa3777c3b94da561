"""What may be typed after `doit`: its variables, and its commands that make no sense here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from doit import get_var
from doit.cmd_base import Command, ModuleTaskLoader
from doit.doit_cmd import DoitMain

from taxi_ingest import exits
from taxi_ingest.errors import UsageError


def main(tasks: Callable[[], dict[str, Any]], arguments: list[str]) -> int:
    """Do what `doit` does with `arguments` where a dodo file holds `tasks`; returns doit's exit code."""

    class Loader(ModuleTaskLoader):  # type: ignore[misc]
        """Makes the tasks once doit knows its variables."""

        def setup(self, _options: object) -> None:
            self.namespace = tasks()

    return int(DoitMain(Loader({}), config_filenames=()).run(arguments))


def variable(name: str) -> str | None:
    """What was typed as `name=…` on doit's command line."""
    value: str | None = get_var(name)
    return value


_NOT_SUPPORTED = {
    "forget": "`doit forget` changes nothing, as receipts are the state. Redo a step with taxi-ingest STEP --force.",
    "dumpdb": "`doit dumpdb` has nothing to show, as receipts are the state. See: taxi-ingest status.",
    "reset-dep": "`doit reset-dep` has nothing to reset, as receipts are the state. See: taxi-ingest verify.",
    "strace": "`doit strace` is not supported: steps run in one process. See: taxi-ingest logs.",
    "ignore": "`doit ignore` is not supported: name the months you want instead.",
}
"""Commands of doit that make no sense here, and what does."""


def check_command(arguments: Sequence[str]) -> None:
    """Raise UsageError, with what to do instead, for a command of doit that makes no sense here."""
    command = _command_in(arguments)
    if command in _NOT_SUPPORTED:
        raise UsageError(_NOT_SUPPORTED[command])


_TAKE_A_WORD = {"-f", "--file", "-d", "--dir", "--db-file", "--backend"}
"""Options of doit that may stand before its command, and whose value is the next word."""


def _command_in(arguments: Sequence[str]) -> str:
    """The first word that is neither an option, its value, nor a variable of doit; "" if there is none."""
    words = iter(arguments)
    for word in words:
        if word in _TAKE_A_WORD:
            next(words, None)
        elif not word.startswith("-") and "=" not in word:
            return word
    return ""


class DumpDb(Command):  # type: ignore[misc]
    """doit's `dumpdb`, for which it reads no dodo file that could refuse it: pyproject.toml names this one instead."""

    name = "dumpdb"
    doc_purpose = "has nothing to show, as receipts are the state"
    doc_usage = ""

    def execute(self, _options: object, _arguments: object) -> int:
        """Say why there is nothing to show."""
        sys.stderr.write(f"error: {_NOT_SUPPORTED['dumpdb']}\n")
        return exits.USAGE
