"""PARQUETIZE: raw file → Parquet in the canonical schema.

Up to date while the Parquet bears the same mark and was written with the same writer settings.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from taxi_ingest import readers
from taxi_ingest.catalog import FILE_MONTH, Dataset, Fit, Part, fit, mark
from taxi_ingest.catalog.months import first_day
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.errors import RejectsError, SchemaError
from taxi_ingest.files import crc32c, replacing
from taxi_ingest.readers.columns import nulls, schema_of
from taxi_ingest.writers import row_groups

FOOTER_KEY = b"taxi_ingest"
ALLOWED_REJECTS = 10
"""So many rejects never fail a file, however short it is."""

_ENCODERS = {"csv": 1, "parquet": 2}
"""Threads that encode row groups, by format, as measured on two processors: parsing CSV takes the most of them."""


@dataclass(frozen=True)
class Writer:
    """How Parquet is written; `level` counts for zstd and gzip only."""

    compression: str = "zstd"
    level: int = 3
    row_group_rows: int = 131_072


@dataclass(frozen=True)
class Raw:
    """The raw file a Parquet is made of: `source` as it may be shown, checksum, bytes, and what it was found to be."""

    path: Path
    source: str
    sha256: str
    size: int
    format: str
    columns: tuple[str, ...]


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
    """What went by: lines of the file, rows written, rejects, unknown text codes by (column, text)."""

    lines: int = 0
    rows: int = 0
    rejects: int = 0
    codes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def written(self) -> dict[str, int]:
        """What the footer tells of it."""
        return {"rows": self.rows, "rejects": self.rejects}


def parquetize(
    raw: Raw,
    parquet: Path,
    rejects: Path,
    *,
    part: Part,
    writer: Writer,
    limits: Limits,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write the rows of `raw` to `parquet` and return what came of it: mark, vintage, rows, rejects, notes.

    Every line of the file is a row or, in the CSV file `rejects` (line, reason, raw), a reject; otherwise
    RejectsError is raised. It is raised, too, when `limits` does not allow so many rejects or so few rows, and
    SchemaError when it allows no unknown column or text code. `progress` gets the rows of each batch.
    """
    known = dataset_named(part.dataset)
    fitted = fit(known, raw.format, raw.columns, part.month)
    if limits.strict and fitted.unknown:
        raise SchemaError(
            f"The file has columns that {known.name} does not know: {', '.join(fitted.unknown)}. "
            "Add them to the catalog, or leave --strict out to load without them."
        )
    with replacing(rejects) as rejected, replacing(parquet) as scratch:
        tally = _Tally()
        batches = readers.reader(raw.format)(raw.path, known, fitted.vintage)
        tables = _counted(batches, tally, rejected, progress or (lambda _: None))
        done = _provenance(raw, known, fitted, writer)
        groups = _row_groups(tables, writer.row_group_rows)
        _write(groups, scratch, known, part.month, writer, _ENCODERS[raw.format], lambda: done | tally.written())
        failure = _verdict(tally, limits, rejects)
        if failure is not None:
            _keep_rejects(rejected, rejects)
            raise failure
    if not tally.rejects:
        rejects.unlink()
    return (
        done
        | tally.written()
        | _notes(fitted, tally, limits)
        | {"bytes": parquet.stat().st_size, "crc32c": crc32c(parquet)}
    )


def footer(parquet: Path) -> dict[str, Any] | None:
    """The provenance in the footer of `parquet`; None when the file is missing, broken or not ours."""
    try:
        metadata = pq.read_metadata(parquet).metadata or {}
        return json.loads(metadata[FOOTER_KEY])  # type: ignore[no-any-return]
    except (OSError, pa.ArrowInvalid, KeyError, ValueError):
        return None


def _provenance(raw: Raw, dataset: Dataset, fitted: Fit, writer: Writer) -> dict[str, Any]:
    return {
        "mark": mark(raw.sha256, raw.size, dataset, fitted.vintage),
        "source": raw.source,
        "raw_sha256": raw.sha256,
        "raw_bytes": raw.size,
        "vintage": fitted.vintage.name,
        "writer": asdict(writer),
    }


def _schema(dataset: Dataset) -> pa.Schema:
    schema = schema_of(dataset.columns)
    return schema.append(pa.field(FILE_MONTH, pa.date32())) if dataset.monthly else schema


def _counted(
    batches: Iterator[readers.Batch], tally: _Tally, rejected: Path, progress: Callable[[int], None]
) -> Iterator[pa.Table]:
    """The tables of `batches`, while their counts go to `tally` and their rejects to the file `rejected`."""
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


def _write(
    groups: Iterator[pa.Table],
    path: Path,
    dataset: Dataset,
    month: str | None,
    writer: Writer,
    threads: int,
    provenance: Callable[[], dict[str, Any]],
) -> None:
    """Write `groups` as row groups, with the provenance, asked for at the end, in the footer."""
    codec = None if writer.compression == "none" else writer.compression
    ready = (_ready(group, month) for group in groups)
    first = next(ready, _schema(dataset).empty_table())
    options = {
        "compression": codec,
        "compression_level": writer.level if codec in {"zstd", "gzip"} else None,
        "use_dictionary": _dictionaries(first),
        "write_statistics": _ordered(first.schema),
        "max_rows_per_page": writer.row_group_rows,  # a page still ends at 1 MiB; each costs a compressor's start
    }
    row_groups.write(
        path,
        first.schema,
        itertools.chain([first], ready),
        options,
        lambda: {FOOTER_KEY: json.dumps(provenance(), sort_keys=True).encode()},
        constant=[FILE_MONTH],
        threads=threads,
    )


def _dictionaries(first: pa.Table) -> list[str]:
    """The columns worth a dictionary: all but times that repeat less than threefold, which are smaller without."""
    return [
        field.name
        for field in first.schema
        if not pa.types.is_timestamp(field.type) or pc.count_distinct(first[field.name]).as_py() * 3 < len(first)
    ]


def _ordered(schema: pa.Schema) -> list[str]:
    """The columns whose least and greatest values are worth noting: texts and amounts are alike in all row groups."""
    return [f.name for f in schema if pa.types.is_temporal(f.type) or pa.types.is_integer(f.type)]


def _row_groups(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Regroup `tables` into tables of exactly `rows` rows; the last may have fewer."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        while count >= rows:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, rows)
            waiting, count = [whole.slice(rows)], count - rows
    if count:
        yield pa.concat_tables(waiting)


def _ready(table: pa.Table, month: str | None) -> pa.Table:
    """The table as it is written: with its month, and one dictionary a column, but none where there is no text."""
    for at, column in enumerate(table.schema):
        if pa.types.is_dictionary(column.type) and table[at].null_count == len(table):
            table = table.set_column(at, column.name, nulls(len(table), column.type.value_type))
    if month is not None:
        day = pa.repeat(pa.scalar(first_day(month), pa.date32()), table.num_rows)
        table = table.append_column(FILE_MONTH, day)
    return table.unify_dictionaries()


def _verdict(tally: _Tally, limits: Limits, rejects: Path) -> Exception | None:
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


def _notes(fitted: Fit, tally: _Tally, limits: Limits) -> dict[str, Any]:
    """What a person should know of this conversion; empty lists and texts where there is nothing to say."""
    return {
        "lines": tally.lines,
        "unknown_columns": list(fitted.unknown),
        "left_out": list(fitted.vintage.leaves_out),
        "vintage_expected": fitted.expected,
        "rows_expected": limits.expected_rows,
        "unknown_codes": [[column, text, count] for (column, text), count in sorted(tally.codes.items())],
    }
