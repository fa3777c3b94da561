"""Random files in every published layout, valid and damaged, compared with the independent reader."""

import csv
import io
import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Reading, read_csv
from whole_file import WholeFile, read_whole, types_of

from taxi_ingest.catalog import Column, Dataset, Vintage
from taxi_ingest.catalog.reading import dataset, datasets

LAYOUTS = [(of, layout) for of in datasets().values() for layout in of.vintages if layout.format == "csv"]
LINE_REASONS = {
    "a quote is never closed",
    "a carriage return within the line",
    "not valid UTF-8",
    "no value in any column that is loaded",
}

WHOLE = st.integers(-(10**17), 10**17).map(str) | st.integers(0, 9).map(str)
DECIMAL = st.integers(-999, 999).map(lambda n: f"{n}.0")
NUMBER = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.sampled_from(["2.6299999999999999", ".5", "8"])
TIME = st.datetimes().map(str) | st.datetimes().map(lambda time: str(time.replace(microsecond=0)))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters='\r\n\0"', exclude_categories=["Cs", "Cc"]), max_size=8)
CODE = st.sampled_from(["CMT", "vts", "CASH", "Cre", "NA ", "no charge", "Y", "n", "0", "1", "1.0", "*", "2", "what?"])
JUNK = st.sampled_from(["oops", "-", "1.5.2", "2021-13-45 99:00:00", "1,5", "12 34", "1/1/2018, 2:21:05 AM"])
PADDING = st.sampled_from(["", "", "", " ", "  ", "\t"])

DAMAGE = st.sampled_from([b'%s,"', b"a\rb,%s", b"\xff,%s", b'"%s', b"%s,7", b"%s,,,", b"x", b",", b" "])


def cell(column: Column | None) -> st.SearchStrategy[str]:
    """A text as it may occur in a column, mostly a valid one."""
    if column is None:
        return TEXT
    good = {"int64": WHOLE | DECIMAL, "double": NUMBER, "timestamp": TIME, "string": TEXT}[column.type]
    usual = CODE | good if column.codes else good
    padded = st.tuples(PADDING, usual, PADDING).map("".join)
    return st.one_of(padded, padded, padded, st.just(""), JUNK)


def rendered(cells: list[str], quoted: bool) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, lineterminator="").writerow(cells)
    return text.getvalue().encode()


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A dataset's name and a file of it: any layout, line ends, blank lines, quoting, surplus fields, damaged lines."""
    of, layout = draw(st.sampled_from(LAYOUTS))
    spare = draw(st.integers(0, 2))
    row = st.tuples(*(cell(column_of(of, layout, name)) for name in layout.columns)).map(list)
    end = st.sampled_from([b"\n", b"\r\n"])
    blank = st.sampled_from([b"", b"", b"", b"\n", b"\r\n", b"\n\r\n"])
    parts = [draw(blank), rendered(list(layout.columns), draw(st.booleans())), draw(end)]
    damaged = False
    for cells in draw(st.lists(row, max_size=12)):
        line = rendered(cells, draw(st.booleans()))
        line += b"," * draw(st.sampled_from([spare, spare, spare, 0, 1, 2]))
        damaged = draw(st.integers(0, 9)) == 0
        if damaged:
            line = draw(DAMAGE).replace(b"%s", line)
        parts += [draw(blank), line, draw(end)]
    last = damaged or draw(st.booleans())  # a damaged last line without a line end is a file that was cut
    return of.name, b"".join(parts if last else parts[:-1])


def column_of(of: Dataset, layout: Vintage, published: str) -> Column | None:
    name = layout.names.get(published.strip().casefold())
    return next((column for column in of.columns if column.name == name), None)


def rejected(whole: WholeFile) -> dict[int, set[str]]:
    """Rejects as the oracle gives them."""
    return {reject.line: blamed_columns(reject.reason) for reject in whole.rejects}


def blamed_columns(reason: str) -> set[str]:
    if reason in LINE_REASONS:
        return {"line"}
    if re.fullmatch(r"\d+ fields?, \d+ expected", reason):
        return {"fields"}
    return set(re.findall(r"(?:^|; )(\w+): '", reason))


def both(file: tuple[str, bytes], block_bytes: int) -> tuple[Reading, WholeFile]:
    name, content = file
    of = dataset(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        path.write_bytes(content)
        return read_csv(path, of.name, types_of(of)), read_whole(path, of, block_bytes=block_bytes)


BLOCKS = st.sampled_from([1, 64, 300, 1000, 2 << 20])


@settings(max_examples=60)
@given(files(), BLOCKS)
def test_good_lines_equal_those_of_the_independent_reader(file: tuple[str, bytes], block: int) -> None:
    expected, whole = both(file, block)
    assert whole.rows == expected.rows


@settings(max_examples=60)
@given(files(), BLOCKS)
def test_bad_lines_are_rejected_by_number_and_column(file: tuple[str, bytes], block: int) -> None:
    expected, whole = both(file, block)
    assert rejected(whole) == expected.bad


@settings(max_examples=60)
@given(files(), BLOCKS)
def test_unknown_codes_are_counted(file: tuple[str, bytes], block: int) -> None:
    expected, whole = both(file, block)
    assert whole.codes == expected.unknown


@settings(max_examples=60)
@given(files(), BLOCKS)
def test_every_line_is_a_row_or_a_reject(file: tuple[str, bytes], block: int) -> None:
    expected, whole = both(file, block)
    accounted = len(whole.rows) + len(whole.rejects) + whole.empty
    assert whole.lines == accounted == len(expected.rows) + len(expected.bad) + expected.empty


@settings(max_examples=60)
@given(files(), BLOCKS)
def test_raw_lines_of_rejects_are_as_published(file: tuple[str, bytes], block: int) -> None:
    _, whole = both(file, block)
    lines = [line.removesuffix(b"\r").decode(errors="replace") for line in file[1].split(b"\n")]
    assert [reject.raw for reject in whole.rejects] == [lines[reject.line - 1] for reject in whole.rejects]
