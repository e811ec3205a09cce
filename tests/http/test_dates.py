"""rawbot/http/dates.py: all three forms of RFC 9110, section 5.6.7, and nothing else."""

from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.http.dates import format_date, parse_date

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
EXAMPLE = 784111777  # the instant of the RFC's three examples
FIRST, LAST = (int(datetime(year, *rest, tzinfo=UTC).timestamp()) for year, *rest in ((1, 1, 1), (9999, 12, 31)))


@pytest.mark.parametrize(
    "value",
    [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"],
)
def test_the_examples_of_the_rfc_are_one_instant(value: bytes):
    assert parse_date(value, NOW) == EXAMPLE


def test_what_is_written_is_the_first_form():
    assert format_date(EXAMPLE) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_date(0) == b"Thu, 01 Jan 1970 00:00:00 GMT"
    assert format_date(-1) == b"Wed, 31 Dec 1969 23:59:59 GMT"


@given(st.integers(FIRST, LAST))
def test_what_is_written_is_read_back_and_is_what_the_standard_library_writes(second: int):
    written = format_date(second)
    assert written is not None
    assert parse_date(written, NOW) == second
    assert written == formatdate(second, usegmt=True).encode()


@given(st.integers(FIRST, LAST))
def test_asctime_is_read_as_c_writes_it(second: int):
    when = datetime.fromtimestamp(second, UTC)
    value = f"{when:%a %b} {when.day:2} {when:%H:%M:%S} {when.year:04}"
    assert parse_date(value.encode(), NOW) == second


def test_years_without_a_form_have_none():
    assert format_date(FIRST - 1) is None
    assert format_date(LAST + 86_400) is None
    assert format_date(2**63) is None


@pytest.mark.parametrize(
    ("value", "year"),
    [
        (b"Friday, 20-Nov-26 12:00:00 GMT", 2026),
        (b"Friday, 01-Jan-27 00:00:00 GMT", 2027),
        (b"Friday, 01-Jan-00 00:00:00 GMT", 2000),
        (b"Friday, 01-Jan-76 00:00:00 GMT", 2076),
        (b"Friday, 20-Nov-76 12:00:00 GMT", 2076),  # exactly 50 years
        (b"Friday, 20-Nov-76 12:00:01 GMT", 1976),  # more
        (b"Friday, 01-Jan-77 00:00:00 GMT", 1977),
        (b"Friday, 31-Dec-99 00:00:00 GMT", 1999),
    ],
)
def test_a_year_of_two_digits_is_at_most_50_years_ahead(value: bytes, year: int):
    second = parse_date(value, NOW)
    assert second is not None
    assert datetime.fromtimestamp(second, UTC).year == year


@pytest.mark.parametrize(("year", "digits", "expected"), [(2060, "09", 2109), (2060, "11", 2011), (2099, "00", 2100)])
def test_the_century_turns_with_the_clock(year: int, digits: str, expected: int):
    now = datetime(year, 6, 1, tzinfo=UTC).timestamp()
    second = parse_date(f"Monday, 02-Jul-{digits} 00:00:00 GMT".encode(), now)
    assert second is not None
    assert datetime.fromtimestamp(second, UTC).year == expected


def test_a_leap_second_is_the_next_one():
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW) == parse_date(b"Sun, 01 Jan 2017 00:00:00 GMT", NOW)


def test_29_february_is_there_in_leap_years():
    assert parse_date(b"Thu, 29 Feb 2024 00:00:00 GMT", NOW) is not None
    assert parse_date(b"Thursday, 29-Feb-24 00:00:00 GMT", NOW) is not None
    assert parse_date(b"Wed, 29 Feb 2023 00:00:00 GMT", NOW) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"784111777",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 06 Nov 1994 08:49:37 +0000",
        b"Sun, 06 Nov 1994 08:49:37 gmt",  # case-sensitive
        b"sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 nov 1994 08:49:37 GMT",
        b"Son, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun,  06 Nov 1994 08:49:37 GMT",
        b" Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT\n",
        b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun, 06 Nov 1994 8:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:60:37 GMT",
        b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Sun, 00 Nov 1994 08:49:37 GMT",
        b"Sun, 31 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, \xd9\xa0\xd9\xa6 Nov 1994 08:49:37 GMT",  # Arabic digits: the class of CVE-2025-69224
        b"Sunday, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06-Nov-94 08:49:37 GMT",
        b"Sunday, 06-Nov-1994 08:49:37 GMT",
        b"Sun Nov 6 08:49:37 1994",
        b"Sun Nov  6 08:49:37 1994 GMT",
        b"Sun Nov   08:49:37 1994",
        b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_has_no_form_is_no_date(value: bytes):
    assert parse_date(value, NOW) is None


@given(st.binary(max_size=40))
def test_no_bytes_make_it_fail(value: bytes):
    parse_date(value, NOW)
