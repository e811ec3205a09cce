"""rawbot/http/responses.py: what it writes is what h11, as a client, reads."""

from email.utils import formatdate

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawbot.errors import LimitError, ProtocolError, StateError
from rawbot.exchange import Response
from rawbot.http.responses import CONTINUE, encode_response, refusal

NOW = 1_700_000_000.9
DATE = b"date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"  # RFC 9110, section 5.6.7: IMF-fixdate

TOKEN = st.text("abcXYZ09-_!#$%&'*+.^`|~", min_size=1, max_size=10).map(str.encode).filter(lambda n: n != b"te")
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10).map(str.encode)


def read(data: bytes, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
    """Let h11 be the client."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    response = client.next_event()
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data == (b"", False)
    return response.status_code, dict(response.headers), body


def test_a_response_is_one_object_with_status_date_length_type_fields_and_body():
    response = Response(201, b"hello", b"application/json", [(b"X-A", b"1"), (b"x-a", b"")])
    assert encode_response(response, NOW) == (
        b"HTTP/1.1 201 Created\r\n" + DATE + b"content-type: application/json\r\nX-A: 1\r\nx-a: \r\n"
        b"content-length: 5\r\n\r\nhello"
    )


def test_an_empty_body_has_a_length_and_no_type():
    assert encode_response(Response(200), NOW) == b"HTTP/1.1 200 OK\r\n" + DATE + b"content-length: 0\r\n\r\n"


def test_the_connection_field_is_written_when_due():
    assert b"\r\nconnection: close\r\n" in encode_response(Response(200), NOW, connection=b"close")


def test_the_answer_to_head_counts_the_content_and_leaves_it_out():
    """RFC 9110, section 9.3.2."""
    data = encode_response(Response(200, b"hello"), NOW, head_only=True)
    assert data == encode_response(Response(200, b"hello"), NOW).removesuffix(b"hello")
    assert read(data, "HEAD")[2] == b""


@pytest.mark.parametrize("status", [204, 304])
def test_what_may_have_no_content_has_neither_length_nor_body(status: int):
    """RFC 9110, sections 8.6 and 15.4.5."""
    data = encode_response(Response(status, b"hello"), NOW)
    assert b"content-" not in data
    assert data.endswith(b"GMT\r\n\r\n")


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 299, 600])
def test_a_status_that_ends_no_request_is_our_own_mistake(status: int):
    with pytest.raises(StateError, match=f"{status} is not the status of a final response"):
        encode_response(Response(status), NOW)


@pytest.mark.parametrize("value", [b"a\r\nx: y", b"a\ny", b"a\ry", b"a\x00", b"\x7f", b"a\n"])
def test_content_never_becomes_syntax(value: bytes):
    """RFC 9110, section 5.5; response splitting as in CVE-2020-7695."""
    for response in (
        Response(200, b"", headers=[(b"x", value)]),
        Response(200, b"", headers=[(value, b"x")]),
        Response(200, b"hello", value),
    ):
        with pytest.raises(StateError, match="characters"):
            encode_response(response, NOW)


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"\xe9", b"a\n"])
def test_a_field_has_a_name_that_is_one(name: bytes):
    with pytest.raises(StateError, match="characters"):
        encode_response(Response(200, headers=[(name, b"x")]), NOW)


@pytest.mark.parametrize("name", [b"Content-Length", b"transfer-encoding", b"Connection", b"date"])
def test_a_field_that_the_shell_writes_is_not_written_twice(name: bytes):
    """Two lengths make two messages of one (RFC 9112, section 6.3)."""
    with pytest.raises(StateError, match="by the shell"):
        encode_response(Response(200, headers=[(name, b"7")]), NOW)


def test_the_date_changes_with_the_second():
    for now in (NOW, NOW + 0.2, NOW - 1):
        assert f"date: {formatdate(int(now), usegmt=True)}\r\n".encode() in encode_response(Response(200), now)


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from([200, 201, 400, 404, 500]), st.binary(max_size=50), st.lists(st.tuples(TOKEN, VALUE), max_size=4)
)
def test_a_client_reads_what_was_written(status: int, body: bytes, fields: list[tuple[bytes, bytes]]):
    read_status, read_fields, read_body = read(encode_response(Response(status, body, headers=fields), NOW))
    assert (read_status, read_body) == (status, body)
    assert int(read_fields[b"content-length"]) == len(body)
    for name, value in {name.lower(): value for name, value in fields}.items():
        assert read_fields[name] == value


def test_a_refusal_says_its_status_and_no_more():
    assert refusal(LimitError("of 17 bytes", status=431)) == Response(431, b"Request Header Fields Too Large\n")
    assert refusal(ProtocolError("secret")).body == b"Bad Request\n"


def test_the_interim_response_has_no_fields():
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x"), ("Expect", "100-continue")]))
    client.receive_data(CONTINUE)
    event = client.next_event()
    assert (event.status_code, list(event.headers)) == (100, [])
