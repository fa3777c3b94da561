"""Text to canonical values: the same values as from Arrow's CSV parser, plus the rules for codes and white space."""

from collections import Counter
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from taxi_ingest.catalog import Column
from taxi_ingest.readers.canonical import schema_of
from taxi_ingest.readers.columns import Converted, convert, reject_reason, trimmed

WHOLE = Column("n", "int64", "", "")
NUMBER = Column("x", "double", "", "")
TIME = Column("t", "timestamp", "", "")
TEXT = Column("s", "string", "", "")
CODE = Column("c", "int64", "", "", codes={"cash": 2, "no charge": 3, "void": ""})
FLAG = Column("f", "string", "", "", codes={"1": "Y", "0": "N", "*": ""})


def converted(column: Column, *texts: str | None) -> Converted:
    return convert(pa.array(texts, pa.string()), column)


def bad(result: Converted) -> list[bool]:
    found: list[bool] = [] if result.bad is None else result.bad.to_pylist()
    return found


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        (WHOLE, "12", 12),
        (WHOLE, " 12\t", 12),
        (WHOLE, "-3", -3),
        (WHOLE, "007", 7),
        (WHOLE, "1.0", 1),
        (WHOLE, "1.", 1),
        (WHOLE, "1.000000", 1),
        (WHOLE, "+1", 1),
        (WHOLE, "1e3", 1000),
        (WHOLE, "9223372036854775807", 2**63 - 1),
        (NUMBER, "2.6299999999999999", 2.63),
        (NUMBER, ".5", 0.5),
        (NUMBER, "-.5 ", -0.5),
        (NUMBER, "1e-3", 0.001),
        (TIME, "2021-01-02 03:04:05", datetime(2021, 1, 2, 3, 4, 5)),
        (TIME, " 2021-01-02 03:04:05 ", datetime(2021, 1, 2, 3, 4, 5)),
        (TIME, "2021-01-02T03:04:05", datetime(2021, 1, 2, 3, 4, 5)),
        (TIME, "2021-01-02 03:04:05.120000", datetime(2021, 1, 2, 3, 4, 5, 120000)),
        (TIME, "2020-02-29 00:00:00", datetime(2020, 2, 29)),
        (TIME, "2021-01-02", datetime(2021, 1, 2)),
        (TEXT, " B 01 ", "B 01"),
        (TEXT, "b01", "b01"),
        (CODE, "7", 7),
        (CODE, "2.0", 2),
        (CODE, " Cash ", 2),
        (CODE, "NO CHARGE", 3),
        (CODE, "Void", None),
        (FLAG, "Y", "Y"),
        (FLAG, "n ", "N"),
        (FLAG, "1", "Y"),
        (FLAG, "*", None),
    ],
)
@pytest.mark.parametrize("beside", [(), ("junk", "", "4 5")])
def test_a_text_has_the_same_value_whatever_texts_are_beside_it(
    column: Column, text: str, value: Any, beside: tuple[str, ...]
) -> None:
    assert converted(column, text, *beside).array[0].as_py() == value


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (WHOLE, "1.5"),
        (WHOLE, "1,000"),
        (WHOLE, "inf"),
        (WHOLE, "9223372036854775808"),
        (WHOLE, "-"),
        (NUMBER, "oops"),
        (NUMBER, "1_0"),
        (NUMBER, "$5"),
        (TIME, "2021-02-29 00:00:00"),
        (TIME, "2021-13-45 99:00:00"),
        (TIME, "2021-01-01 24:00:00"),
        (TIME, "2021-01-01 00:00:60"),
        (TIME, "2021-01-01 00:00:00Z"),
        (TIME, "1/1/2018, 2:21:05 AM"),
        (TIME, "2021-01-01 00:00:00.1234567890"),
        (NUMBER, "inf"),
        (WHOLE, "0x10"),
        (WHOLE, " 0XfF"),
        (WHOLE, "9007199254740992.5"),
        (NUMBER, "-Infinity"),
        (NUMBER, "1e999"),
    ],
)
def test_a_text_without_a_value_is_bad_and_null(column: Column, text: str) -> None:
    result = converted(column, None, text)
    assert (bad(result), result.array.to_pylist()) == ([False, True], [None, None])


@pytest.mark.parametrize("column", [WHOLE, NUMBER, TIME, TEXT, CODE, FLAG])
@pytest.mark.parametrize("text", [None, "", "  \t"])
def test_an_empty_text_is_null_and_not_bad(column: Column, text: str | None) -> None:
    result = converted(column, text, text)
    assert (result.array.to_pylist(), bad(result), result.unknown) == ([None, None], [], Counter())


@pytest.mark.parametrize("column", [CODE, FLAG])
def test_unknown_codes_are_null_and_counted_trimmed(column: Column) -> None:
    result = converted(column, "Q", " Q", "1", "zz", "Q", None)
    assert (result.unknown, result.array.to_pylist()[-1]) == (Counter({"Q": 3, "zz": 1}), None)


@pytest.mark.parametrize("column", [CODE, FLAG])
def test_unknown_codes_are_not_bad(column: Column) -> None:
    assert converted(column, "Q").bad is None


@pytest.mark.parametrize("column", [WHOLE, NUMBER, TIME, TEXT, CODE, FLAG])
def test_the_type_is_canonical_even_without_rows(column: Column) -> None:
    assert converted(column).array.type == schema_of([column]).field(0).type


def test_a_code_column_may_be_dictionary_encoded() -> None:
    texts = pa.array(["1", " 1", "Q", None, "Q "]).dictionary_encode()
    result = convert(texts, FLAG)
    assert (result.array.to_pylist(), result.unknown) == (["Y", "Y", None, None, None], Counter({"Q": 2}))


def test_bad_texts_among_many_are_found_at_their_positions() -> None:
    texts = [f"2021-01-{1 + i % 28:02d} 00:{i % 60:02d}:00" for i in range(5000)]
    for place in (0, 17, 2500, 4999):
        texts[place] = f"broken {place}"
    result = converted(TIME, *texts)
    assert [i for i, is_bad in enumerate(bad(result)) if is_bad] == [0, 17, 2500, 4999]


def test_a_reject_reason_names_column_and_value() -> None:
    assert reject_reason(NUMBER, " oops ") == "x: 'oops' is not a number"


def test_a_reject_reason_shortens_a_long_value() -> None:
    assert len(reject_reason(NUMBER, "x" * 1000)) < 100


def test_trimming_makes_blank_text_null() -> None:
    assert trimmed(pa.array([" a ", " ", None])).to_pylist() == ["a", None, None]
