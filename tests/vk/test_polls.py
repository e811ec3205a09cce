"""rawbot/vk/polls.py: what is asked, what comes back, and what says nothing."""

from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vk_samples import encode, recorded

from rawbot.errors import ProtocolError
from rawbot.exchange import Response
from rawbot.vk.polls import Failed, PollServer, Updates, decode_reply, decode_server, encode_poll

SERVER = PollServer("https://lp.vk.com/whp/191949777", "a-key", "329")


def reply(value: object, *, status: int = 200, tail: bytes = b"", **headers: str) -> Response:
    fields = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Response(status, encode(value) + tail, b"application/json", fields)


def test_a_poll_asks_for_what_came_after_a_ts():
    url = encode_poll(SERVER, "a b&c", {"wait": 25, "mode": 234})
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == SERVER.url
    expected = {"act": "a_check", "key": "a-key", "ts": "a b&c", "wait": "25", "mode": "234"}
    assert dict(parse_qsl(parts.query)) == expected


@pytest.mark.parametrize(("ts", "read"), [("329", "329"), (1659999797, "1659999797"), (0, "0"), ("x" * 64, "x" * 64)])
@pytest.mark.parametrize("tail", [b"", b"\n", b" \r\n"])
def test_a_ts_is_a_string_or_a_number_and_a_line_end_may_follow(ts: object, read: str, tail: bytes):
    assert decode_reply(reply({"ts": ts, "updates": [1, {}]}, tail=tail)) == Updates(read, [1, {}])
    assert decode_reply(reply({"failed": 1, "ts": ts}, tail=tail)) == Failed(1, read)


@pytest.mark.parametrize("ts", [None, "", "x" * 65, True, 1.5, [], {}])
def test_what_is_no_ts_is_none(ts: object):
    with pytest.raises(ProtocolError, match="neither updates nor failed"):
        decode_reply(reply({"ts": ts, "updates": []}))
    assert decode_reply(reply({"failed": 1, "ts": ts})) == Failed(1, None)


def test_the_hint_stands_in_for_a_ts_that_is_missing():
    assert decode_reply(reply({"updates": []}, x_next_ts="330")) == Updates("330", [])
    assert decode_reply(reply({"failed": 1}, x_next_ts=" 330 ")) == Failed(1, "330")


def test_the_body_s_ts_goes_before_the_hint():
    assert decode_reply(reply({"ts": "329", "updates": []}, x_next_ts="330")) == Updates("329", [])


@pytest.mark.parametrize("body", [b"", b'{"ts":"330","upd', b"<html>", b'{"ts":"330"}', b'{"ts":"330","updates":{}}'])
def test_the_hint_does_not_pass_over_what_could_not_be_read(body: bytes):
    with pytest.raises(ProtocolError):
        decode_reply(Response(200, body, headers=[(b"x-next-ts", b"330")]))


@pytest.mark.parametrize("hint", ["", "x" * 65, "ё"])
def test_a_hint_that_cannot_be_is_not_taken(hint: str):
    with pytest.raises(ProtocolError):
        decode_reply(reply({"updates": []}, x_next_ts=hint))


@pytest.mark.parametrize("failed", [1, 2, 3, 4, 5, -1])
def test_the_number_of_a_failure_is_read(failed: int):
    assert decode_reply(reply({"failed": failed})) == Failed(failed, None)


@pytest.mark.parametrize("failed", [None, "2", True, 2.0, [], 0])
def test_a_failure_without_a_number_is_one_all_the_same(failed: object):
    assert decode_reply(reply({"failed": failed, "ts": 1, "updates": []})) == Failed(0, "1")


def test_the_versions_that_are_offered_are_told():
    assert decode_reply(reply({"failed": 4, "min_version": 0, "max_version": 19})) == Failed(4, None, 0, 19)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (None, "no connection"),
        (Response(502, b"{}"), "HTTP 502"),
        (Response(204), "HTTP 204"),
        (Response(302, b'{"ts":1,"updates":[]}'), "HTTP 302"),
        (Response(200, b""), "no JSON"),
        (Response(200, b"<html>busy</html>"), "no JSON"),
        (Response(200, b'\xef\xbb\xbf{"ts":1,"updates":[]}'), "no JSON"),
        (Response(200, b"[" * 100_000), "no JSON"),
        (Response(200, b"null"), "no object"),
        (Response(200, b'[{"ts":1}]'), "no object"),
        (Response(200, b'{"error":{"error_code":10,"error_msg":"secret"}}'), "neither updates nor failed"),
        (Response(200, b'{"ts":1,"updates":null}'), "neither updates nor failed"),
    ],
)
def test_what_says_nothing_is_refused_without_a_word_of_it(response: Response | None, reason: str):
    with pytest.raises(ProtocolError) as caught:
        decode_reply(response)
    assert str(caught.value) == reason


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)))
def test_no_answer_raises_anything_else(value: object):
    body = value if isinstance(value, bytes) else encode(value)
    with suppress(ProtocolError):
        decode_reply(Response(200, body))


@pytest.mark.parametrize(
    "entry", [e for e in recorded() if e["name"].startswith(("longpoll-reply/", "user-longpoll/f"))]
)
def test_recorded_replies_are_read(entry: dict):
    body = entry["body"]
    found = decode_reply(reply(body, tail=b"\n"))
    if "failed" in body:
        ts = str(body["ts"]) if "ts" in body else None
        assert found == Failed(body["failed"], ts, body.get("min_version"), body.get("max_version"))
    else:
        assert found == Updates(str(body["ts"]), body["updates"])


# Who is to be asked


def test_a_community_is_told_a_whole_url():
    told = {"key": "k", "server": "https://lp.vk.com/whp/1", "ts": "329"}
    assert decode_server(told, https=True) == PollServer("https://lp.vk.com/whp/1", "k", "329")


@pytest.mark.parametrize(("https", "scheme"), [(True, "https"), (False, "http")])
def test_a_user_is_told_host_and_path_alone(*, https: bool, scheme: str):
    told = {"key": "k", "server": "im.vk.com/nim123", "ts": 1748, "pts": 10}
    assert decode_server(told, https=https) == PollServer(f"{scheme}://im.vk.com/nim123", "k", "1748")


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        1,
        {},
        {"key": "k", "server": "https://lp.vk.com/"},
        {"key": "", "server": "https://lp.vk.com/", "ts": 1},
        {"key": 1, "server": "https://lp.vk.com/", "ts": 1},
        {"key": "k", "server": "", "ts": 1},
        {"key": "k", "server": None, "ts": 1},
        {"key": "k", "server": "http://lp.vk.com/", "ts": 1},
        {"key": "k", "server": "ftp://lp.vk.com/", "ts": 1},
        {"key": "k", "server": "https://", "ts": 1},
        {"key": "k", "server": "https://[::1", "ts": 1},
        {"key": "k", "server": "https://lp.vk.com/?a=b", "ts": 1},
        {"key": "k", "server": "https://lp.vk.com/#a", "ts": 1},
    ],
)
def test_a_server_that_cannot_be_asked_is_refused(told: object):
    with pytest.raises(ProtocolError, match="getLongPollServer tells"):
        decode_server(told, https=True)


def test_by_an_api_without_https_the_server_may_be_without_it():
    assert decode_server({"key": "k", "server": "http://127.0.0.1:8/x", "ts": 1}, https=False).key == "k"


def test_keys_stay_out_of_logs():
    for value in (SERVER, Updates("1", ["private"]), Failed(1, "1")):
        assert "a-key" not in repr(value)
        assert "private" not in repr(value)
