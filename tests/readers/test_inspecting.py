"""Files are recognised by their content; what is not a table is refused in one sentence."""

import bz2
import gzip
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from whole_file import DATA

from taxi_ingest.errors import ContentError
from taxi_ingest.readers import Inspected
from taxi_ingest.readers.inspecting import inspect

CSV = b"VendorID,fare_amount\n1,2.5\n"


def written(tmp_path: Path, content: bytes, name: str = "trips.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def parquet(tmp_path: Path, name: str = "trips.parquet") -> Path:
    path = tmp_path / name
    pq.write_table(pa.table({"VendorID": list(range(1000)), "fare_amount": [2.5] * 1000}), path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ContentError) as caught:
        inspect(path)
    return str(caught.value)


def test_plain_csv_is_recognised(tmp_path: Path) -> None:
    assert inspect(written(tmp_path, CSV)) == Inspected("csv", "", ("VendorID", "fare_amount"))


def test_gzip_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(CSV), "trips.csv")
    assert inspect(path) == Inspected("csv", "gzip", ("VendorID", "fare_amount"))


def test_parquet_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    assert inspect(parquet(tmp_path, "trips.csv")) == Inspected("parquet", "", ("VendorID", "fare_amount"))


@pytest.mark.parametrize("path", sorted(DATA.glob("*.csv")), ids=lambda path: path.name)
def test_a_published_csv_is_recognised(path: Path) -> None:
    assert inspect(path).format == "csv"


@pytest.mark.parametrize(
    "header",
    [
        b"\xef\xbb\xbfVendorID,fare_amount\n",
        b'"VendorID","fare_amount"\r\n',
        b"VendorID, fare_amount \r\n",
        b"\r\n\nVendorID,fare_amount",
    ],
)
def test_names_are_unquoted_and_trimmed(tmp_path: Path, header: bytes) -> None:
    assert inspect(written(tmp_path, header)).columns == ("VendorID", "fare_amount")


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        ("fhv_tripdata_2021-01.lfs-pointer.parquet", "a Git LFS pointer"),
        ("green_tripdata_2019-10.truncated.csv.gz", "a gzip file that is cut"),
        ("yellow_tripdata_2009-01.json-error.csv", "a JSON document"),
        ("yellow_tripdata_2024-01.truncated.parquet", "a damaged Parquet file (its end is missing)"),
    ],
)
def test_a_real_broken_download_is_refused_by_kind(sample: str, what: str) -> None:
    assert refusal(DATA / "malformed" / sample).startswith(f"{sample} is {what}")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n\r\n\n", "only blank lines"),
        (b"<!DOCTYPE html><html><body>Not, found</body></html>", "a web page (HTML)"),
        (b"\n  <HTML>\n<head>a,b</head>", "a web page (HTML)"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>,</Error>", "an XML or HTML document"),
        (b'{"error": "x, y"}', "a JSON document"),
        (b"PK\x03\x04,,,", "a ZIP archive"),
        (b"a,b\n1,\0\n", "neither Parquet nor text"),
        ("a,b\n1,2\n".encode("utf-16"), "text in UTF-16: save it as CSV with commas, in UTF-8"),
        (b"Service unavailable\n", "its first line has no comma ('Service unavailable')"),
        (b"a,b\r1,2\r", "lines that end in CR alone"),
        (b"a;b\n1;2\n", "has semicolons between its fields instead of commas: save it as CSV with commas"),
        (b"a\tb\n1\t2\n", "has tabs between its fields"),
        (bz2.compress(b"a,b\n1,2\n"), "is a bzip2 file: unpack it"),
        (lzma.compress(b"a,b\n1,2\n"), "is an xz file: unpack it"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_that_is_not_a_table_is_refused_by_kind(tmp_path: Path, content: bytes, what: str, pack: type) -> None:
    if content == b"" and pack is not bytes:
        what = "only blank lines"
    assert what in refusal(written(tmp_path, pack(content)))


@pytest.mark.parametrize(
    ("inner", "what"),
    [(b"PAR1 and more", "a Parquet file inside gzip"), (gzip.compress(CSV, mtime=0), "gzip inside gzip")],
    ids=["parquet", "gzip"],
)
def test_a_table_compressed_the_wrong_way_is_refused(tmp_path: Path, inner: bytes, what: str) -> None:
    assert what.replace("gzip inside", "a gzip file inside") in refusal(written(tmp_path, gzip.compress(inner)))


@pytest.mark.parametrize("lost", [1, 8, 1000])
def test_a_truncated_gzip_is_refused_wherever_it_ends(tmp_path: Path, lost: int) -> None:
    whole = gzip.compress(bytes(range(32, 127)) * 10_000 + CSV, compresslevel=0)
    assert "a gzip file that is cut" in refusal(written(tmp_path, whole[:-lost], "trips.csv.gz"))


def test_a_gzip_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(CSV * 100, compresslevel=0))
    whole[500] ^= 1
    assert "cut or damaged" in refusal(written(tmp_path, bytes(whole)))


def test_a_truncated_parquet_is_refused(tmp_path: Path) -> None:
    whole = parquet(tmp_path).read_bytes()
    assert "its end is missing" in refusal(written(tmp_path, whole[:-10]))


def test_a_parquet_with_a_damaged_footer_is_refused(tmp_path: Path) -> None:
    whole = parquet(tmp_path).read_bytes()
    assert "a damaged Parquet file" in refusal(written(tmp_path, whole[:-100] + bytes(92) + whole[-8:]))


def test_a_parquet_footer_that_tells_of_a_text_longer_than_itself_is_refused(tmp_path: Path) -> None:
    footer = b"\x68" + b"\x80\x80\x80\x40"  # created_by, of 128 MiB
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    assert "its footer cannot be read" in refusal(written(tmp_path, content))


def test_a_parquet_footer_without_its_rows_is_refused(tmp_path: Path) -> None:
    whole = parquet(tmp_path).read_bytes()
    length = int.from_bytes(whole[-8:-4], "little") + 8
    assert "without the rows it describes" in refusal(written(tmp_path, b"PAR1" + whole[-length:]))


def test_a_refusal_is_one_sentence_that_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, b"")) == "trips.csv is empty: get the file again, or name another --source."
