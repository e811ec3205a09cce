"""rawbot/http/files/representations.py: status, fields and part, for each question that can be asked of a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.exchange import Request, Response
from rawbot.http.dates import format_date
from rawbot.http.files.ranges import Part
from rawbot.http.files.representations import Representation, Selection, gather_fields, make_validators, select
from rawbot.http.responses import encode_response

NOW = 1_794_000_000.5
MODIFIED = 1_793_000_000
SIZE = 1000
VALIDATORS = make_validators(SIZE, MODIFIED * 10**9 + 123, MODIFIED * 10**9 + 456, NOW)
ETAG = VALIDATORS.etag
DATE = format_date(MODIFIED) or b""
ABOUT = ((b"cache-control", b"no-cache"), (b"vary", b"accept-encoding"))
FILE = Representation(SIZE, VALIDATORS, ABOUT, ((b"x-content-type-options", b"nosniff"),))


def ask(*headers: tuple[bytes, bytes], method: str = "GET", found: Representation = FILE) -> Selection:
    request = Request(method, "/a", headers=headers)
    return select(request, gather_fields(headers), found, NOW)


def test_the_whole_file_comes_with_all_that_is_known_of_it():
    selection = ask()
    assert (selection.status, selection.part) == (200, Part(0, SIZE))
    assert dict(selection.headers) == {
        b"etag": ETAG,
        b"cache-control": b"no-cache",
        b"vary": b"accept-encoding",
        b"accept-ranges": b"bytes",
        b"x-content-type-options": b"nosniff",
        b"last-modified": DATE,
    }


def test_a_part_comes_with_the_same_and_its_place():
    selection = ask((b"range", b"bytes=-1"))
    assert (selection.status, selection.part) == (206, Part(999, 1))
    assert dict(selection.headers) == {**dict(ask().headers), b"content-range": b"bytes 999-999/1000"}


def test_not_modified_carries_what_a_cache_updates():
    """RFC 9110, section 15.4.5: of the fields of the 200 these, and no metadata beside them."""
    selection = ask((b"if-none-match", ETAG))
    assert (selection.status, selection.part) == (304, None)
    assert dict(selection.headers) == {b"etag": ETAG, **dict(ABOUT)}


def test_a_failed_precondition_and_a_range_that_is_not_there_have_no_part():
    selection = ask((b"if-match", b'"x"'))
    assert (selection.status, selection.part) == (412, None)
    selection = ask((b"range", b"bytes=1000-"))
    assert (selection.status, selection.part) == (416, None)
    assert dict(selection.headers)[b"content-range"] == b"bytes */1000"


def test_conditions_go_before_ranges():
    part = (b"range", b"bytes=0-0")
    assert ask((b"if-none-match", ETAG), part).status == 304
    assert ask((b"if-match", b'"x"'), part).status == 412
    assert ask((b"if-none-match", b'"x"'), part).status == 206
    assert ask((b"if-none-match", ETAG), (b"range", b"bytes=1000-")).status == 304


@pytest.mark.parametrize("stands", [ETAG, DATE])
def test_if_range_lets_a_part_come_from_the_same_file_only(stands: bytes):
    assert ask((b"if-range", stands), (b"range", b"bytes=0-0")).status == 206
    assert ask((b"if-range", stands), (b"range", b"bytes=1000-")).status == 416
    assert ask((b"if-range", stands)).status == 200
    for other in (b'"x"', b"W/" + ETAG, format_date(MODIFIED - 1) or b"", b"nonsense"):
        assert ask((b"if-range", other), (b"range", b"bytes=0-0")).status == 200
        assert ask((b"if-range", other), (b"range", b"bytes=1000-")).status == 200


def test_a_range_is_for_get_only():
    assert ask((b"range", b"bytes=0-0"), method="HEAD").part == Part(0, SIZE)
    assert ask((b"range", b"bytes=1000-"), method="HEAD").status == 200
    assert ask((b"if-none-match", ETAG), method="HEAD").status == 304


def test_several_lines_of_a_field_are_one_list():
    assert ask((b"if-none-match", b'"x"'), (b"host", b"h"), (b"if-none-match", ETAG)).status == 304
    assert ask((b"range", b"bytes=0-0"), (b"range", b"bytes=1-1")).status == 200  # no list of ranges, so malformed
    assert ask((b"if-modified-since", DATE), (b"if-modified-since", DATE)).status == 200


def test_only_what_is_asked_about_is_gathered():
    assert gather_fields([(b"host", b"x"), (b"cookie", b"y")]) == {}
    assert gather_fields([(b"accept-encoding", b"a"), (b"accept-encoding", b"b")]) == {b"accept-encoding": b"a, b"}


def test_an_empty_file_is_whole():
    empty = Representation(0, VALIDATORS)
    assert ask(found=empty).part == Part(0, 0)
    assert ask((b"range", b"bytes=-1"), found=empty).status == 200
    assert ask((b"range", b"bytes=0-"), found=empty).status == 416


# Validators


def test_the_tag_changes_with_size_and_with_either_time():
    tags = {make_validators(*facts, NOW).etag for facts in ((1, 2, 3), (0, 2, 3), (1, 0, 3), (1, 2, 0))}
    tags.add(make_validators(1, 2, 3, NOW, coding=b"gzip").etag)
    assert len(tags) == 5


@given(st.integers(0, 2**63), st.integers(-(2**63), 2**63), st.integers(-(2**63), 2**63))
def test_every_tag_is_strong_and_can_be_sent_and_compared(size: int, modified: int, changed: int):
    validators = make_validators(size, modified, changed, NOW, coding=b"gzip")
    found = Representation(size, validators)
    for headers in ((), ((b"range", b"bytes=0-0"),)):
        selection = ask(*headers, found=found)
        encode_response(Response(selection.status, headers=selection.headers), NOW)
    assert ask((b"if-none-match", validators.etag), found=found).status == 304
    assert ask((b"if-match", validators.etag), found=found).status == 200
    assert validators.etag.startswith(b'"')


def test_last_modified_is_in_whole_seconds_and_never_in_the_future():
    assert make_validators(1, 5_999_999_999, 0, NOW).modified == 5
    assert make_validators(1, -1, 0, NOW).modified == -1
    assert make_validators(1, int((NOW + 100) * 10**9), 0, NOW).modified == int(NOW)  # RFC 9110, section 8.8.2.1


def test_a_time_that_has_no_date_is_not_told():
    unknown = make_validators(1, -(10**20), 0, NOW)
    assert unknown.modified is None
    assert b"last-modified" not in dict(ask(found=Representation(1, unknown)).headers)
