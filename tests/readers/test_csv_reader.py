"""The CSV reader: every real sample equals the independent reader's rows, and each rule is tested on its own."""

import gzip
import threading
from pathlib import Path

import pytest
from oracle import read_csv
from whole_file import DATA, WholeFile, dataset_of, plain_table, read_whole, types_of

from taxi_ingest.catalog import Column, Dataset, Vintage
from taxi_ingest.errors import ContentError
from taxi_ingest.readers.csv import read

SAMPLES = sorted(path.name for path in DATA.glob("*.csv"))
VARIANTS = sorted(f"variants/{path.name}" for path in (DATA / "variants").glob("*.csv"))
BLOCKS = [64, 1000, 2 << 20]

COLUMNS = (
    Column("vendor", "int64", "", "", codes={"cmt": 1, "none": ""}),
    Column("at", "timestamp", "", ""),
    Column("fare", "double", "", ""),
    Column("riders", "int64", "", ""),
    Column("flag", "string", "", "", codes={"y": "Y", "n": "N", "1": "Y", "*": ""}),
    Column("base", "string", "", ""),
    Column("added_later", "double", "", ""),
)
NAMES = ("flag", "fare", "at", "base", "ignored", "vendor", "riders")
VINTAGE = Vintage("v", "csv", NAMES, {name: name for name in NAMES if name != "ignored"}, ("ignored",))
DATASET = Dataset("d", "", "d", COLUMNS, (VINTAGE,))
HEADER = ",".join(NAMES) + "\n"
GOOD = "N,1.5,2021-01-02 03:04:05,B01,x,2,3\n"
ROW = {"vendor": 2, "fare": 1.5, "riders": 3, "flag": "N", "base": "B01", "added_later": None}


@pytest.fixture(params=BLOCKS)
def block_bytes(request: pytest.FixtureRequest) -> int:
    """A block of a few lines, or the whole file."""
    size: int = request.param
    return size


def reading(tmp_path: Path, text: str | bytes, block_bytes: int = 64) -> WholeFile:
    """The result of reading a file with this content."""
    path = tmp_path / "d.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_whole(path, DATASET, block_bytes=block_bytes)


@pytest.mark.parametrize("sample", SAMPLES + VARIANTS)
def test_a_published_file_equals_the_independent_reader(sample: str) -> None:
    of = dataset_of(DATA / sample)
    assert read_whole(DATA / sample, of).rows == read_csv(DATA / sample, of.name, types_of(of)).rows


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_published_file_has_no_rejects(sample: str) -> None:
    assert read_whole(DATA / sample, dataset_of(DATA / sample)).rejects == []


@pytest.mark.parametrize("sample", SAMPLES + VARIANTS)
def test_block_size_changes_nothing(sample: str) -> None:
    of = dataset_of(DATA / sample)
    whole = read_whole(DATA / sample, of)
    assert all(read_whole(DATA / sample, of, block_bytes=size) == whole for size in (64, 300, 4096))


def test_rows_of_a_foreign_export_are_rejected_naming_the_columns(block_bytes: int) -> None:
    path = DATA / "variants" / "yellow_tripdata_2018-01.locale-dates.csv"
    rejects = read_whole(path, dataset_of(path), block_bytes=block_bytes).rejects
    columns = types_of(dataset_of(path))
    bad = read_csv(path, "yellow", columns).bad
    assert {r.line: {why.partition(":")[0] for why in r.reason.split("; ")} for r in rejects} == bad


def test_columns_are_canonical_in_order_and_type(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(HEADER + GOOD)
    schema = plain_table(next(iter(read(path, DATASET, VINTAGE)))).schema
    assert [(field.name, str(field.type)) for field in schema] == [
        ("vendor", "int64"),
        ("at", "timestamp[us]"),
        ("fare", "double"),
        ("riders", "int64"),
        ("flag", "string"),
        ("base", "string"),
        ("added_later", "double"),
    ]


def test_a_column_that_is_not_published_is_null(tmp_path: Path) -> None:
    assert reading(tmp_path, HEADER + GOOD).rows[0]["added_later"] is None


@pytest.mark.parametrize("end", [",", ",,", ',""', ", ,\t", "\r", ",,\r"])
def test_up_to_two_empty_fields_after_the_named_ones_are_legal(tmp_path: Path, end: str, block_bytes: int) -> None:
    lines = [GOOD, GOOD.replace("\n", end + "\n"), GOOD]
    assert len(reading(tmp_path, HEADER + "".join(lines * 3), block_bytes).rows) == 9


@pytest.mark.parametrize("width", [0, 1, 2])
def test_rows_of_another_legal_width_stay_in_file_order(tmp_path: Path, width: int, block_bytes: int) -> None:
    usual = GOOD.replace("\n", "," * width + "\n")
    lines = [usual, usual, GOOD.replace("B01", "B02"), usual, GOOD.replace("B01", "B03").replace("\n", ",,\n")]
    bases = [row["base"] for row in reading(tmp_path, HEADER + "".join(lines), block_bytes).rows]
    assert bases == ["B01", "B01", "B02", "B01", "B03"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (GOOD.replace("\n", ",7\n"), "8 fields, 7 expected"),
        (GOOD.replace("\n", ",,7\n"), "9 fields, 7 expected"),
        (GOOD.replace("\n", ",,,\n"), "10 fields, 7 expected"),
        ("N,1.5\n", "2 fields, 7 expected"),
        ("  \n", "1 field, 7 expected"),
        (GOOD.replace("1.5", "oops"), "fare: 'oops' is not a number"),
        (GOOD.replace(",3", ",1.5"), "riders: '1.5' is not a whole number"),
        (GOOD.replace("01-02", "13-45"), "at: '2021-13-45 03:04:05' is not a date and time"),
        (
            GOOD.replace("1.5", "x").replace("2021", "y"),
            "at: 'y-01-02 03:04:05' is not a date and time; fare: 'x' is not a number",
        ),
        (GOOD.replace("B01", '"B01'), "a quote is never closed"),
        (GOOD.replace("B01", "B\r01"), "a carriage return within the line"),
        (GOOD.replace("B01", "B\r01") * 2, "a carriage return within the line"),
    ],
)
def test_a_line_that_cannot_be_read_is_rejected_with_its_reason(
    tmp_path: Path, line: str, reason: str, block_bytes: int
) -> None:
    text = HEADER + GOOD * 30 + line + GOOD * 30
    assert {reject.reason for reject in reading(tmp_path, text, block_bytes).rejects} == {reason}


def test_only_the_line_with_invalid_utf8_is_rejected(tmp_path: Path, block_bytes: int) -> None:
    text = (HEADER + GOOD * 40).encode().replace(b"B01", b"B\xff1", 1)
    whole = reading(tmp_path, text, block_bytes)
    assert (len(whole.rows), [reject.reason for reject in whole.rejects]) == (39, ["not valid UTF-8"])


@pytest.mark.parametrize("place", [0, 20, 39])
def test_only_the_line_with_an_open_quote_is_rejected(tmp_path: Path, place: int, block_bytes: int) -> None:
    lines = [GOOD] * 40
    lines[place] = GOOD.replace(",3", ',"3')
    whole = reading(tmp_path, HEADER + "".join(lines), block_bytes)
    assert (len(whole.rows), [reject.line for reject in whole.rejects]) == (39, [place + 2])


def test_a_quote_within_a_text_is_kept(tmp_path: Path, block_bytes: int) -> None:
    text = HEADER + GOOD * 20 + GOOD.replace("B01", 'B"1') + GOOD * 20 + GOOD.replace("B01", 'B"2')
    bases = {row["base"] for row in reading(tmp_path, text, block_bytes).rows}
    assert bases == {"B01", 'B"1', 'B"2'}


def test_reject_lines_are_counted_in_the_file_with_header_and_blank_lines(tmp_path: Path, block_bytes: int) -> None:
    bad = GOOD.replace("1.5", "oops")
    text = "\r\n" + HEADER + "\n\r\n" + bad + GOOD * 5 + "\n" + bad + "\r\n" + GOOD + "N\n" + bad
    assert [reject.line for reject in reading(tmp_path, text, block_bytes).rejects] == [5, 12, 15, 16]


@pytest.mark.parametrize("rest", ["N,1.5,2021-01-02 03:0", 'N,1.5,2021-01-02 03:04:05,"B0', "N"])
def test_a_file_that_breaks_off_within_a_line_is_refused(tmp_path: Path, rest: str, block_bytes: int) -> None:
    with pytest.raises(ContentError, match=r"breaks off within line 5 .*, so it is cut"):
        reading(tmp_path, HEADER + GOOD * 3 + rest, block_bytes)


def test_a_last_line_without_line_end_is_read_and_told(tmp_path: Path, block_bytes: int) -> None:
    whole = reading(tmp_path, HEADER + GOOD * 3 + GOOD.rstrip(), block_bytes)
    assert (len(whole.rows), whole.unterminated) == (4, True)


def test_a_nul_byte_anywhere_refuses_the_file(tmp_path: Path, block_bytes: int) -> None:
    with pytest.raises(ContentError, match="NUL bytes"):
        reading(tmp_path, HEADER + GOOD * 3000 + "\0" * 40 + GOOD * 3, block_bytes)


@pytest.mark.parametrize("line", [",,,,,,", '"","",,,,,', " , ,\t,,,,", ",,,,,,,,"])
def test_a_line_without_any_value_is_no_trip(tmp_path: Path, line: str, block_bytes: int) -> None:
    whole = reading(tmp_path, HEADER + GOOD + (line + "\n") * 3 + GOOD, block_bytes)
    assert (len(whole.rows), whole.rejects, whole.lines, whole.empty) == (2, [], 5, 3)


def test_a_line_with_a_value_only_where_none_is_loaded_is_rejected(tmp_path: Path, block_bytes: int) -> None:
    whole = reading(tmp_path, HEADER + GOOD + ",,,,x,,\n", block_bytes)
    assert [(r.line, r.reason) for r in whole.rejects] == [(3, "no value in any column that is loaded")]


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan"])
def test_nan_is_null_and_counted(tmp_path: Path, text: str, block_bytes: int) -> None:
    whole = reading(tmp_path, HEADER + GOOD.replace("1.5", text) + GOOD.replace(",2,", f",{text},") + GOOD, block_bytes)
    assert [(row["fare"], row["vendor"]) for row in whole.rows] == [(None, 2), (1.5, None), (1.5, 2)]
    assert whole.changed == {("fare", "NaN became null"): 1, ("vendor", "NaN became null"): 1}


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999"])
def test_infinity_is_rejected(tmp_path: Path, text: str, block_bytes: int) -> None:
    whole = reading(tmp_path, HEADER + GOOD + GOOD.replace("1.5", text), block_bytes)
    assert [r.reason for r in whole.rejects] == [f"fare: '{text}' is not a number"]


@pytest.mark.parametrize(("digits", "lost"), [("1230000", 0), ("123000000", 0), ("1230001", 2), ("123000999", 2)])
def test_digits_below_the_microsecond_are_cut_and_counted(
    tmp_path: Path, digits: str, lost: int, block_bytes: int
) -> None:
    whole = reading(tmp_path, HEADER + GOOD.replace(":05,", f":05.{digits},") * 2 + GOOD, block_bytes)
    assert [row["at"].microsecond for row in whole.rows] == [123_000, 123_000, 0]
    assert whole.changed == ({("at", "digits below the microsecond were cut"): lost} if lost else {})


@pytest.mark.parametrize("names", ["{},", "{},,", "{},,,", ",{}"])
def test_a_header_field_without_a_name_names_nothing(tmp_path: Path, names: str, block_bytes: int) -> None:
    header = names.format(HEADER.strip()) + "\n"
    whole = reading(tmp_path, header + (names.format(GOOD.strip()) + "\n") * 3, block_bytes)
    assert ([row["vendor"] for row in whole.rows], whole.nameless) == ([2, 2, 2], set())


def test_a_nameless_column_with_values_is_told(tmp_path: Path, block_bytes: int) -> None:
    whole = reading(tmp_path, "," + HEADER + "".join(f"{n},{GOOD}" for n in range(3)), block_bytes)
    assert ([row["vendor"] for row in whole.rows], whole.nameless) == ([2, 2, 2], {0})


def test_a_column_with_a_canonical_name_is_loaded_whatever_the_vintage(tmp_path: Path, block_bytes: int) -> None:
    whole = reading(tmp_path, "Added_Later," + HEADER + "7.5," + GOOD, block_bytes)
    assert whole.rows[0]["added_later"] == 7.5


def test_a_hexadecimal_number_is_rejected(tmp_path: Path, block_bytes: int) -> None:
    whole = reading(tmp_path, HEADER + GOOD * 3 + GOOD.replace(",3\n", ",0x10\n") + GOOD, block_bytes)
    assert [(r.line, r.reason) for r in whole.rejects] == [(5, "riders: '0x10' is not a whole number")]


def test_a_reject_shows_the_line_as_published(tmp_path: Path) -> None:
    line = '"N",oops, "" ,B01 ,x,2,3,'
    assert reading(tmp_path, HEADER + GOOD + line + "\r\n").rejects[0].raw == line


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_lines_are_counted_without_header_and_blank_lines(tmp_path: Path, ending: str, block_bytes: int) -> None:
    text = HEADER + "\r\n" + GOOD + "\n\n" + GOOD.replace("\n", "\r\n") + "\r\nN\n" + GOOD.strip() + ending
    assert reading(tmp_path, text, block_bytes).lines == 4


def test_line_ends_may_mix(tmp_path: Path, block_bytes: int) -> None:
    text = HEADER + (GOOD + GOOD.replace("\n", "\r\n")) * 10
    assert len(reading(tmp_path, text, block_bytes).rows) == 20


def test_text_codes_become_numbers(tmp_path: Path, block_bytes: int) -> None:
    text = HEADER + "".join(GOOD.replace(",2,", f",{code},") for code in ("CMT", " cmt ", "7", "2.0", "None", ""))
    assert [row["vendor"] for row in reading(tmp_path, text, block_bytes).rows] == [1, 1, 7, 2, None, None]


def test_flags_are_normalized(tmp_path: Path, block_bytes: int) -> None:
    text = HEADER + "".join(f"{flag}{GOOD[1:]}" for flag in ("Y", "y", " n ", "1", "*", ""))
    assert [row["flag"] for row in reading(tmp_path, text, block_bytes).rows] == ["Y", "Y", "N", "Y", None, None]


def test_unknown_codes_become_null_and_are_counted(tmp_path: Path, block_bytes: int) -> None:
    text = HEADER + (GOOD.replace(",2,", ",ABC ,") + GOOD + "Q" + GOOD[1:]) * 20
    assert reading(tmp_path, text, block_bytes).codes == {("vendor", "ABC"): 20, ("flag", "Q"): 20}


def test_unknown_codes_of_rejected_rows_do_not_count(tmp_path: Path, block_bytes: int) -> None:
    text = HEADER + GOOD.replace(",2,", ",ABC,") + GOOD.replace(",2,", ",ABC,").replace("1.5", "oops")
    assert reading(tmp_path, text, block_bytes).codes == {("vendor", "ABC"): 1}


def test_whole_numbers_may_be_written_as_decimals(tmp_path: Path, block_bytes: int) -> None:
    text = HEADER + GOOD * 20 + "".join(GOOD.replace(",3", f",{n}") for n in ("4.0", " 5 ", "6.", "+7", "8e0"))
    assert [row["riders"] for row in reading(tmp_path, text, block_bytes).rows[20:]] == [4, 5, 6, 7, 8]


def test_text_is_trimmed_and_keeps_its_case(tmp_path: Path) -> None:
    text = HEADER + GOOD.replace("B01", " b01\t") + GOOD.replace("B01", "  ")
    assert [row["base"] for row in reading(tmp_path, text).rows] == ["b01", None]


def test_columns_are_matched_by_name_whatever_their_order_and_case(tmp_path: Path) -> None:
    text = 'RIDERS, flag ,"Fare",at,base,ignored,vendor\n3,N,1.5,2021-01-02 03:04:05,B01,x,2\n'
    row = reading(tmp_path, text).rows[0]
    assert {name: row[name] for name in ROW} == ROW


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    assert reading(tmp_path, b"\xef\xbb\xbf" + (HEADER + GOOD).encode()).rows[0]["flag"] == "N"


def test_a_file_with_only_a_header_has_no_rows(tmp_path: Path) -> None:
    assert reading(tmp_path, HEADER) == WholeFile([], [], reading(tmp_path, HEADER).codes, 0)


def test_gzip_and_plain_read_the_same(tmp_path: Path, block_bytes: int) -> None:
    text = HEADER + (GOOD + "\r\nN,1\n") * 50
    plain = reading(tmp_path, text, block_bytes)
    assert reading(tmp_path, gzip.compress(text.encode()), block_bytes) == plain


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv.gz"
    path.write_bytes(gzip.compress((HEADER + GOOD * 1000).encode())[:-20])
    with pytest.raises(ContentError, match=r"d\.csv\.gz is a gzip file that is cut"):
        list(read(path, DATASET, VINTAGE, block_bytes=64))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(b"\n\r\n")
    with pytest.raises(ContentError, match="empty"):
        list(read(path, DATASET, VINTAGE))


def test_a_header_with_no_known_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ContentError, match=r"no column of d: its header begins with 'a,b'"):
        list(read(path, DATASET, VINTAGE))


def test_a_file_without_line_ends_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    with path.open("wb") as file:
        file.write(HEADER.encode() + b"," * (40 << 20))
    with pytest.raises(ContentError, match="longer than 16 MiB"):
        list(read(path, DATASET, VINTAGE))


def test_no_thread_outlives_an_abandoned_read(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(HEADER + GOOD * 1000)
    before = set(threading.enumerate())
    batches = iter(read(path, DATASET, VINTAGE, block_bytes=64))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before
