"""benchmarks/traffic.py: what is sent is as told, and wrong answers are noticed."""

import orjson
import pytest

from benchmarks.traffic import KEY, MESSAGE_SIZE, TOKEN, Answered, Callback, Traffic, check_open_streams, open_answer
from rawbot.wecom.crypto import WeComCrypto
from rawbot.wecom.envelope import encode_envelope
from rawbot.wecom.messages import encode_stream


def open_request(callback: Callback) -> dict:
    head, _, body = callback.request.partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in head + b"\r\n"
    return orjson.loads(WeComCrypto(TOKEN, KEY).decrypt(orjson.loads(body)["encrypt"].encode()))


def test_messages_have_the_size_that_is_told_and_are_all_different():
    messages = [open_request(message) for message in Traffic().messages(20)]
    assert {len(orjson.dumps(message)) for message in messages} == {MESSAGE_SIZE}
    assert len({message["msgid"] for message in messages}) == 20
    assert len({message["from"]["userid"] for message in messages}) == 20


def test_polls_ask_for_the_streams_and_are_all_different():
    polls = [open_request(poll) for poll in Traffic().refreshes(["one", "two", "one"])]
    assert [poll["stream"]["id"] for poll in polls] == ["one", "two", "one"]
    assert len({poll["msgid"] for poll in polls}) == 3


def answer_with(plaintext: bytes, *, nonce: str = "n", status: bytes = b"200 OK", key: str = KEY) -> bytes:
    sealing = WeComCrypto(TOKEN, key)
    encrypted = sealing.encrypt(plaintext)
    body = encode_envelope(encrypted, sealing.sign(b"1", nonce.encode(), encrypted), 1, nonce)
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


OPEN = encode_stream("id", "…", finish=False)
ASKED = Callback(b"", "n")


def test_a_right_answer_passes():
    check_open_streams([ASKED], [answer_with(OPEN)])
    assert open_answer(ASKED, answer_with(OPEN)) == Answered("id", "…", finish=False)
    assert open_answer(ASKED, answer_with(encode_stream("id", "all", finish=True))).finish


@pytest.mark.parametrize(
    "answer",
    [
        answer_with(OPEN, nonce="another"),
        answer_with(OPEN, status=b"403 Forbidden"),
        answer_with(OPEN, key="AnotherKey000123456789abcdefghijklmnopqrstu"),
        answer_with(OPEN) + b"more",
        answer_with(encode_stream("id", "…", finish=True)),
        answer_with(encode_stream("id", "", finish=False)),
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["nonce", "status", "key", "length", "finished", "empty", "silent"],
)
def test_a_wrong_answer_stops_a_benchmark(answer: bytes):
    with pytest.raises((AssertionError, KeyError)):
        check_open_streams([ASKED], [answer])


@pytest.mark.parametrize(
    "answer",
    [
        answer_with(OPEN, nonce="another"),
        answer_with(OPEN, key="AnotherKey000123456789abcdefghijklmnopqrstu"),
        answer_with(b'{"msgtype":"text"}'),
        answer_with(b'{"stream":{"id":"id","finish":false}}'),
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["nonce", "key", "no stream", "no content", "no envelope", "silent"],
)
def test_an_answer_that_shows_nothing_of_a_stream_is_wrong(answer: bytes):
    with pytest.raises(AssertionError):
        open_answer(ASKED, answer)


def test_an_answer_may_be_let_pass_with_what_is_encrypted_alone():
    body = b'{"encrypt":"%b"}' % WeComCrypto(TOKEN, KEY).encrypt(OPEN)
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + body
    assert open_answer(ASKED, answer, complete=False).stream_id == "id"
    with pytest.raises(AssertionError, match="missing"):
        open_answer(ASKED, answer)


def test_a_missing_answer_stops_a_benchmark():
    with pytest.raises(AssertionError):
        check_open_streams([ASKED], [])
