"""rawbot/http/files/conditional.py: RFC 9110, section 13, in its order; tags compared as section 8.8.3.2 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.http.dates import format_date
from rawbot.http.files.conditional import CONDITIONS, FAILED, NOT_MODIFIED, Validators, check_conditions, range_stands

NOW = 1_794_000_000.0
MODIFIED = 1_793_000_000
HERE = Validators(b'"here"', MODIFIED)
BEFORE, THEN, AFTER = (format_date(MODIFIED + change) or b"" for change in (-1, 0, 1))


def check(method: str = "GET", validators: Validators = HERE, **fields: bytes) -> int | None:
    named = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    assert named.keys() <= CONDITIONS
    return check_conditions(named, method, validators, NOW)


def test_without_conditions_there_is_nothing_to_say():
    assert check() is None
    assert range_stands(None, HERE, NOW)


# Lists of tags

MATCHING = [
    b'"here"',
    b"*",
    b'"there", "here"',
    b'"here","there"',
    b'W/"there", "here"',
    b',, "here" ,\t',
    b'"a,b", "here"',  # a comma within a tag separates nothing
    b'"", "here"',
]
OTHER = [
    b'"there"',
    b'"Here"',
    b'"here "',
    b'"her", "ere"',
    b'"W/here"',
    b'"\\"here"',
    b'""',
    b'"\xff"',
]
MALFORMED = [
    b"",
    b",",
    b"here",
    b"'here'",
    b'"here',
    b'here"',
    b'w/"here"',
    b'W/ "here"',
    b'"here" "there"',
    b'"here";x',
    b'"here", *',
    b'*, "here"',
    b'"here", there',
    b'"he\x7fre", "here"',
    b"**",
]


@pytest.mark.parametrize("tags", MATCHING)
def test_a_list_with_the_tag_or_a_star_matches(tags: bytes):
    assert check(if_match=tags) is None
    assert check(if_none_match=tags) == NOT_MODIFIED


@pytest.mark.parametrize("tags", OTHER + MALFORMED)
def test_a_list_without_the_tag_or_a_broken_one_does_not_match(tags: bytes):
    assert check(if_match=tags) == FAILED
    assert check(if_none_match=tags) is None


def test_a_list_of_any_length_is_read_in_one_go():
    """CVE-2022-24761's neighbour: expressions that try the same thing again and again."""
    for tags in (b'"a", ' * 20_000, b" " * 50_000 + b"x", b'"a" ' * 20_000, b", " * 20_000, b'"' * 50_001):
        assert check(if_none_match=tags) is None


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [  # the table of section 8.8.3.2
        (b'W/"1"', b'W/"1"', False, True),
        (b'W/"1"', b'W/"2"', False, False),
        (b'W/"1"', b'"1"', False, True),
        (b'"1"', b'"1"', True, True),
    ],
)
def test_tags_are_compared_strongly_or_weakly(one: bytes, other: bytes, strong: bool, weak: bool):  # noqa: FBT001
    for mine, theirs in ((one, other), (other, one)):
        validators = Validators(mine)
        assert (check(validators=validators, if_match=theirs) is None) is strong
        assert range_stands(theirs, validators, NOW) is strong
        assert (check(validators=validators, if_none_match=theirs) == NOT_MODIFIED) is weak


# Dates


def test_if_modified_since_is_about_what_came_after_it():
    assert check(if_modified_since=BEFORE) is None
    assert check(if_modified_since=THEN) == NOT_MODIFIED
    assert check(if_modified_since=AFTER) == NOT_MODIFIED
    assert check("HEAD", if_modified_since=THEN) == NOT_MODIFIED


def test_if_unmodified_since_fails_on_what_came_after_it():
    assert check(if_unmodified_since=BEFORE) == FAILED
    assert check(if_unmodified_since=THEN) is None
    assert check(if_unmodified_since=AFTER) is None


@pytest.mark.parametrize("value", [b"", b"yesterday", BEFORE + b", " + BEFORE, THEN + b", " + THEN, BEFORE.lower()])
def test_what_is_no_date_is_ignored(value: bytes):
    """Sections 13.1.3 and 13.1.4, of lists of dates too."""
    assert check(if_modified_since=value) is None
    assert check(if_unmodified_since=value) is None
    assert not range_stands(value, HERE, NOW)


def test_old_forms_of_dates_count():
    assert (
        check(validators=Validators(b'"x"', 784111777), if_modified_since=b"Sun Nov  6 08:49:37 1994") == NOT_MODIFIED
    )


def test_without_a_date_of_our_own_dates_are_ignored():
    undated = Validators(b'"here"')
    assert check(validators=undated, if_modified_since=AFTER) is None
    assert check(validators=undated, if_unmodified_since=BEFORE) is None
    assert not range_stands(THEN, undated, NOW)


# What goes before what: section 13.2.2


def test_if_match_goes_before_if_unmodified_since():
    assert check(if_match=b'"here"', if_unmodified_since=BEFORE) is None
    assert check(if_match=b'"there"', if_unmodified_since=AFTER) == FAILED


def test_if_none_match_goes_before_if_modified_since():
    assert check(if_none_match=b'"there"', if_modified_since=AFTER) is None
    assert check(if_none_match=b'"here"', if_modified_since=BEFORE) == NOT_MODIFIED


def test_a_failed_precondition_goes_before_not_modified():
    assert check(if_match=b'"there"', if_none_match=b'"here"') == FAILED
    assert check(if_unmodified_since=BEFORE, if_none_match=b'"here"') == FAILED
    assert check(if_unmodified_since=BEFORE, if_modified_since=AFTER) == FAILED
    assert check(if_match=b'"here"', if_none_match=b'"here"') == NOT_MODIFIED
    assert check(if_unmodified_since=AFTER, if_modified_since=AFTER) == NOT_MODIFIED


def test_what_changes_things_is_refused_and_never_not_modified():
    assert check("PUT", if_none_match=b"*") == FAILED
    assert check("PUT", if_none_match=b'"there"') is None
    assert check("PUT", if_modified_since=AFTER) is None
    assert check("PUT", if_match=b'"there"') == FAILED
    assert check("PUT", if_unmodified_since=BEFORE) == FAILED


CHOICES = {
    b"if-match": (None, True, False),
    b"if-unmodified-since": (None, True, False),
    b"if-none-match": (None, True, False),
    b"if-modified-since": (None, True, False),
}
"""For each field: not there, true, false."""
VALUES = {
    b"if-match": {True: b'"here"', False: b'"there"'},
    b"if-unmodified-since": {True: THEN, False: BEFORE},
    b"if-none-match": {True: b'"there"', False: b'"here"'},
    b"if-modified-since": {True: BEFORE, False: THEN},
}


@given(st.fixed_dictionaries({name: st.sampled_from(choice) for name, choice in CHOICES.items()}), st.booleans())
def test_all_combinations_give_what_the_steps_of_the_rfc_give(holds: dict[bytes, bool | None], reads: bool):  # noqa: FBT001
    fields = {name: VALUES[name][value] for name, value in holds.items() if value is not None}
    assert check_conditions(fields, "GET" if reads else "PUT", HERE, NOW) == by_the_book(holds, reads=reads)


def by_the_book(holds: dict[bytes, bool | None], *, reads: bool) -> int | None:
    """Take the numbered steps of section 13.2.2 one by one."""
    if holds[b"if-match"] is not None:  # 1
        if not holds[b"if-match"]:
            return 412
    elif holds[b"if-unmodified-since"] is not None and not holds[b"if-unmodified-since"]:  # 2
        return 412
    if holds[b"if-none-match"] is not None:  # 3
        if not holds[b"if-none-match"]:
            return 304 if reads else 412
    elif reads and holds[b"if-modified-since"] is not None and not holds[b"if-modified-since"]:  # 4
        return 304
    return None  # 5 is If-Range, 6 is to go on


# If-Range


def test_if_range_takes_the_one_strong_tag():
    assert range_stands(b'"here"', HERE, NOW)
    for value in (b'"there"', b'W/"here"', b"*", b'"here", "here"', b"here", b"", b' "here"'):
        assert not range_stands(value, HERE, NOW)


def test_if_range_takes_the_very_date_and_no_later_one():
    assert range_stands(THEN, HERE, NOW)
    assert not range_stands(BEFORE, HERE, NOW)
    assert not range_stands(AFTER, HERE, NOW)


def test_a_date_is_weak_while_its_second_may_not_be_over():
    """Section 8.8.2.2: the file may change again within that second."""
    assert not range_stands(THEN, HERE, MODIFIED)
    assert not range_stands(THEN, HERE, MODIFIED + 1.9)
    assert range_stands(THEN, HERE, MODIFIED + 2.0)


@given(st.binary(max_size=30))
def test_no_bytes_make_it_fail(value: bytes):
    for name in CONDITIONS:
        check_conditions({name: value}, "GET", HERE, NOW)
    range_stands(value, HERE, NOW)
