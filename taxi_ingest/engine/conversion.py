"""Converts published Parquet in a process of its own.

Arrow does not survive every damaged file: some of its C++ errors end the process. Then that process ends, its part
fails, and the run goes on.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, cast

from taxi_ingest.catalog import Part
from taxi_ingest.errors import ContentError, TaxiError, machine_refused
from taxi_ingest.files import scratch_files_of
from taxi_ingest.layout import Layout
from taxi_ingest.readers import GET_IT_AGAIN
from taxi_ingest.state.receipts import Downloaded, Parquetized
from taxi_ingest.steps.limits import Limits
from taxi_ingest.writers.provenance import Writer

_START = """
import sys; sys.path[:] = {path!r}
from taxi_ingest.process import block_heavy_imports; block_heavy_imports()
from taxi_ingest.engine.conversion import serve; serve()
"""

_FAULTS = {getattr(signal, name, None) for name in ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE")}
"""The signals by which a process ends of its own fault; Windows lacks SIGBUS."""

_WINDOWS_ABORT = 3
_WINDOWS_FAULT = 0xC0000000
"""On Windows abort() ends a process with 3, and a fault such as an access violation with a code from here on."""


@dataclass(frozen=True)
class Conversion:
    """What `parquetize` is called with."""

    part: Part
    downloaded: Downloaded
    layout: Layout
    writer: Writer
    limits: Limits


@dataclass(frozen=True)
class _Failure:
    """What a conversion raised: an error as it is, or the traceback of a bug."""

    error: BaseException | None
    traceback: str


class Converters:
    """Processes that convert one file at a time, started when needed and used again. Thread-safe."""

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._all: list[_Process] = []
        self._lock = threading.Lock()
        self._closed = False

    def prepare(self) -> None:
        """Start a process if there is none, so that it is ready when a file has been downloaded."""
        with self._lock:
            if not self._all:
                self._idle.append(self._start())

    def parquetize(self, conversion: Conversion, progress: Callable[[int], None]) -> Parquetized:
        """Do what `parquetize` does, raising what it raises.

        Raises ContentError when the file ends the process, TaxiError when something else killed it, and RuntimeError
        for a bug in it.
        """
        process = self._take()
        try:
            receipt = process.convert(conversion, progress)
        except EOFError:
            _remove_scratch_files(conversion)
            cause = process.cause_of_death(conversion.downloaded)
            process.close()
            raise (TaxiError("The conversion was stopped.") if self._closed else cause) from None
        except (TaxiError, OSError, MemoryError):
            self._give_back(process)
            raise
        self._give_back(process)
        return receipt

    def close(self) -> None:
        """End all processes; one at work is closed by the thread that waits for it."""
        self._closed = True
        for process in self._all:
            process.kill()
        for process in self._idle:
            process.close()

    def _take(self) -> _Process:
        with self._lock:
            return self._idle.pop() if self._idle else self._start()

    def _start(self) -> _Process:
        process = _Process()
        self._all.append(process)
        return process

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            self._idle.append(process)


class _Process:
    """A process that runs `serve`, seen from outside."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def convert(self, conversion: Conversion, progress: Callable[[int], None]) -> Parquetized:
        """Have it do one conversion. Raises what that raises, and EOFError when the process ends."""
        requests, answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        try:
            pickle.dump(conversion, requests)
            requests.flush()
        except BrokenPipeError:
            raise EOFError from None
        while True:
            match pickle.load(answers):  # noqa: S301 - written by our own process
                case int(rows):
                    progress(rows)
                case Parquetized() as receipt:
                    return receipt
                case _Failure(error=None, traceback=text):
                    raise RuntimeError(f"in the process that converts:\n{text}")
                case _Failure(error=BaseException() as error):
                    raise error

    def cause_of_death(self, downloaded: Downloaded) -> TaxiError:
        """Why the process ended while it read the file `downloaded`."""
        code = self._process.wait()
        self._errors.seek(0)
        words = self._errors.read().decode("utf-8", errors="replace").strip().splitlines()
        what = words[-1].strip() if words else f"exit {code}"
        if refused := machine_refused(Exception(what)):
            return TaxiError(f"The conversion ended: {refused}")
        if _is_own_fault(code):
            return ContentError(f"{downloaded.url} is a damaged Parquet file (Arrow gave up: {what}): {GET_IT_AGAIN}.")
        return TaxiError(
            f"The conversion was ended from outside ({what}), as systems do when memory runs out. Run again."
        )

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close what leads to it, once it has ended."""
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not sent need not be
                    stream.close()


def serve() -> None:
    """Do conversions that come in on stdin until it is closed: by the end of the run, or of the run's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the run, which then closes stdin
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed is no answer
    with contextlib.suppress(EOFError, pickle.UnpicklingError):
        worker = ThreadPoolExecutor(1)
        while True:
            worker.submit(_answer, pickle.load(requests), answers)  # noqa: S301 - written by our own run
    os._exit(0)  # also in the middle of a conversion that nobody waits for any more


def _answer(conversion: Conversion, answers: IO[bytes]) -> None:
    from taxi_ingest.steps.parquetize import parquetize

    def send(answer: int | Parquetized | _Failure) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    c = conversion
    try:
        send(parquetize(c.part, c.downloaded, c.layout, writer=c.writer, limits=c.limits, progress=send))
    except (TaxiError, OSError, MemoryError) as error:
        send(_Failure(error, ""))
    except BaseException:  # noqa: BLE001 - the edge of this process: the run shows it as the bug it is
        send(_Failure(None, traceback.format_exc()))


def _is_own_fault(code: int) -> bool:
    """Whether a process that ended with exit code `code` did so by a fault in it; nobody ended it from outside."""
    return -code in _FAULTS or code == _WINDOWS_ABORT or code >= _WINDOWS_FAULT


def _remove_scratch_files(conversion: Conversion) -> None:
    layout, part = conversion.layout, conversion.part
    for path in (layout.parquet(part), layout.rejects(part)):
        for scratch in scratch_files_of(path):
            scratch.unlink(missing_ok=True)
