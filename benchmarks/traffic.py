"""What WeCom sends to a bot, encrypted beforehand: whole HTTP requests as bytes, no two alike; and its look at answers.

The shapes come from `rawbot.simulate`, which tells their sources. The head holds the five fields that any sender needs:
each further field would cost both sides of a comparison the same, and so flatter the ratio.
"""

import secrets
from collections.abc import Sequence
from time import time
from typing import NamedTuple

import orjson

from rawbot.simulate.wecom_envelope import decode_reply, encode_callback
from rawbot.simulate.wecom_messages import JsonObject, refresh, text_body, user_message
from rawbot.wecom.crypto import WeComCrypto

TOKEN = "benchmarkToken"
KEY = "BenchmarkKey0123456789abcdefghijklmnopqrstu"
PATH = "/callback/command"

MESSAGE_SIZE = 300
"""Bytes of a message's JSON: a sentence or two, and what the platform tells about it."""

_LOOKED_INTO = 100
_QUESTION = "请总结今天的会议纪要 "
_HEAD = (
    b"POST %b?%b HTTP/1.1\r\nHost: bot.example.com\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)


class Callback(NamedTuple):
    """One request of the platform, and the nonce that its answer must carry."""

    request: bytes
    nonce: str


class Traffic:
    """The platform's side of one bot. Every message comes from another user, so that none waits for another."""

    __slots__ = ("_crypto", "_now", "_run", "_sent")

    def __init__(self) -> None:
        self._crypto = WeComCrypto(TOKEN, KEY)
        self._run = secrets.token_hex(8)
        self._now = int(time())
        self._sent = 0

    def messages(self, count: int) -> list[Callback]:
        """Return so many text messages of `MESSAGE_SIZE` bytes."""
        return [self._message() for _ in range(count)]

    def refreshes(self, stream_ids: Sequence[str]) -> list[Callback]:
        """Return a poll of each of these streams."""
        asker = {"chattype": "single", "from": {"userid": "user000001"}, "aibotid": "AIBOTID"}
        return [self._callback(refresh(asker, stream_id)) for stream_id in stream_ids]

    def _message(self) -> Callback:
        message = user_message(text_body(_QUESTION), user=f"user{self._sent:06d}") | {
            "response_url": f"https://qyapi.weixin.qq.com/cgi-bin/aibot/response?response_code={self._run}"
        }
        padding = "x" * (MESSAGE_SIZE - len(orjson.dumps(self._named(message))))
        return self._callback(message | text_body(_QUESTION + padding))

    def _callback(self, message: JsonObject) -> Callback:
        named = self._named(message)
        self._sent += 1
        nonce = f"{self._sent:010d}"
        query, body = encode_callback(self._crypto, named, timestamp=self._now, nonce=nonce)
        return Callback(_HEAD % (PATH.encode(), query.encode(), len(body)) + body, nonce)

    def _named(self, message: JsonObject) -> JsonObject:
        return message | {"aibotid": "AIBOTID", "msgid": f"{self._run}{self._sent:016x}"}


def check_open_streams(asked: Sequence[Callback], answers: Sequence[bytes]) -> None:
    """Look at every answer from outside and into a hundred of them. Raises `AssertionError`.

    Each must be a 200 that says: this stream is open, and here is something to show.
    """
    assert len(answers) == len(asked), (len(answers), len(asked))
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    crypto = WeComCrypto(TOKEN, KEY)
    for index in range(0, len(asked), max(1, len(asked) // _LOOKED_INTO)):
        head, _, body = answers[index].partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head, head
        reply, problems = decode_reply(body, crypto=crypto, nonce=asked[index].nonce)
        assert reply is not None, problems
        assert not problems, problems
        stream = reply["stream"]
        assert isinstance(stream, dict)
        assert stream["finish"] is False, reply
        assert stream["content"], reply


class Answered(NamedTuple):
    """What the answer to a callback says of a stream."""

    stream_id: str
    content: str
    finish: bool


def open_answer(asked: Callback, answer: bytes, *, complete: bool = True) -> Answered:
    """Look into an answer, by whatever server. Raises `AssertionError` when it shows nothing of a stream.

    `complete`: beside what is encrypted there must be all that the documents want, and it must be right. The platform
    itself does without.
    """
    body = answer.partition(b"\r\n\r\n")[2]
    reply, problems = decode_reply(body, crypto=WeComCrypto(TOKEN, KEY), nonce=asked.nonce)
    assert reply is not None, problems
    assert not (complete and problems), problems
    stream = reply.get("stream")
    assert isinstance(stream, dict), reply
    stream_id, content, finish = (stream.get(name) for name in ("id", "content", "finish"))
    assert isinstance(stream_id, str), reply
    assert isinstance(content, str), reply
    assert isinstance(finish, bool), reply
    return Answered(stream_id, content, finish)
