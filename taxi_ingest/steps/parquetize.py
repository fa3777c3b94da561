"""PARQUETIZE: raw file → Parquet in the canonical schema.

Up to date while the Parquet file has the same mark and was written with the same writer settings.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from taxi_ingest import readers
from taxi_ingest.catalog import Dataset, Fit, Part, fit
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.catalog.reading import datasets, largest_month
from taxi_ingest.errors import ContentError, RejectsError, SchemaError, TaxiError
from taxi_ingest.files import crc32c, distrust, replacing, sha256
from taxi_ingest.layout import Layout
from taxi_ingest.sources import portable
from taxi_ingest.state.mark import mark
from taxi_ingest.state.receipts import Downloaded, Parquetized
from taxi_ingest.steps.counting import Tally
from taxi_ingest.writers import parquet
from taxi_ingest.writers.provenance import Provenance, Writer

ALLOWED_REJECTS = 10
"""So many rejects never fail a file, however short it is."""

_HOPELESS_REJECTS = 1_000
"""From so many rejects on, a file is given up as soon as the rest of it can hardly make up for them."""

_DENSER = 10
"""How many times as many lines per byte the rest of a file might have as what was read of it."""

_TIMES_LARGEST = 2
"""How many times as many lines as the largest month that is known a file may have."""

_LONGEST_RAW = 1_000
"""Characters of a line that its reject quotes; no trip is longer."""

_ENCODING_THREADS = {"csv": 1, "parquet": 2}
"""Threads that encode row groups, by format, as measured on two processors: parsing CSV takes most of them."""


@dataclass(frozen=True)
class Limits:
    """What a conversion may get away with.

    `max_rejects` is the share of lines that may be unreadable; `strict` allows no unknown column or code and no file of
    another month; `allow_empty` allows a file without rows; `expected_rows` is what is known of the month, None where
    nothing is or it shall not count.
    """

    max_rejects: float = 0.001
    strict: bool = False
    allow_empty: bool = False
    expected_rows: int | None = None


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

    Every line of the file that has a value is a row or, in the part's rejects (CSV: line, reason, raw), a reject;
    otherwise RejectsError is raised. It is also raised when `limits` does not allow so many rejects or so few rows;
    SchemaError when it allows no unknown column or text code and no file of another month, or when the file fits no
    vintage; ContentError when the file is damaged or not the one that was downloaded. `progress` gets the rows of each
    batch.
    """
    with _source_named(downloaded):
        return _parquetize(part, downloaded, layout, writer, limits, progress or (lambda _: None))


@contextlib.contextmanager
def _source_named(downloaded: Downloaded) -> Iterator[None]:
    """Begin what is said against a file with the address it came from: nobody knows our name for it."""
    try:
        yield
    except (ContentError, SchemaError) as error:
        raise type(error)(f"{downloaded.url}: {error}") from error


def _parquetize(
    part: Part,
    downloaded: Downloaded,
    layout: Layout,
    writer: Writer,
    limits: Limits,
    progress: Callable[[int], None],
) -> Parquetized:
    known = dataset_named(part.dataset)
    raw, path, rejects = layout.data_dir / downloaded.file, layout.parquet(part), layout.rejects(part)
    _check_receipt(raw, downloaded)
    fitted = _fitted(part, downloaded, known)
    _check_columns(fitted.unknown, known.name, limits)
    tally = Tally(part, known)

    def provenance() -> Provenance:
        return _provenance(part, downloaded, fitted, writer, tally)

    with (
        replacing(rejects) as rejected,
        replacing(path) as scratch,
        ThreadPoolExecutor(1, "checksum") as checksum,
    ):
        is_as_downloaded = checksum.submit(_is_as_downloaded, raw, downloaded)
        batches = readers.reader(downloaded.format)(raw, known, fitted.vintage)
        tables = _counted(batches, tally, limits, rejected, progress)
        threads = _ENCODING_THREADS[downloaded.format]
        failure: TaxiError | None = None
        written = ""
        try:
            written = parquet.write(tables, scratch, known, part.month, writer, provenance, threads=threads)
        except _HopelessError:
            failure = _too_many(tally, limits, rejects, so_far=True)
        if not is_as_downloaded.result():
            distrust(raw)
            raise _not_as_downloaded(raw)
        failure = failure or _verdict(tally, limits, rejects)
        if failure is not None:
            _keep_rejects(rejected, rejects)
            raise failure
    if not tally.rejects:
        rejects.unlink()
    return _receipt(path, written, provenance(), fitted, tally, limits)


def _fitted(part: Part, downloaded: Downloaded, known: Dataset) -> Fit:
    """The vintage of the file. Raises SchemaError, naming the dataset whose columns these are if it is another one."""
    try:
        return fit(known, downloaded.format, downloaded.columns, part.month)
    except SchemaError as error:
        others = [other.name for other in datasets().values() if _fits(other, downloaded)]
        if not others:
            raise
        raise SchemaError(f"These are columns of {others[0]}, not of {known.name}: check --dataset.") from error


def _fits(dataset: Dataset, downloaded: Downloaded) -> bool:
    """Whether the file has just the columns that one of the dataset's vintages has."""
    try:
        return not fit(dataset, downloaded.format, downloaded.columns, None).unknown
    except SchemaError:
        return False


def _check_receipt(raw: Path, downloaded: Downloaded) -> None:
    """Raise ContentError unless the columns are those that the receipt of the download tells."""
    if readers.published_columns(raw, downloaded.format) != downloaded.columns:
        distrust(raw)
        raise _not_as_downloaded(raw)


def _is_as_downloaded(raw: Path, downloaded: Downloaded) -> bool:
    """Whether the checksum of the file is the one that the receipt of the download tells."""
    if downloaded.crc32c:
        return crc32c(raw) == downloaded.crc32c
    return sha256(raw) == downloaded.sha256


def _not_as_downloaded(raw: Path) -> ContentError:
    return ContentError(
        f"{raw} is not as it was downloaded: its checksum or columns differ from those recorded. Run again, and it is "
        "downloaded again."
    )


def _check_columns(unknown: tuple[str, ...], dataset: str, limits: Limits) -> None:
    if limits.strict and unknown:
        raise SchemaError(
            f"The file has columns that {dataset} does not know: {', '.join(unknown)}. "
            "Add them to the catalog, or leave --strict out to load without them."
        )


def _provenance(part: Part, downloaded: Downloaded, fitted: Fit, writer: Writer, tally: Tally) -> Provenance:
    return Provenance(
        mark=mark(part, downloaded),
        source=portable(downloaded.url),
        raw_sha256=downloaded.sha256,
        raw_bytes=downloaded.bytes,
        vintage=fitted.vintage.name,
        rows=tally.rows,
        rejects=tally.rejects,
        writer=writer,
    )


def _receipt(
    path: Path, checksum: str, provenance: Provenance, fitted: Fit, tally: Tally, limits: Limits
) -> Parquetized:
    stat = path.stat()
    return Parquetized(
        **vars(provenance),
        bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        crc32c=checksum,
        lines=tally.lines,
        empty_lines=tally.empty,
        unterminated=tally.unterminated,
        unknown_columns=(*fitted.unknown, *tally.nameless_columns),
        left_out=fitted.vintage.leaves_out,
        vintage_expected=fitted.expected,
        rows_expected=limits.expected_rows,
        shares=tally.shares,
        unknown_codes=tally.unknown_codes,
        changed_values=tally.changed_values,
    )


class _HopelessError(Exception):
    """So many lines are rejects that the rest of the file cannot make up for them."""


def _counted(
    batches: Iterator[readers.Batch], tally: Tally, limits: Limits, rejected: Path, progress: Callable[[int], None]
) -> Iterator[pa.Table]:
    """The tables of `batches`, counted into `tally`; their rejects go to the file `rejected`."""
    with rejected.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["line", "reason", "raw"])
        for batch in batches:
            tally.add(batch)
            out.writerows((r.line, r.reason, r.raw[:_LONGEST_RAW]) for r in batch.rejects)
            if _is_hopeless(tally, limits, batch.progress):
                raise _HopelessError
            progress(batch.encoded.num_rows)
            yield batch.encoded


def _is_hopeless(tally: Tally, limits: Limits, read: float) -> bool:
    """Whether there are too many rejects for all the lines that a file may have of which the share `read` was read."""
    known = _TIMES_LARGEST * largest_month(tally.dataset.name)
    possible = max(known, _DENSER * tally.lines / max(read, 1e-9))
    return tally.rejects > _HOPELESS_REJECTS and tally.rejects > limits.max_rejects * possible


def _verdict(tally: Tally, limits: Limits, rejects: Path) -> TaxiError | None:
    """Why this conversion may not stand; None when it may."""
    if tally.lines != tally.rows + tally.rejects + tally.empty:
        return RejectsError(
            f"{tally.lines:,} lines went in, but {tally.rows:,} rows, {tally.rejects:,} rejects and {tally.empty:,} "
            "empty lines came out. Nothing was kept; please report this file."
        )
    if tally.rejects > ALLOWED_REJECTS and tally.rejects > limits.max_rejects * tally.lines:
        return _too_many(tally, limits, rejects, so_far=False)
    if not tally.rows and not limits.allow_empty:
        return RejectsError(
            "The file has no rows, and nothing was replaced. If the month really is empty, take it with --allow-empty."
        )
    if limits.expected_rows is not None and tally.rows * 2 < limits.expected_rows:
        return RejectsError(
            f"The file has {tally.rows:,} rows, less than half of the {limits.expected_rows:,} that are known of this "
            "month. Download it again with download --force, or take it as it is with parquetize --force."
        )
    return _strict_verdict(tally) if limits.strict else None


def _strict_verdict(tally: Tally) -> TaxiError | None:
    if tally.codes:
        return SchemaError(f"Unknown codes: {_codes_in_words(tally)}. Leave --strict out to load them as null.")
    if tally.nameless_columns:
        return SchemaError(
            f"The file has values in columns without a name: {', '.join(tally.nameless_columns)}. "
            "Leave --strict out to load without them."
        )
    if tally.shares and not tally.shares.are_usual:
        where = tally.shares.in_words(tally.part.month)
        return SchemaError(
            f"{where[0].upper()}{where[1:]}. Check the file, or leave --strict out to load it all the same."
        )
    return None


def _too_many(tally: Tally, limits: Limits, rejects: Path, *, so_far: bool) -> RejectsError:
    read = f"the first {tally.lines:,}" if so_far else f"{tally.lines:,}"
    share = f"{tally.rejects / tally.lines:.2%}"
    one = tally.first_reject
    first = f" The first is line {one.line:,}: {one.reason}." if one else ""
    return RejectsError(
        f"{tally.rejects:,} of {read} lines ({share}) could not be read; max_rejects allows {limits.max_rejects:.2%}."
        f"{first} All are in {rejects}, each with its reason."
    )


def _keep_rejects(rejected: Path, rejects: Path) -> None:
    """Leave the rejects where the error says, although the conversion is thrown away."""
    with replacing(rejects) as kept:
        rejected.replace(kept)


def _codes_in_words(tally: Tally) -> str:
    return ", ".join(f"{column} {text!r} ({count:,} times)" for (column, text), count in tally.codes.most_common(5))
