"""rawbot/onebot/authorization.py: OneBot 12, connect/communication/http, on who is let in."""

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onebot_parts import TOKEN, post

from rawbot.onebot.authorization import Authorization

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1).filter(lambda t: t == t.strip())
BEARER = b"Bearer " + TOKEN.encode()
GOOD_QUERY = f"access_token={quote(TOKEN)}"


def admits(token: str | None, *headers: bytes, query: str = "") -> bool:
    return Authorization(token).admits(post(b"", None, *((b"authorization", value) for value in headers), query=query))


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_everybody_is_let_in(token: str | None):
    assert Authorization(token).open
    assert admits(token)
    assert admits(token, b"Bearer wrong", query="access_token=wrong")


def test_the_header_is_enough():
    assert not Authorization(TOKEN).open
    assert admits(TOKEN, BEARER)


def test_the_query_is_enough_where_there_is_no_header():
    assert admits(TOKEN, query=GOOD_QUERY)
    assert admits(TOKEN, query=f"a=b&{GOOD_QUERY}&c")


def test_neither_is_not_enough():
    assert not admits(TOKEN)
    assert not admits(TOKEN, query="a=b&access_tokens=x&=&&")


def test_a_wrong_header_beats_a_right_query():
    assert not admits(TOKEN, b"Bearer wrong", query=GOOD_QUERY)
    assert not admits(TOKEN, b"", query=GOOD_QUERY)


def test_a_right_header_beats_a_wrong_query():
    assert admits(TOKEN, BEARER, query="access_token=wrong")


@pytest.mark.parametrize(
    "header",
    [
        TOKEN.encode(),
        b"bearer " + TOKEN.encode(),
        b"Token " + TOKEN.encode(),
        b"Bearer  " + TOKEN.encode(),
        BEARER + b" ",
        BEARER[:-1],
        b"Bearer " + TOKEN.upper().encode(),
        b"Bearer",
        b"Bearer \xff\xfe",
    ],
)
def test_the_header_is_compared_byte_for_byte(header: bytes):
    assert not admits(TOKEN, header)


@pytest.mark.parametrize(
    "query", ["access_token", "access_token=", "access_token=wrong", "Access_Token=" + quote(TOKEN)]
)
def test_any_other_parameter_is_not_enough(query: str):
    assert not admits(TOKEN, query=query)


def test_of_several_parameters_the_first_counts():
    assert not admits(TOKEN, query=f"access_token=wrong&{GOOD_QUERY}")
    assert admits(TOKEN, query=f"{GOOD_QUERY}&access_token=wrong")


@pytest.mark.parametrize(
    "query", ["access_token=%", "access_token=%zz", "access_token=%ff%fe", "access_token=\xff", "%=&="]
)
def test_a_broken_query_lets_nobody_in(query: str):
    assert not admits(TOKEN, query=query)


@given(PRINTABLE)
def test_any_token_comes_through_header_and_query_however_it_is_encoded(token: str):
    assert admits(token, f"Bearer {token}".encode())
    assert admits(token, query=f"access_token={quote(token)}")
    assert admits(token, query=f"access_token={quote(token, safe='')}")
    assert admits(token, query=f"access_token={quote_plus(token)}")


@given(PRINTABLE, PRINTABLE)
def test_no_other_token_comes_through(token: str, other: str):
    same = token == other
    assert admits(token, f"Bearer {other}".encode()) is same
    assert admits(token, query=f"access_token={quote(other, safe='')}") is (same or token == other.replace("+", " "))


def test_a_token_is_brought_by_either_way_right_or_wrong():
    brings = Authorization.is_brought
    assert brings(post(b"", None, (b"authorization", b"x")))
    assert brings(post(b"", None, query="access_token=x"))
    assert not brings(post(b"", None, query="a=b"))
