"""PARQUETIZE: raw file → Parquet in the canonical schema.

Up to date while the Parquet file has the same mark and was written with the same writer settings.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from taxi_ingest import readers
from taxi_ingest.catalog import Fit, Part, fit
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import RejectsError, SchemaError, TaxiError
from taxi_ingest.files import crc32c, replacing
from taxi_ingest.layout import Layout
from taxi_ingest.sources import without_port
from taxi_ingest.state.mark import mark
from taxi_ingest.state.receipts import Downloaded, Parquetized, UnknownCode
from taxi_ingest.writers import parquet
from taxi_ingest.writers.provenance import Provenance, Writer

ALLOWED_REJECTS = 10
"""So many rejects never fail a file, however short it is."""

_ENCODING_THREADS = {"csv": 1, "parquet": 2}
"""Threads that encode row groups, by format, as measured on two processors: parsing CSV takes most of them."""


@dataclass(frozen=True)
class Limits:
    """What a conversion may get away with.

    `max_rejects` is the share of lines that may be unreadable; `strict` allows no unknown column or code;
    `expected_rows` is what is known of the month, None where nothing is or it shall not count.
    """

    max_rejects: float = 0.001
    strict: bool = False
    expected_rows: int | None = None


@dataclass
class _Tally:
    """Counts so far: lines of the file, rows written, rejects, unknown text codes by (column, text)."""

    lines: int = 0
    rows: int = 0
    rejects: int = 0
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)


def parquetize(
    part: Part,
    downloaded: Downloaded,
    layout: Layout,
    *,
    writer: Writer,
    limits: Limits,
    progress: Callable[[int], None] | None = None,
) -> Parquetized:
    """Write the rows of the file `downloaded` to the part's Parquet file, and return its receipt.

    Every line of the file is a row or, in the part's rejects (CSV: line, reason, raw), a reject; otherwise RejectsError
    is raised. It is also raised when `limits` does not allow so many rejects or so few rows; SchemaError when it allows
    no unknown column or text code, or when the file fits no vintage. `progress` gets the rows of each batch.
    """
    known = dataset_named(part.dataset)
    fitted = fit(known, downloaded.format, downloaded.columns, part.month)
    if limits.strict and fitted.unknown:
        raise SchemaError(
            f"The file has columns that {known.name} does not know: {', '.join(fitted.unknown)}. "
            "Add them to the catalog, or leave --strict out to load without them."
        )
    path, rejects, tally = layout.parquet(part), layout.rejects(part), _Tally()

    def provenance() -> Provenance:
        return _provenance(part, downloaded, fitted, writer, tally)

    with replacing(rejects) as rejected, replacing(path) as scratch:
        batches = readers.reader(downloaded.format)(layout.data_dir / downloaded.file, known, fitted.vintage)
        tables = _counted(batches, tally, rejected, progress or (lambda _: None))
        threads = _ENCODING_THREADS[downloaded.format]
        parquet.write(tables, scratch, known, part.month, writer, provenance, threads=threads)
        failure = _verdict(tally, limits, rejects)
        if failure is not None:
            _keep_rejects(rejected, rejects)
            raise failure
    if not tally.rejects:
        rejects.unlink()
    return _receipt(path, provenance(), fitted, tally, limits)


def _provenance(part: Part, downloaded: Downloaded, fitted: Fit, writer: Writer, tally: _Tally) -> Provenance:
    return Provenance(
        mark=mark(part, downloaded),
        source=without_port(downloaded.url),
        raw_sha256=downloaded.sha256,
        raw_bytes=downloaded.bytes,
        vintage=fitted.vintage.name,
        rows=tally.rows,
        rejects=tally.rejects,
        writer=writer,
    )


def _receipt(path: Path, provenance: Provenance, fitted: Fit, tally: _Tally, limits: Limits) -> Parquetized:
    stat = path.stat()
    return Parquetized(
        **vars(provenance),
        bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        crc32c=crc32c(path),
        lines=tally.lines,
        unknown_columns=fitted.unknown,
        left_out=fitted.vintage.leaves_out,
        vintage_expected=fitted.expected,
        rows_expected=limits.expected_rows,
        unknown_codes=tuple(UnknownCode(*code, count) for code, count in sorted(tally.codes.items())),
    )


def _counted(
    batches: Iterator[readers.Batch], tally: _Tally, rejected: Path, progress: Callable[[int], None]
) -> Iterator[pa.Table]:
    """The tables of `batches`, counted into `tally`; their rejects go to the file `rejected`."""
    with rejected.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["line", "reason", "raw"])
        for batch in batches:
            tally.lines += batch.lines
            tally.rows += batch.encoded.num_rows
            tally.rejects += len(batch.rejects)
            tally.codes += batch.codes
            out.writerows((r.line, r.reason, r.raw) for r in batch.rejects)
            progress(batch.encoded.num_rows)
            yield batch.encoded


def _verdict(tally: _Tally, limits: Limits, rejects: Path) -> TaxiError | None:
    """Why this conversion may not stand; None when it may."""
    if tally.lines != tally.rows + tally.rejects:
        return RejectsError(
            f"{tally.lines:,} lines went in, but {tally.rows:,} rows and {tally.rejects:,} rejects came out. "
            "Nothing was kept; please report this file."
        )
    if tally.rejects > ALLOWED_REJECTS and tally.rejects > limits.max_rejects * tally.lines:
        return RejectsError(
            f"{tally.rejects:,} of {tally.lines:,} lines could not be read, more than max_rejects = "
            f"{limits.max_rejects:g} allows. They stand in {rejects}, each with its reason."
        )
    if limits.strict and tally.codes:
        return SchemaError(f"Unknown codes: {_codes_in_words(tally.codes)}. Leave --strict out to load them as null.")
    if limits.expected_rows is not None and tally.rows * 2 < limits.expected_rows:
        return RejectsError(
            f"The file has {tally.rows:,} rows, less than half of the {limits.expected_rows:,} that are known of this "
            "month. Download it again with download --force, or take it as it is with parquetize --force."
        )
    return None


def _keep_rejects(rejected: Path, rejects: Path) -> None:
    """Leave the rejects where the error says, although the conversion is thrown away."""
    with replacing(rejects) as kept:
        kept.write_bytes(rejected.read_bytes())


def _codes_in_words(codes: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{column} {text!r} ({count:,} times)" for (column, text), count in codes.most_common(5))
