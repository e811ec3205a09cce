"""What all peers do with a callback, once their stack has read it: the least that a careful bot author would write.

    a message   verify, decrypt, open a stream, answer it while it is open, start the bot's handler
    a refresh   verify, decrypt, answer the stream's text as it is now

Less is checked and kept than rawbot checks and keeps: no repeated deliveries, no queue per conversation, no time-outs,
no bound on text. What is left out makes the peers cheaper.
"""

import asyncio
import secrets
from collections import OrderedDict
from itertools import count
from time import time
from typing import Any
from urllib.parse import unquote

import orjson

from benchmarks.peers.ciphers import make_crypto
from benchmarks.peers.order import Ciphers
from rawbot.errors import ProtocolError

JSON = "application/json"

NEWS = (
    "会议纪要：一、上季度的目标已完成，延期的两项移到下个月。二、测试环境周三迁移，期间不发布新版本。"
    "三、客户反馈由客服组每天汇总，周五讨论。四、下次会议改到周二上午十点，请提前准备材料。散会后把行动项发到群里。"
)
"""What the bot has to say: 300 bytes or so, in one piece."""

WAITING = "<think></think>"
"""What a stream shows before that: the platform's waiting animation."""

MAX_STREAMS = 300_000
"""Streams kept; beyond, the oldest is forgotten."""


class RefusedError(Exception):
    """The callback is not answered: 403 for a wrong signature, 400 for what cannot be read."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Stream:
    """One answer of the bot: what it says so far, and whether that is all."""

    __slots__ = ("asked", "finished", "id", "text")

    def __init__(self, stream_id: str, asked: str) -> None:
        self.id = stream_id
        self.asked = asked
        self.text = WAITING
        self.finished = False


async def handle(stream: Stream) -> None:
    """Be the bot: say it all at once."""
    stream.text = NEWS
    stream.finished = True


class Callbacks:
    """The bot's side of one process."""

    __slots__ = ("_crypto", "_numbers", "_run", "_streams", "_tasks")

    def __init__(self, ciphers: Ciphers) -> None:
        self._crypto = make_crypto(ciphers)
        self._run = secrets.token_hex(6)
        self._numbers = count()
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, signature: str, timestamp: str, nonce: str, body: bytes) -> tuple[bytes, Stream | None]:
        """Return the answer's body, and the stream if one was opened, for `start`. Raises `RefusedError`."""
        try:
            encrypted = orjson.loads(body)["encrypt"].encode()
        except (ValueError, LookupError, TypeError, AttributeError):
            raise RefusedError(400) from None
        if not self._crypto.verify(signature.encode(), timestamp.encode(), nonce.encode(), encrypted):
            raise RefusedError(403)
        try:
            message = orjson.loads(self._crypto.decrypt(encrypted))
            stream, opened = self._find(message)
        except (ValueError, LookupError, ProtocolError):
            raise RefusedError(400) from None
        shown = {"id": stream.id, "finish": stream.finished, "content": stream.text}
        return self._close({"msgtype": "stream", "stream": shown}, nonce), stream if opened else None

    def start(self, stream: Stream) -> None:
        """Start the bot's handler in a task, kept till it ends."""
        task = asyncio.create_task(handle(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _find(self, message: dict[str, Any]) -> tuple[Stream, bool]:
        """Return the stream that a refresh asks for, or the one that answers a message, and whether it is new."""
        if message["msgtype"] == "stream":
            return self._streams[message["stream"]["id"]], False
        asked = message["text"]["content"] if message["msgtype"] == "text" else ""
        stream = Stream(f"{self._run}-{next(self._numbers):x}", asked)
        self._streams[stream.id] = stream
        if len(self._streams) > MAX_STREAMS:
            self._streams.popitem(last=False)
        return stream, True

    def _close(self, reply: dict[str, Any], nonce: str) -> bytes:
        encrypted = self._crypto.encrypt(orjson.dumps(reply))
        now = int(time())
        signature = self._crypto.sign(b"%d" % now, nonce.encode(), encrypted)
        envelope = {"encrypt": encrypted.decode(), "msgsignature": signature, "timestamp": now, "nonce": nonce}
        return orjson.dumps(envelope)


def split_query(query: str) -> dict[str, str]:
    """Return a query's parameters, for stacks that also hand it over as it came.

    It takes 1 µs where their own mappings take up to 8; what a peer costs shall not hang on that.
    """
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&"))
    return {name: unquote(value) for name, value in pairs.items()} if "%" in query else pairs
