"""rawbot/http/files/ranges.py: which part is meant, what is ignored and what is not there (RFC 9110, section 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.http.files.ranges import MAX_DIGITS, MAX_RANGES, UNSATISFIABLE, Part, content_range, select_range

SIZE = 10_000  # as in the RFC's examples


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (b"bytes=0-499", Part(0, 500)),  # the examples of section 14.1.2
        (b"bytes=500-999", Part(500, 500)),
        (b"bytes=-500", Part(9500, 500)),
        (b"bytes=9500-", Part(9500, 500)),
        (b"bytes=0-0", Part(0, 1)),
        (b"bytes=-1", Part(9999, 1)),
        (b"bytes=0-", Part(0, SIZE)),
        (b"bytes=9999-", Part(9999, 1)),
        (b"bytes=9999-9999", Part(9999, 1)),
        (b"bytes=0-9999", Part(0, SIZE)),
        (b"bytes=0-10000", Part(0, SIZE)),  # a last position behind the end means the end
        (b"bytes=9000-99999999999999999999", Part(9000, 1000)),
        (b"bytes=-10000", Part(0, SIZE)),
        (b"bytes=-10001", Part(0, SIZE)),  # a suffix longer than the whole is the whole
        (b"bytes=000-0009", Part(0, 10)),
        (b"Bytes=0-1", Part(0, 2)),  # section 14.1: in any case
        (b"BYTES=0-1", Part(0, 2)),
        (b"bytes=0-1,", Part(0, 2)),  # section 5.6.1.2: empty elements are read over
        (b"bytes=, ,\t0-1", Part(0, 2)),
        (b"bytes= 0-1 ", Part(0, 2)),
    ],
)
def test_one_range_is_that_part(value: bytes, part: Part):
    assert select_range(value, SIZE) == part


@pytest.mark.parametrize(
    "value", [b"bytes=10000-", b"bytes=10000-10000", b"bytes=-0", b"bytes=99999999999999999999-", b"bytes=10000-,-0"]
)
def test_a_range_of_which_nothing_is_there_cannot_be_satisfied(value: bytes):
    assert select_range(value, SIZE) == UNSATISFIABLE


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=,",
        b"bytes=-",
        b"bytes=--1",
        b"bytes=1",
        b"bytes=a-b",
        b"bytes=0-a",
        b"bytes=+0-1",
        b"bytes=0x0-1",
        b"bytes=0_0-1",  # what int() would take
        b"bytes=\xd9\xa0-",  # an Arabic digit: the class of CVE-2025-69224
        b"bytes=0 - 1",
        b"bytes=0-1-2",
        b"bytes=0-1;2-3",
        b"bytes=1-0",  # section 14.1.1: the last before the first is invalid, not unsatisfiable
        b"bytes=99999-99998",
        b"bytes=0-1,1-0",
        b"bytes=10000-,x",
        b"bytes =0-1",
        b" bytes=0-1",
        b"bytes:0-1",
        b"bytes=0-1\n",
        b"items=0-1",
        b"seconds=1-2",
    ],
)
def test_what_is_malformed_or_another_unit_is_ignored(value: bytes):
    assert select_range(value, SIZE) is None


@pytest.mark.parametrize("value", [b"bytes=0-0,-1", b"bytes=0-4,5-9", b"bytes=0-9,10000-", b"bytes=0-,0-,0-"])
def test_several_ranges_get_the_whole(value: bytes):
    assert select_range(value, SIZE) is None


def test_a_request_for_very_many_ranges_is_not_looked_at():
    """CVE-2011-3192."""
    assert select_range(b"bytes=" + b",".join([b"99999-"] * MAX_RANGES), SIZE) == UNSATISFIABLE
    assert select_range(b"bytes=" + b",".join([b"99999-"] * (MAX_RANGES + 1)), SIZE) is None
    assert select_range(b"bytes=0-1" + b"," * 10_000, SIZE) is None


def test_numbers_are_no_longer_than_positions_can_be():
    """`int` raises for 4,300 digits: h11's issue 181."""
    assert select_range(b"bytes=0-" + b"9" * MAX_DIGITS, SIZE) == Part(0, SIZE)
    for value in (b"bytes=0-%s", b"bytes=%s-", b"bytes=-%s"):
        assert select_range(value % (b"9" * (MAX_DIGITS + 1)), SIZE) is None
        assert select_range(value % (b"9" * 10_000), SIZE) is None


def test_an_empty_file_has_an_end_but_no_byte():
    assert select_range(b"bytes=0-", 0) == UNSATISFIABLE
    assert select_range(b"bytes=0-0", 0) == UNSATISFIABLE
    assert select_range(b"bytes=-0", 0) == UNSATISFIABLE
    assert select_range(b"bytes=-5", 0) is None  # satisfiable by section 14.1.2, but as a 206 it cannot be written


def test_positions_beyond_4_gib_are_exact():
    size = 5 * 2**40
    assert select_range(b"bytes=5497558138879-", size) == Part(size - 1, 1)
    assert select_range(b"bytes=2147483648-2147483650", size) == Part(2**31, 3)
    assert select_range(b"bytes=-4294967296", size) == Part(size - 2**32, 2**32)


def test_content_range_says_what_is_sent_and_of_how_much():
    assert content_range(Part(0, 500), 1234) == b"bytes 0-499/1234"  # section 14.4
    assert content_range(Part(734, 500), 1234) == b"bytes 734-1233/1234"
    assert content_range(UNSATISFIABLE, 1234) == b"bytes */1234"


@given(st.integers(0, 30), st.none() | st.integers(0, 40), st.none() | st.integers(0, 40))
def test_a_range_is_what_slicing_by_hand_gives(size: int, first: int | None, last: int | None):
    data = bytes(range(size))
    value = b"bytes=%s-%s" % tuple(b"" if number is None else b"%d" % number for number in (first, last))
    part = select_range(value, size)
    if first is None:
        expected = data[max(0, size - last) :] if last else b""
    else:
        expected = data[first:] if last is None else data[first : last + 1]
    if first is last is None or (None not in (first, last) and last < first):
        assert part is None
    elif part is None:
        assert size == 0
        assert first is None
    else:
        assert data[part.offset : part.offset + part.size] == expected
        assert len(expected) == part.size
        assert (part == UNSATISFIABLE) == (not expected)


@given(st.binary(max_size=30), st.integers(0, 2**63))
def test_no_bytes_make_it_fail_or_leave_the_file(value: bytes, size: int):
    for field in (value, b"bytes=" + value):
        part = select_range(field, size)
        assert part is None or part == UNSATISFIABLE or 0 <= part.offset < part.offset + part.size <= size
