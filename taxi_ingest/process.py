"""The process of a command: what it may import, what it does when nobody reads its output, and how it ends."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

_HEAVY = {
    "numpy",
    "pandas",
    "pyarrow._azurefs",
    "pyarrow._gcsfs",
    "pyarrow._hdfs",
    "pyarrow._s3fs",
}
"""pyarrow imports numpy with itself, and cloud file systems and pandas at first use; Google's client imports pandas.
Nothing here needs them, and importing them takes as long as converting 400,000 rows."""


def as_typed() -> list[str]:
    """This very program as somebody at this prompt types it; without a script of its own, a module of this Python."""
    script = _script()
    if script is None:
        return in_full()
    on_path = shutil.which(script.name)
    return [script.name] if on_path and script.samefile(on_path) else [str(script)]


def in_full() -> list[str]:
    """This very program under its full name, for whoever starts it elsewhere."""
    script = _script()
    return [str(script.absolute())] if script else [sys.executable, "-m", "taxi_ingest"]


def _script() -> Path | None:
    """The script that started this process; None where it was started as a module of Python."""
    script = Path(sys.argv[0])
    return script if script.name == "taxi-ingest" and os.access(script, os.X_OK) else None


def block_heavy_imports() -> None:
    """Make this process believe that numpy, pandas and Arrow's cloud file systems are not installed.

    Only for a process that belongs to the command line: a library must not change what others can import.
    """
    sys.meta_path.insert(0, _HeavyImportBlocker())


class _HeavyImportBlocker:
    @staticmethod
    def find_spec(fullname: str, _path: object, _target: object = None) -> None:
        """Refuse the heavy modules, and leave every other module to the other finders."""
        if fullname in _HEAVY:
            raise ModuleNotFoundError(f"No module named '{fullname}': blocked, because it is not needed", name=fullname)


def ignore_broken_pipes() -> None:
    """Let stdout and stderr drop what nobody can read: the work itself goes on.

    That is what is written after the reader has left, and all of it where the shell had closed the stream. What the
    stream's encoding lacks is written as an escape.
    """
    _occupy_closed_streams()
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, _without_broken_pipes(getattr(sys, name), number))


def _occupy_closed_streams() -> None:
    """Open what the shell closed on /dev/null: the next file to be opened would get its number, and our output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


_NOBODY_READS = {errno.EPIPE, errno.EINVAL} if sys.platform == "win32" else {errno.EPIPE}
"""What the system says when the reader of a pipe has left."""


class _Pipe(io.FileIO):
    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno in _NOBODY_READS:
                return memoryview(data).nbytes
            raise


def _without_broken_pipes(stream: TextIO | None, number: int) -> TextIO:
    if stream is not None:  # None when the shell closed it
        stream.flush()
        if sys.platform == "win32" and stream.isatty():
            return stream  # its console takes text, not bytes in the stream's encoding
    return io.TextIOWrapper(
        io.BufferedWriter(_Pipe(number if stream is None else stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        line_buffering=bool(stream and stream.line_buffering),
    )


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the block, as Ctrl-C does; only the main thread can hear of signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def leave(code: int) -> NoReturn:
    """End this process with exit code `code` once its output is flushed, skipping Python's own shutdown.

    That shutdown visits every object once more, which takes a sixth of a run that has nothing to do, and after an
    interrupt it would meet threads that are still inside Arrow or DuckDB.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a full disk has been reported already
            stream.flush()
    os._exit(code)
