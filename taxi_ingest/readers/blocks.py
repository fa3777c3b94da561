"""The bytes of a text file: opened, cut at line ends, and counted apart from any parser.

A line is what ends in LF (the file's last line may lack it); a blank line holds nothing but an optional CR.
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
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from taxi_ingest.errors import ContentError

try:  # three times as fast as zlib; not built for every platform
    from isal import igzip, isal_zlib

    _open_gzip: Callable[[Path], gzip.GzipFile] = igzip.open
    _ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # the stub calls it an instance
    _BROKEN: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, zlib.error, _ISAL_ERROR)
except ImportError:
    _open_gzip = gzip.open
    _BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)

Octets = bytes | bytearray

GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
_LF, _CR = 0x0A, 0x0D
LONGEST_LINE = 16 << 20
"""Bytes. A longer "line" means that the file has no line ends, and reading on would take any amount of memory."""


def is_gzip(path: Path) -> bool:
    """Whether the file starts like a gzip stream, whatever it is called."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


@contextmanager
def open_bytes(path: Path) -> Iterator[BufferedIOBase]:
    """Open a plain or gzip file for reading its (decompressed) bytes.

    Raises ContentError, also while the stream is read within the `with`, when a gzip stream is cut or damaged.
    """
    try:
        with _open_gzip(path) if is_gzip(path) else path.open("rb") as stream:
            yield stream
    except _BROKEN as error:
        raise ContentError(
            f"{path.name} is a gzip file that is cut or damaged ({error}): delete it and download it again."
        ) from error


class Blocks:
    """A stream in pieces of about `size` bytes, each of whole lines and ending in LF, without BOM.

    A block that is given back lends its memory to a later one: fresh memory costs as much as decompressing into it.
    """

    def __init__(self, stream: BufferedIOBase, size: int) -> None:
        self._stream = stream
        self._size = size
        self._spent: list[bytearray] = []

    def give_back(self, block: bytearray) -> None:
        """Nobody looks at `block` any more."""
        self._spent.append(block)

    def __iter__(self) -> Iterator[bytearray]:
        """Yield the blocks. Raises ContentError when a line is longer than LONGEST_LINE."""
        held = bytearray(self._stream.read(len(BOM)).removeprefix(BOM))  # a line whose end is still to come
        while True:
            block = self._filled(held)
            if len(block) == len(held):
                break
            end = block.rfind(b"\n", len(held)) + 1
            held = block[end:]
            if len(held) > LONGEST_LINE:
                raise ContentError("A line is longer than 16 MiB, so this is no CSV file: download it again.")
            if end:
                del block[end:]
                yield block
        if held:
            yield held if held.endswith(b"\n") else held + b"\n"

    def _filled(self, start: bytearray) -> bytearray:
        """`start` and, as far as there are so many, the next `size` bytes."""
        block = self._spent.pop() if self._spent else bytearray()
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


def line_ends(block: Octets, *, ascii_only: bool) -> int:
    """Count the LFs of a block, quicker if it is known to be ASCII.

    Done by Arrow, as all counting here, because it lets other threads run meanwhile.
    """
    if not ascii_only:
        found: int = _where(block, _LF).true_count
        return found
    # Eight octets at a time: in ASCII, (octet ^ LF) + 0x7F has its highest bit set unless the octet is LF.
    words = len(block) // 8
    octets = pa.Array.from_buffers(pa.uint64(), words, [None, pa.py_buffer(block)])
    others = pc.bit_wise_and(pc.add(pc.bit_wise_xor(octets, _word(_LF)), _word(0x7F)), _word(0x80))
    bits = pa.Array.from_buffers(pa.bool_(), words * 64, [None, others.buffers()[1]])
    rest = block.count(b"\n", words * 8)
    return words * 8 - int(bits.true_count) + rest


def _word(octet: int) -> pa.UInt64Scalar:
    return pa.scalar(int.from_bytes([octet] * 8), pa.uint64())


@dataclass(frozen=True)
class Count:
    """What the bytes of a block say: all lines, those that are not blank, and CRs that end no line."""

    physical: int
    lines: int
    stray_cr: int


def count(block: Octets) -> Count:
    """Count the lines of a block that ends in LF."""
    lf = _where(block, _LF)
    physical = lf.true_count
    blank = _pairs(lf, lf) + block.startswith(b"\n")
    if b"\r" not in block:
        return Count(physical, physical - blank, 0)
    cr = _where(block, _CR)
    crlf = pc.and_(cr.slice(0, len(block) - 1), lf.slice(1))
    blank += _pairs(lf, crlf) + block.startswith(b"\r\n")
    return Count(physical, physical - blank, cr.true_count - crlf.true_count)


def _where(block: Octets, octet: int) -> pa.BooleanArray:
    octets = pa.Array.from_buffers(pa.uint8(), len(block), [None, pa.py_buffer(block)])
    return pc.equal(octets, pa.scalar(octet, pa.uint8()))


def _pairs(first: pa.BooleanArray, second: pa.BooleanArray) -> int:
    """At how many positions `first` is true and `second` is true one further."""
    length = min(len(first), len(second) - 1)
    if length < 1:
        return 0
    found: int = pc.and_(first.slice(0, length), second.slice(1, length)).true_count
    return found


def is_blank(line: Octets) -> bool:
    """Whether a line, without its LF, is blank."""
    return line in (b"", b"\r")  # a bytearray has no place in a set


def is_utf8(data: Octets) -> bool:
    """Whether all bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def fields(line: Octets) -> list[str]:
    """The fields of one line, with or without its line end; none if they make no sense."""
    text = line.rstrip(b"\r\n").decode("utf-8", errors="replace")
    try:
        return next(csv.reader([text]), [])
    except csv.Error:  # a CR within the line, or a field of more than 128 KiB
        return []


def header_names(line: Octets) -> tuple[str, ...]:
    """The column names in a header line: unquoted, trimmed, otherwise as published."""
    return tuple(name.strip() for name in fields(line.removeprefix(BOM)))
