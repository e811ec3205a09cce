"""rawbot/http/fields.py: where lines and sections end, whatever is there of them, and what no line may hold."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rawbot
from rawbot.errors import LimitError, ProtocolError
from rawbot.http.fields import FieldLines, end_of_text

SECTION = b"A: b\r\n!#$%&'*+-.^_`|~: \t \xff\r\nC:\r\n\r\n"


def find_end(data: bytes, *, start: int = 0, max_count: int = 10) -> int | None:
    return FieldLines(start, max_count).find_end(bytearray(data), len(data))


@pytest.mark.parametrize(
    ("data", "end"), [(b"", 0), (b"ab", 2), (b"ab\r", 2), (b"ab\r\n", 2), (b"\r\n", 0), (b"a\tb \xff\r\n\x00", 5)]
)
def test_text_ends_at_its_line_end_or_where_no_more_has_come(data: bytes, end: int):
    assert end_of_text(bytearray(data), 0, len(data)) == end


@pytest.mark.parametrize("byte", [byte for byte in range(256) if byte != ord("\r")])
def test_a_line_holds_text_and_tabs_and_no_other_control_character(byte: int):
    line = bytearray(b"a" + bytes([byte]) + b"b\r\n")
    if byte == ord("\t") or (byte >= 0x20 and byte != 0x7F):
        assert end_of_text(line, 0, len(line)) == 3
    else:
        with pytest.raises(ProtocolError):
            end_of_text(line, 0, len(line))


def test_a_carriage_return_is_half_a_line_end_or_an_error():
    with pytest.raises(ProtocolError):
        end_of_text(bytearray(b"a\rb"), 0, 3)
    assert end_of_text(bytearray(b"a\rb"), 0, 2) == 1  # what is behind the end is not looked at


@given(st.integers(0, len(SECTION)), st.integers(0, len(SECTION)))
def test_a_section_ends_behind_its_empty_line_however_it_comes(first: int, second: int):
    lines = FieldLines(0, 3)
    buffer = bytearray(SECTION + b"\x00")
    for end in sorted((first, second)):
        assert lines.find_end(buffer, end) == (len(SECTION) if end == len(SECTION) else None)
        if end == len(SECTION):
            return
    assert lines.find_end(buffer, len(SECTION)) == len(SECTION)


def test_a_section_may_be_empty_and_begin_anywhere():
    assert find_end(b"\r\n") == 2
    assert find_end(b"\x00\x00A: b\r\n\r\n", start=2) == 10


@pytest.mark.parametrize(
    "line", [b"A", b": b", b" A: b", b"\tA: b", b"A : b", b"A\xff: b", b"A(: b", b"A: b\x00", b"A: b\r"]
)
def test_a_line_that_is_no_field_is_refused_as_soon_as_it_is_whole(line: bytes):
    with pytest.raises(ProtocolError) as caught:
        find_end(b"B: c\r\n" + line + b"\r\n")
    assert caught.value.status == 400


def test_one_field_too_many_is_refused_when_it_is_whole_and_not_before():
    assert find_end(b"A:\r\n" * 3 + b"\r\n", max_count=3) == 14
    assert find_end(b"A:\r\n" * 3 + b"A:\r", max_count=3) is None
    with pytest.raises(LimitError) as caught:
        find_end(b"A:\r\n" * 4, max_count=3)
    assert caught.value.status == 431


@pytest.mark.parametrize("file", list(Path(rawbot.__file__).parent.rglob("*.py")), ids=lambda file: file.stem)
def test_no_expression_repeats_a_group_possessively(file: Path):
    """CPython 3.11.0 to 3.11.4 reads `(?:...)*+` wrongly (gh-106052): groups are atomic, `(?>(?:...)*)`."""
    assert not re.findall(r"[^(]\)(?:[*+?]|\{[0-9,]+\})\+", file.read_text("utf-8"))
