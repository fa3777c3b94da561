"""Months as text: parsing, ranges, days."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxi_ingest.catalog.months import (
    check_month,
    first_day,
    last_day,
    month_range,
    next_month,
    parse_months,
    this_month,
)
from taxi_ingest.errors import UsageError

MONTHS = st.dates(date(2009, 1, 1), date(2040, 12, 31)).map(lambda day: f"{day:%Y-%m}")


@given(MONTHS)
def test_the_next_month_begins_the_day_after_the_last_day(month: str) -> None:
    assert first_day(next_month(month)) == last_day(month) + timedelta(days=1)


@given(MONTHS, MONTHS)
def test_a_range_holds_every_month_between_its_ends_once(first: str, last: str) -> None:
    expected = (int(last[:4]) - int(first[:4])) * 12 + int(last[5:]) - int(first[5:]) + 1
    found = month_range(first, last)
    assert (len(found), found) == (max(expected, 0), sorted(set(found)))


@pytest.mark.parametrize(
    ("texts", "months"),
    [
        (["2021-01"], ["2021-01"]),
        (["2020-11..2021-02"], ["2020-11", "2020-12", "2021-01", "2021-02"]),
        (["2021-01,2021-03"], ["2021-01", "2021-03"]),
        (["2021-03", "2021-01"], ["2021-03", "2021-01"]),
        ([" 2021-01 , 2021-01..2021-02 "], ["2021-01", "2021-02"]),
    ],
)
def test_months_are_read_in_the_order_given_each_once(texts: list[str], months: list[str]) -> None:
    assert parse_months(texts) == months


@pytest.mark.parametrize(
    "text",
    [
        "2021-0001",
        "2021-13",
        "2021-00",
        "21-01",
        "2021-01-01",
        "",
        "2021-01\n",
        "10000-01",
        "\uff12\uff10\uff12\uff11-01",
    ],
)
def test_a_text_that_is_not_a_month_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a month\..* Write 2021-01"):
        check_month(text)


@pytest.mark.parametrize(
    ("text", "month"), [("2021-1", "2021-01"), ("202112", "2021-12"), ("2021/03", "2021-03"), ("lastest", "latest")]
)
def test_a_month_written_otherwise_is_refused_with_how_it_is_written(text: str, month: str) -> None:
    with pytest.raises(UsageError, match=rf"is not a month\. Did you mean {month}\?"):
        check_month(text)


def test_a_year_is_all_of_its_months_that_have_begun() -> None:
    assert parse_months(["2020"]) == [f"2020-{number:02d}" for number in range(1, 13)]
    assert parse_months(["2019..2020"]) == parse_months(["2019", "2020"])
    assert parse_months([f"{date.today():%Y}"])[-1] == this_month()


@pytest.mark.parametrize("text", ["{}", "{}-01", "2021-01..{}-01", "9999-12", "2021-01..9998-12", "2021,{}-12"])
def test_a_month_that_has_not_happened_yet_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="has not happened yet: on this machine today is"):
        parse_months([text.format(date.today().year + 1)])


def test_this_month_is_not_refused() -> None:
    assert parse_months([this_month()]) == [this_month()]


@pytest.mark.parametrize("text", ["2021-01..", "..2021-01", "2021-01,", "2021-01...2021-02", "2021-01..2021-13"])
def test_half_a_range_or_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a month"):
        parse_months([text])


def test_a_range_that_ends_before_it_begins_is_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match=r"Write 2021-01\.\.2021-12"):
        parse_months(["2021-12..2021-01"])


@pytest.mark.parametrize(("month", "day"), [("2020-02", 29), ("2021-02", 28), ("2021-12", 31)])
def test_the_last_day_knows_leap_years_and_year_ends(month: str, day: int) -> None:
    assert last_day(month).day == day
