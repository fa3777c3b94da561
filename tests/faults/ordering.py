"""In what order a run's files reach the disk, as the system calls of a traced run tell it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_CALLS = "trace=rename,renameat,renameat2,fsync,fdatasync"
_UNFINISHED = re.compile(r"^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_WHOLE = re.compile(r"^(\d+) +(\w+)\((.*)\) += 0$")
_SYNCED = re.compile(r"^\d+<(.+)>$")
_NAMES = re.compile(r'"([^"]+)"')


@dataclass(frozen=True)
class Call:
    """One call that succeeded: a file or folder that was synced, or a file that got another name."""

    kind: Literal["sync", "rename"]
    path: Path
    old: Path | None = None


def traced(folder: Path, *arguments: str) -> list[Call]:
    """Run taxi-ingest in `folder` under strace; returns its calls in the order in which they ended."""
    trace = folder / "trace"
    command = ["strace", "-f", "-y", "-e", _CALLS, "-o", str(trace), sys.executable, "-m", "taxi_ingest", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return [call for line in _whole_lines(trace.read_text().splitlines()) if (call := _call(line, folder))]


def _whole_lines(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a trace, each call that another thread interrupted as one line, where it ended."""
    begun: dict[tuple[str, str], str] = {}
    for line in lines:
        if found := _UNFINISHED.match(line):
            begun[found[1], found[2]] = found[3]
        elif found := _RESUMED.match(line):
            yield f"{found[1]} {found[2]}({begun.pop((found[1], found[2]))}{found[3].lstrip()}"
        else:
            yield line


def _call(line: str, folder: Path) -> Call | None:
    found = _WHOLE.match(line)
    if found is None:
        return None
    if synced := _SYNCED.match(found[3]):
        return Call("sync", Path(synced[1]))
    old, new = _NAMES.findall(found[3])
    return Call("rename", folder / new, folder / old)


def out_of_order(calls: list[Call]) -> list[str]:
    """What a crash of the machine could lose although a receipt tells of it; a sentence each.

    A file is synced before it gets its name. Its folder is synced before a receipt gets its own.
    """
    sentences, synced, unsynced = [], set[Path](), set[Path]()
    for call in calls:
        if call.kind == "sync":
            synced.add(call.path)
            unsynced.discard(call.path)
            continue
        assert call.old is not None
        if call.path.name.startswith(".") or call.path.is_dir():
            continue  # not in its place yet, or a folder whose files are named by nothing so far
        if call.old not in synced:
            sentences.append(f"{call.path} got its name before it was synced")
        if _is_receipt(call.path):
            sentences += [f"{call.path} was written before the folder {folder} was synced" for folder in unsynced]
        unsynced.add(call.path.parent)
    return sentences


def _is_receipt(path: Path) -> bool:
    return "receipts" in path.parts


def files_named(calls: list[Call]) -> list[Path]:
    """The files that got their names, in order."""
    return [call.path for call in calls if call.kind == "rename" and not call.path.name.startswith(".")]
