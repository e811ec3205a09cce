"""rawbot/onebot/v11/forms.py: the three ways to give parameters, and the statuses of OneBot 11, communication/http."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawbot.errors import ProtocolError
from rawbot.exchange import Request
from rawbot.onebot.v11.forms import MAX_FIELDS, decode_http

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"


def post(body: bytes, content_type: bytes | None = JSON, query: str = "") -> Request:
    headers = () if content_type is None else ((b"content-type", content_type),)
    return Request("POST", "/send_msg", query, headers, body)


def status(request: Request, path: str = "/send_msg") -> int:
    with pytest.raises(ProtocolError) as caught:
        decode_http(request, path)
    return caught.value.status


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/send_msg", "user_id=1000010000&message=hello%20%E4%BD%A0"),
        Request("POST", "/send_msg", "user_id=1000010000&message=hello+%E4%BD%A0"),
        post("user_id=1000010000&message=hello+你".encode(), FORM),
        post('{"user_id": "1000010000", "message": "hello 你"}'.encode()),
        post(b'{"user_id": "1000010000"}', b"Application/JSON; charset=utf-8", "message=hello%20%e4%bd%a0"),
        post(b"message=hello%20%E4%BD%A0", FORM, "user_id=1000010000&message=x"),
    ],
)
def test_parameters_may_be_given_in_three_ways(request_: Request):
    params = {"user_id": "1000010000", "message": "hello 你"}
    assert decode_http(request_, "/send_msg") == {"action": "send_msg", "params": params}


@pytest.mark.parametrize("path", ["/send_msg", "/send_msg/", "send_msg", "/send%5Fmsg"])
def test_the_path_names_the_action(path: str):
    assert decode_http(Request("GET", path), path) == {"action": "send_msg", "params": {}}


@pytest.mark.parametrize("path", ["", "/", "//", "/a/b", "/a%2Fb"])
def test_a_path_that_names_no_action_is_404(path: str):
    assert status(Request("GET", path), path) == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods_are_405(method: str):
    assert status(Request(method, "/send_msg")) == 405


@pytest.mark.parametrize("content_type", [None, b"", b"text/plain", b"application/jsonx", b"application/msgpack"])
def test_other_types_are_406(content_type: bytes | None):
    assert status(post(b"{}", content_type)) == 406


def test_without_a_body_the_type_does_not_matter():
    assert decode_http(post(b"", b"text/plain"), "/x")["params"] == {}
    assert decode_http(Request("GET", "/x", body=b"x"), "/x")["params"] == {}


@pytest.mark.parametrize("body", [b"{", b"[]", b"5", b"null", b"\xff", b'{"a": NaN}', b'\xef\xbb\xbf{"a": 1}'])
def test_a_bad_body_is_400(body: bytes):
    assert status(post(body)) == 400


@pytest.mark.parametrize("body", [b"\xff=1", b"a=%ff", b"&".join([b"a=1"] * (MAX_FIELDS + 1))])
def test_a_bad_form_is_400(body: bytes):
    assert status(post(body, FORM)) == 400


def test_the_access_token_of_the_query_is_no_parameter():
    assert decode_http(Request("GET", "/x", "access_token=t&a=1"), "/x")["params"] == {"a": "1"}
    told = post(b'{"access_token": "theirs"}', query="access_token=t")
    assert decode_http(told, "/x")["params"] == {"access_token": "theirs"}


def test_a_bad_query_is_400():
    assert status(Request("GET", "/send_msg", "a=%ff")) == 400


def test_blank_fields_and_the_last_of_two_are_kept():
    assert decode_http(Request("GET", "/x", "a=&b=1&b=2&c"), "/x")["params"] == {"a": "", "b": "2", "c": ""}


@given(st.text(), st.binary(), st.sampled_from([JSON, FORM]), st.text())
def test_whatever_comes_in_is_read_or_refused(query: str, body: bytes, content_type: bytes, path: str):
    with suppress(ProtocolError):
        read = decode_http(post(body, content_type, query), path)
        assert isinstance(read["params"], dict)
        assert read["action"]
