"""PARQUETIZE: raw file → Parquet in the canonical schema.

Up to date while the Parquet file has the same mark and was written with the same writer settings.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from taxi_ingest import readers
from taxi_ingest.catalog import Dataset, Fit, Part, fit
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.catalog.reading import datasets
from taxi_ingest.errors import ContentError, SchemaError, TaxiError
from taxi_ingest.files import crc32c, distrust, replacing, scratch_file_for, sha256
from taxi_ingest.layout import Layout
from taxi_ingest.sources import portable
from taxi_ingest.state.mark import mark
from taxi_ingest.state.receipts import Downloaded, Parquetized
from taxi_ingest.steps.counting import Tally
from taxi_ingest.steps.limits import Limits, check_columns, is_hopeless, too_many, verdict
from taxi_ingest.writers import parquet
from taxi_ingest.writers.findings import Findings
from taxi_ingest.writers.provenance import Provenance, Writer

_LONGEST_RAW = 1_000
"""Characters of a line that its reject quotes; no trip is longer."""

_ENCODING_THREADS = {"csv": 1, "parquet": 2}
"""Threads that encode row groups, by format, as measured on two processors: parsing CSV takes most of them."""


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
    """Begin each complaint about a file with the address it came from: users do not know our name for it."""
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
    check_columns(fitted.unknown, known.name, limits)
    tally = Tally(part, known)

    def provenance() -> Provenance:
        return _provenance(part, downloaded, fitted, writer, tally)

    def footer() -> dict[bytes, bytes]:
        return provenance().as_metadata() | _findings(fitted, tally, limits).as_metadata()

    with (
        _scratch_file(rejects) as rejected,
        replacing(path) as scratch,
        ThreadPoolExecutor(1, "checksum") as checksum,
        contextlib.closing(readers.reader(downloaded.format)(raw, known, fitted.vintage)) as batches,
    ):
        is_as_downloaded = checksum.submit(_is_as_downloaded, raw, downloaded)
        tables = _counted(batches, tally, limits, rejected, progress)
        threads = _ENCODING_THREADS[downloaded.format]
        failure: TaxiError | None = None
        written = ""
        try:
            written = parquet.write(tables, scratch, known, part.month, writer, footer, threads=threads)
        except _HopelessError:
            failure = too_many(tally, limits, rejects, so_far=True)
        if not is_as_downloaded.result():
            distrust(raw)
            raise _not_as_downloaded(raw)
        failure = failure or verdict(tally, limits, rejects)
        if failure is not None:
            _keep_rejects(rejected, rejects)
            raise failure
        _keep_or_remove_rejects(rejected, rejects, tally)
    return _receipt(path, written, provenance(), _findings(fitted, tally, limits))


@contextlib.contextmanager
def _scratch_file(path: Path) -> Iterator[Path]:
    """A scratch path beside `path`, which is gone after the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = scratch_file_for(path)
    try:
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)


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


def _findings(fitted: Fit, tally: Tally, limits: Limits) -> Findings:
    return Findings(
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


def _receipt(path: Path, checksum: str, provenance: Provenance, findings: Findings) -> Parquetized:
    stat = path.stat()
    return Parquetized(
        **vars(provenance), **vars(findings), bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, crc32c=checksum
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
            if is_hopeless(tally, limits, batch.progress):
                raise _HopelessError
            progress(batch.encoded.num_rows)
            yield batch.encoded


def _keep_or_remove_rejects(rejected: Path, rejects: Path, tally: Tally) -> None:
    """Keep the rejects, or remove those of an earlier conversion if there are none now.

    This comes before the Parquet file takes its place: a conversion that is killed in between is done again.
    """
    if tally.rejects:
        _keep_rejects(rejected, rejects)
    else:
        rejects.unlink(missing_ok=True)


def _keep_rejects(rejected: Path, rejects: Path) -> None:
    """Keep the rejects, where the error or a note says that they are."""
    with replacing(rejects) as kept:
        rejected.replace(kept)
