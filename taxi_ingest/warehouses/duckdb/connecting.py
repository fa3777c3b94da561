"""Opening the DuckDB file: one connection of this process at a time, and patience with other programs."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from taxi_ingest.errors import MAKE_ROOM, InUseError, WarehouseError, has_no_room
from taxi_ingest.files import replacing, scratch_files_of
from taxi_ingest.place import Place
from taxi_ingest.warehouses import Options

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_POLL_SECONDS = 0.2
_PATIENCE_FOR_A_FOLDER = 5.0
"""Seconds: to make a file takes a small part of one, and a scratch folder is locked as long as it is used."""

_IN_USE = re.compile(r"(IO Error: )?(Could not set lock on file|Conflicting lock)")
"""How DuckDB's sentence begins. The path comes after it, so that no path can be taken for it."""

_ONE_CONNECTION = threading.Lock()
"""Held while this process has a connection: DuckDB refuses a reader and a writer of one file side by side."""


_Config = dict[str, str | bool | int | float | list[str]]

_CONFIG: _Config = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "default_block_size": 128 << 10,
    "max_vacuum_tasks": 0,
    "preserve_insertion_order": False,
}
"""Without extensions, a file of another database makes DuckDB ask no network. In blocks half as large as usual, 7.7
million trips take 178 MB instead of 209. Vacuuming writes months that stay once more, behind those that were replaced,
and doubles the file. Without the order of insertion a load takes half the time, memory and space; a table has no order
anyway."""

_OF_QUERIES: _Config = {**_CONFIG, "python_enable_replacements": False}
"""For queries of people: memory and threads as DuckDB has them by itself; and a table is no variable of ours."""

_MEGABYTES_A_THREAD = 48
"""Megabytes that a thread needs to write rows; with less than half of it, it ends for want of memory."""

_SQL_BELOW = re.compile(r"\n+LINE [0-9]+:")

_HOLDER = re.compile(r"held in (.+?) \(PID ([0-9]+)\)")


class Connections:
    """Connections to one file, one after the other.

    `options.lock_timeout` is how long all of them together wait for another program to close the file. When it is
    used up, each asks once more and fails at once.
    """

    def __init__(self, place: Place, path: Path, options: Options) -> None:
        self._place = place
        self._path = path
        self._announce = options.announce
        self._patience = options.lock_timeout
        self._config = _CONFIG | {
            "memory_limit": f"{options.memory_limit_mb}MB",
            "threads": max(1, min(os.cpu_count() or 1, options.memory_limit_mb // _MEGABYTES_A_THREAD)),
        }
        self._block_megabytes = options.memory_limit_mb * 3 // 4
        self._announced = False

    @property
    def has_database(self) -> bool:
        """Whether there is a file with something in it; an empty one holds nothing."""
        return self._path.exists() and self._path.stat().st_size > 0

    @contextlib.contextmanager
    def open(self, *, read_only: bool, patient: bool = True, for_queries: bool = False) -> Iterator[DuckDBPyConnection]:
        """A connection until the end of the block; `patient`: whether to wait for another program.

        `for_queries`: without the limits that a load has.

        Raises InUseError when another program keeps the file open, WarehouseError for whatever else DuckDB refuses.
        """
        import duckdb

        config = _OF_QUERIES if for_queries else self._config
        with _ONE_CONNECTION, contextlib.closing(self._connect(config, read_only=read_only, patient=patient)) as db:
            try:
                yield db
            except duckdb.Error as error:
                remedy = f". {MAKE_ROOM}" if has_no_room(error) else ""
                raise WarehouseError(f"{self._place}: DuckDB refused: {_in_one_line(error)}{remedy}") from error

    def _connect(self, config: _Config, *, read_only: bool, patient: bool) -> DuckDBPyConnection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            begun = time.monotonic()
            try:
                return self._try_once(config, read_only=read_only)
            except InUseError as error:
                if not patient or self._patience <= 0:
                    raise
                self._announce_once(_holder(str(error.__cause__)))
            time.sleep(min(_POLL_SECONDS, self._patience))
            self._patience -= time.monotonic() - begun

    def _try_once(self, config: _Config, *, read_only: bool) -> DuckDBPyConnection:
        import duckdb

        try:
            if read_only or self.has_database:
                db = duckdb.connect(str(self._path), read_only=read_only, config=config)
            else:
                db = self._made(config)
        except duckdb.Error as error:
            if _IN_USE.match(str(error)):
                raise InUseError(
                    f"{self._place} is held by another program{_holder(str(error))}. Close it and run again."
                ) from error
            raise WarehouseError(f"{self._place} cannot be opened as a DuckDB file: {_in_one_line(error)}") from error
        if not read_only:
            self._keep_blocks(db)
        return db

    def _made(self, config: _Config) -> DuckDBPyConnection:
        """A connection to a new file, or to the one that another process has made by now.

        It appears whole or not at all: DuckDB takes one that is empty or only begun for damaged, and so would every
        later run. One that another of our processes is about to make is never replaced.
        """
        import duckdb

        path = self._path.resolve()  # what a link leads to, not the link, is made
        with _alone_in(self._path.parent):
            if not self.has_database:
                for left in scratch_files_of(path):  # by a process that was killed here
                    with contextlib.suppress(OSError):
                        left.unlink()
                with replacing(path) as scratch:
                    scratch.unlink()
                    duckdb.connect(str(scratch), config=config).close()
            return duckdb.connect(str(self._path), config=config)

    def _keep_blocks(self, db: DuckDBPyConnection) -> None:
        """Let DuckDB keep the memory of its blocks during a load, instead of asking the system for it again."""
        import duckdb

        with contextlib.suppress(duckdb.CatalogException):  # DuckDB 1 does not know the setting
            db.execute(f"SET block_allocator_memory = '{self._block_megabytes}MB'")

    def _announce_once(self, holder: str) -> None:
        if not self._announced:
            self._announced = True
            self._announce(
                f"waiting up to {self._patience:.0f} s for {self._path}, which another program has open{holder}"
            )


def _in_one_line(error: Exception) -> str:
    """What DuckDB says, without the SQL that it quotes below."""
    return " ".join(_SQL_BELOW.split(str(error))[0].split())


def _alone_in(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Let processes that make a file in `folder` take turns, where system and filesystem have locks for folders."""
    return contextlib.nullcontext() if sys.platform == "win32" else _locked(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        patient_until = time.monotonic() + _PATIENCE_FOR_A_FOLDER
        while not _is_locked(handle) and time.monotonic() < patient_until:
            time.sleep(_POLL_SECONDS / 10)
        yield
    finally:
        os.close(handle)


def _is_locked(handle: int) -> bool:
    """Whether the lock of an open folder is ours now, or there is no such lock to be had."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network filesystems lock no folder
        return True
    return True


def _holder(said: str) -> str:
    """Who has the file open, as DuckDB says it, in brackets; "" if it does not say."""
    found = _HOLDER.search(said)
    return f" ({found[1]}, process {found[2]})" if found else ""


@contextlib.contextmanager
def transaction(db: DuckDBPyConnection) -> Iterator[None]:
    """A transaction that is committed at the end of the block, and rolled back where that raises."""
    db.begin()
    try:
        yield
    except BaseException:
        db.rollback()
        raise
    db.commit()
