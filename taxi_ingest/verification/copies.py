"""The copies of a part that are files, and its receipts: each beside what is recorded of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields
from pathlib import Path

from taxi_ingest.catalog import Part
from taxi_ingest.catalog.reading import dataset as dataset_named
from taxi_ingest.files import crc32c, sha256
from taxi_ingest.graph import STEPS, Step
from taxi_ingest.layout import Layout
from taxi_ingest.state.receipts import Downloaded, Parquetized, PartReceipts, Uploaded
from taxi_ingest.stores import Held, Store, read_back
from taxi_ingest.verification import Checked
from taxi_ingest.writers.provenance import Provenance, read_provenance

_BATCH_ROWS = 65_536


def check_receipts(layout: Layout, part: Part, receipts: PartReceipts, there: Collection[Step]) -> Iterator[Checked]:
    """The receipts that cannot be read, and those that are missing though what the step made is `there`."""
    paths = {step: Path(layout.receipt(part, step)) for step in STEPS}
    written = any(path.exists() for path in paths.values())
    for step, path in paths.items():
        remedy = "`run` downloads the file again" if step == "download" else "`run` writes it anew"
        if receipts.of(step) is not None:
            yield Checked("receipt", "intact", step, str(path))
        elif path.exists():
            yield Checked("receipt", "changed", step, str(path), "is damaged, or of another part", remedy)
        elif step in there or (step == "download" and (there or written)):
            yield Checked("receipt", "absent", step, str(path), "is missing", remedy)


def check_raw(layout: Layout, receipt: Downloaded | None) -> Checked:
    """The published file beside the receipt of its download; one that is missing is not wrong."""
    if receipt is None:
        return Checked.absent("raw")
    path = layout.data_dir / receipt.file
    try:
        wrong = _wrong_with_raw(path, receipt)
    except FileNotFoundError:
        return Checked.absent("raw", str(path))
    except OSError as error:
        wrong = _unreadable(error)
    return Checked.present("raw", str(path), wrong)


def _wrong_with_raw(path: Path, receipt: Downloaded) -> str:
    size = path.stat().st_size
    if size != receipt.bytes:
        return f"has {size:,} bytes, not {receipt.bytes:,}"
    return "" if sha256(path) == receipt.sha256 else "its sha256 is not that of the download"


def check_parquet(path: Path, part: Part, expected: Parquetized | None, *, must_exist: bool) -> Checked:
    """The Parquet file beside its receipt, or beside what its footer says when there is none."""
    if not path.exists():
        return Checked.absent("parquet", str(path), must_exist=must_exist)
    try:
        wrong = _wrong_with_parquet(path, part, expected) if expected else "has no footer of ours"
    except OSError as error:
        wrong = _unreadable(error)
    return Checked.present("parquet", str(path), wrong)


def _wrong_with_parquet(path: Path, part: Part, expected: Parquetized) -> str:
    """What is wrong; bytes that are not those written are not given to Arrow, which some damage would end."""
    size = path.stat().st_size
    if size != expected.bytes:
        return f"has {size:,} bytes, not {expected.bytes:,}"
    if (checksum := crc32c(path)) != expected.crc32c:
        return f"its crc32c is {checksum}, not {expected.crc32c}"
    written = Provenance(**{field.name: getattr(expected, field.name) for field in fields(Provenance)})
    if read_provenance(path) != written:
        return "its footer does not say what the receipt says"
    return _wrong_inside(path, part, expected.rows)


def _wrong_inside(path: Path, part: Part, rows: int) -> str:
    """What Arrow finds wrong with a Parquet file of ours: every page is compared with its checksum and decoded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from taxi_ingest.readers.canonical import plain
    from taxi_ingest.writers.parquet import schema

    columns = plain(schema(dataset_named(part.dataset)))
    counted = group = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(columns):
                return "its columns are not those of the catalog"
            for group in range(file.num_row_groups):
                batches = file.iter_batches(_BATCH_ROWS, row_groups=[group], use_threads=False)
                counted += sum(batch.num_rows for batch in batches)
    except (pa.ArrowException, OSError) as error:
        return f"its row group {group} cannot be read: {error}"
    return "" if counted == rows else f"has {counted:,} rows, not {rows:,}"


def check_object(
    store: Store, name: str, listed: Held | None, expected: Uploaded | None, *, must_exist: bool
) -> Checked:
    """The object `name`, `listed` as the store says, beside the receipt of its upload."""
    where = store.url(name)
    if listed is None:
        return Checked.absent("object", where, must_exist=must_exist)
    if expected is None:
        return Checked("object", "unrecorded", "upload", where, note="no receipt tells what the object should hold")
    try:
        wrong = _wrong_with_object(listed, read_back(store, name, listed), expected)
    except OSError as error:
        wrong = _unreadable(error)
    return Checked.present("object", where, wrong)


def _wrong_with_object(listed: Held, found: Held, expected: Uploaded) -> str:
    if found.size != expected.bytes:
        return f"has {found.size:,} bytes, not {expected.bytes:,}"
    if found.crc32c != expected.crc32c:
        return f"its crc32c is {found.crc32c}, not {expected.crc32c}"
    if found.mark != expected.mark:
        return "has the mark of other rows" if found.mark else "has lost its mark"
    return "" if listed == found else "what is recorded beside it is not what it holds"


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"
