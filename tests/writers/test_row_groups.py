"""Row groups encoded in parallel make the same file as row groups written one after another."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from taxi_ingest.readers.parquet_footer import FileMetaData
from taxi_ingest.writers import row_groups

KINDS = {"n": pa.int64(), "x": pa.float64(), "none": pa.float64(), "t": pa.timestamp("us"), "s": pa.string()}
SCHEMA = pa.schema([*KINDS.items(), ("c", pa.date32())])
OPTIONS = {"compression": "zstd", "use_dictionary": ["n", "s"]}


def group(first: int, rows: int) -> pa.Table:
    numbers = [None if n % 7 == 0 else n for n in range(first, first + rows)]
    texts = [str(n % 5) for n in range(rows)]
    columns = [numbers, [n and n / 3 for n in numbers], [None] * rows, numbers, texts, [date(2021, 1, 1)] * rows]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def written(path: Path, groups: list[pa.Table], threads: int = 2) -> pq.ParquetFile:
    row_groups.write(path, SCHEMA, groups, OPTIONS, lambda: {b"key": b"value"}, constant=["c"], threads=threads)
    return pq.ParquetFile(path, page_checksum_verification=True)


def footer_of(path: Path) -> bytes:
    data = path.read_bytes()
    length: int = struct.unpack("<I", data[-8:-4])[0]
    return data[-8 - length : -8]


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=6), threads=st.integers(1, 4))
def test_each_table_is_one_row_group_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], threads: int
) -> None:
    groups = [group(1000 * n, rows) for n, rows in enumerate(sizes)]
    file = written(tmp_path_factory.mktemp("groups") / "a.parquet", groups, threads)
    assert [file.read_row_group(i) for i in range(file.num_row_groups)] == groups


def test_another_engine_reads_the_same_rows(tmp_path: Path) -> None:
    groups = [group(0, 5000), group(5000, 100), group(5100, 3000)]
    written(tmp_path / "a.parquet", groups)
    read = duckdb.sql(f"SELECT * FROM read_parquet('{tmp_path / 'a.parquet'}')").fetchall()
    assert read == [tuple(row.values()) for row in pa.concat_tables(groups).to_pylist()]


def test_the_file_is_byte_for_byte_what_arrow_writes_with_one_thread(tmp_path: Path) -> None:
    groups = [group(0, 5000), group(5000, 100), group(5100, 3000)]
    written(tmp_path / "ours.parquet", groups)
    with pq.ParquetWriter(tmp_path / "arrow.parquet", SCHEMA, store_schema=False, **OPTIONS) as writer:
        for table in groups:
            writer.write_table(table)
        writer.add_key_value_metadata({b"key": b"value"})
    assert (tmp_path / "ours.parquet").read_bytes() == (tmp_path / "arrow.parquet").read_bytes()


def test_groups_with_and_without_dictionaries_may_mix_in_one_column(tmp_path: Path) -> None:
    plain = group(0, 100)
    encoded = plain.set_column(4, "s", plain["s"].dictionary_encode())
    file = written(tmp_path / "a.parquet", [plain, encoded, plain])
    assert file.read() == pa.concat_tables([plain, plain, plain])


def test_a_file_may_have_no_rows(tmp_path: Path) -> None:
    file = written(tmp_path / "a.parquet", [SCHEMA.empty_table()])
    assert (file.metadata.num_row_groups, file.schema_arrow) == (0, SCHEMA)


def test_metadata_is_requested_after_the_last_group(tmp_path: Path) -> None:
    made = 0

    def groups() -> Iterator[pa.Table]:
        nonlocal made
        for n in range(5):
            made += 1
            yield group(10 * n, 10)

    row_groups.write(
        tmp_path / "a.parquet",
        SCHEMA,
        groups(),
        OPTIONS,
        lambda: {b"made": str(made).encode()},
        constant=["c"],
        threads=2,
    )
    assert pq.read_metadata(tmp_path / "a.parquet").metadata == {b"made": b"5"}


def test_an_error_while_groups_are_made_is_raised(tmp_path: Path) -> None:
    def groups() -> Iterator[pa.Table]:
        yield group(0, 10)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        row_groups.write(tmp_path / "a.parquet", SCHEMA, groups(), OPTIONS, dict, constant=["c"], threads=2)


@pytest.mark.parametrize("path", sorted(DATA.glob("*[0-9].parquet")), ids=lambda path: path.name)
def test_a_footer_of_any_writer_is_unchanged_by_parsing_and_serializing(path: Path) -> None:
    footer = footer_of(path)
    assert FileMetaData.parse(footer).serialize() == footer
