"""Open a text file as bytes, split it into blocks of whole lines, and count lines independently of any parser.

A line ends in LF (optional on the last line); a blank line is empty but for an optional CR.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.errors import ContentError
from taxi_ingest.readers import GET_IT_AGAIN

try:  # three times as fast as zlib, but not available on every platform
    from isal import igzip, isal_zlib

    _open_gzip: Callable[[BinaryIO], gzip.GzipFile] = igzip.open
    _ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # its type stub declares an instance
    _GZIP_ERRORS: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, zlib.error, _ISAL_ERROR)
except ImportError:
    _open_gzip = gzip.open
    _GZIP_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)

BytesLike = bytes | bytearray

GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
_LF, _CR = 0x0A, 0x0D
LONGEST_LINE = 16 << 20
"""Bytes. A longer "line" means a file without line ends; reading on would take unbounded memory."""


def is_gzip(path: Path) -> bool:
    """Whether the file starts with the gzip magic number, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


@contextmanager
def decompressed(file: BinaryIO, name: str) -> Iterator[BufferedIOBase]:
    """The decompressed bytes of `file`, which is open at its start; a file that is not gzip is given as it is.

    Raises ContentError, which calls the file `name`, when a gzip stream is truncated or damaged, including during reads
    inside the `with` block.
    """
    magic = file.read(len(GZIP_MAGIC))
    file.seek(0)
    if magic != GZIP_MAGIC:
        yield cast("BufferedIOBase", file)
        return
    try:
        with _open_gzip(file) as stream:
            yield stream
    except _GZIP_ERRORS as error:
        raise ContentError(f"{name} is a gzip file that is cut or damaged ({error}): {GET_IT_AGAIN}.") from error


class Blocks:
    """Iterates over a stream in blocks of about `size` bytes: whole lines, each ending in LF, without a BOM.

    Blocks passed to `recycle` are reused, because allocating new memory costs as much as decompressing into it. Once
    the last block is there, `unterminated` tells whether the file's last line had no line end of its own.
    """

    def __init__(self, stream: BufferedIOBase, size: int) -> None:
        self._stream = stream
        self._size = size
        self._free: list[bytearray] = []
        self.unterminated = False

    def recycle(self, block: bytearray) -> None:
        """Reuse the memory of `block`; the caller must not touch it afterwards."""
        self._free.append(block)

    def __iter__(self) -> Iterator[bytearray]:
        """Yield the blocks. Raises ContentError for a NUL byte and for a line longer than LONGEST_LINE."""
        held = bytearray(self._stream.read(len(BOM)).removeprefix(BOM))  # a line whose end has not been read yet
        while True:
            block = self._fill(held)
            if len(block) == len(held):
                break
            end = block.rfind(b"\n", len(held)) + 1
            held = block[end:]
            if b"\0" in block:
                raise ContentError(f"The file has NUL bytes, which no text has, so it is damaged: {GET_IT_AGAIN}.")
            if len(held) > LONGEST_LINE:
                raise ContentError(f"A line is longer than 16 MiB, so this is not a CSV file: {GET_IT_AGAIN}.")
            if end:
                del block[end:]
                yield block
        if held:
            self.unterminated = not held.endswith(b"\n")
            yield held + b"\n" if self.unterminated else held

    def _fill(self, start: bytearray) -> bytearray:
        """`start` followed by the next `size` bytes of the stream, or as many as are left."""
        block = self._free.pop() if self._free else bytearray()
        length = len(start) + self._size
        del block[length:]
        block += bytes(length - len(block))
        block[: len(start)] = start
        filled = len(start)
        with memoryview(block) as view:
            while filled < length and (read := self._stream.readinto(view[filled:])):
                filled += read
        del block[filled:]
        return block


def count_line_ends(block: BytesLike) -> int:
    """Count the LFs of a block. All counting here uses Arrow, which releases the GIL."""
    found: int = _equals(block, _LF).true_count
    return found


@dataclass(frozen=True)
class Count:
    """Line counts of a block: all lines, those that are not blank, and CRs that are not part of a line end."""

    physical: int
    lines: int
    stray_cr: int


def count(block: BytesLike) -> Count:
    """Count the lines of a block that ends in LF."""
    lf = _equals(block, _LF)
    physical = lf.true_count
    blank = _count_adjacent(lf, lf) + block.startswith(b"\n")
    if b"\r" not in block:
        return Count(physical, physical - blank, 0)
    cr = _equals(block, _CR)
    crlf = pc.and_(cr.slice(0, len(block) - 1), lf.slice(1))
    blank += _count_adjacent(lf, crlf) + block.startswith(b"\r\n")
    return Count(physical, physical - blank, cr.true_count - crlf.true_count)


def _equals(block: BytesLike, byte: int) -> pa.BooleanArray:
    data = pa.Array.from_buffers(pa.uint8(), len(block), [None, pa.py_buffer(block)])
    return pc.equal(data, pa.scalar(byte, pa.uint8()))


def _count_adjacent(first: pa.BooleanArray, second: pa.BooleanArray) -> int:
    """The number of positions i where `first[i]` and `second[i + 1]` are true."""
    length = min(len(first), len(second) - 1)
    if length < 1:
        return 0
    found: int = pc.and_(first.slice(0, length), second.slice(1, length)).true_count
    return found


def is_blank(line: BytesLike) -> bool:
    """Whether a line, without its LF, is blank."""
    return line in (b"", b"\r")  # not a set: a bytearray is unhashable


def is_utf8(data: BytesLike) -> bool:
    """Whether all bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def fields(line: BytesLike) -> list[str]:
    """Split one line, with or without its line end, into fields; an empty list if it is malformed."""
    text = line.rstrip(b"\r\n").decode("utf-8", errors="replace")
    try:
        return next(csv.reader([text]), [])
    except csv.Error:  # a CR within the line, or a field longer than 128 KiB
        return []


def header_names(line: BytesLike) -> tuple[str, ...]:
    """The column names of a header line, unquoted and trimmed."""
    return tuple(name.strip() for name in fields(line.removeprefix(BOM)))
