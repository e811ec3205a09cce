"""The query of a callback (doc 101033): signature, timestamp, nonce, and the console's echostr."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import ProtocolError
from rawbot.wecom import query
from rawbot.wecom.query import CallbackQuery, decode_query

SIGNATURE = "477715d11cdb4164915debcba66cb864d751f3e6"  # the sample of doc 101033
AS_SENT = f"msg_signature={SIGNATURE}&timestamp=1409659813&nonce=1372623149"
READ = CallbackQuery(SIGNATURE.encode(), "1409659813", "1372623149")

near = st.sampled_from(
    ["msg_signature", "timestamp", "nonce", "echostr", "=", "&", "%31", "%", "+", "é", "a", "7", SIGNATURE, AS_SENT]
)


def long_way(text: str) -> CallbackQuery | str:
    """Read a query without the expression for what the platform sends."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(query, "_AS_SENT", query.re.compile(r"(?!)"))
        return read(text)


def read(text: str) -> CallbackQuery | str:
    try:
        return decode_query(text)
    except ProtocolError as error:
        return str(error)


@pytest.mark.parametrize(
    "text",
    [
        AS_SENT,
        f"nonce=1372623149&timestamp=1409659813&msg_signature={SIGNATURE}",
        f"&{AS_SENT}&&more=x",
        f"msg_signature={SIGNATURE}&timestamp=%31409659813&nonce=1372623149",
    ],
)
def test_three_parameters_are_read_in_any_order_and_decoded_once(text: str):
    assert decode_query(text) == READ


def test_the_console_s_echostr_is_decoded_and_its_plus_stays():
    assert decode_query(f"{AS_SENT}&echostr=a%2Fb+c%3D%3D").echostr == "a/b+c=="
    assert decode_query(AS_SENT).echostr is None


@pytest.mark.parametrize("name", ["msg_signature", "timestamp", "nonce"])
def test_what_every_callback_needs_must_be_there_and_say_something(name: str):
    for text in (AS_SENT.replace(name, "x"), "&".join(p for p in AS_SENT.split("&") if name not in p) + f"&{name}="):
        assert read(text) == f"the query has no {name}"


def test_a_parameter_that_is_given_twice_is_refused():
    assert read(f"{AS_SENT}&nonce=1372623149") == "a query parameter is given twice"


@given(st.lists(near, max_size=12).map("".join))
def test_what_the_platform_sends_is_read_as_the_long_way_reads_it(text: str):
    assert read(text) == long_way(text)


@given(
    st.text("0123456789abcdefABCDEF", min_size=38, max_size=42),
    st.text("0123456789-é", max_size=14),
    st.text(max_size=20).map(lambda nonce: quote(nonce, safe="+=/")),
)
def test_unusual_values_are_read_alike_too(signature: str, timestamp: str, nonce: str):
    text = f"msg_signature={signature}&timestamp={timestamp}&nonce={nonce}"
    assert read(text) == long_way(text)


def test_its_repr_keeps_what_was_signed_to_itself():
    assert repr(READ) == "<CallbackQuery>"
