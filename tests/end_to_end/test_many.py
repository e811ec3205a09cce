"""Ten thousand conversations over real sockets, and nothing left of them afterwards.

The platform's side is a lean one, since the simulator would take twice as long: its own crypto object and one kept
connection for each user, no delay between two polls.
"""

import asyncio
import gc
import time

import orjson
from talking import KEY, PATH, TOKEN, in_time, make_app, make_endpoint, until

import rawbot
from rawbot.wecom.crypto import WeComCrypto

USERS = 64
CONVERSATIONS = 10_000
LATER = 2 * 3600.0
"""Seconds after which nothing of a conversation may be left: the longest memory is an hour's."""


class LeanUser:
    """One user of the platform's, on a connection of their own."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self.writer = writer
        self._reader = reader
        self._crypto = WeComCrypto(TOKEN, KEY)
        self._sent = 0

    async def say(self, text: str) -> str:
        """Say it and poll until the bubble has ended; give what it shows."""
        stream = await self._post({"msgtype": "text", "text": {"content": text}})
        while not stream["finish"]:
            stream = await self._post({"msgtype": "stream", "stream": {"id": stream["id"]}})
        return stream["content"]

    async def _post(self, body: dict) -> dict:
        self._sent += 1
        message = {"msgid": f"{self.name}-{self._sent}", "chattype": "single", "from": {"userid": self.name}} | body
        encrypted = self._crypto.encrypt(orjson.dumps(message))
        signature = self._crypto.sign(b"1767225600", b"77", encrypted)
        content = b'{"encrypt":"%b"}' % encrypted
        target = f"{PATH}?msg_signature={signature}&timestamp=1767225600&nonce=77"
        head = f"POST {target} HTTP/1.1\r\nHost: bot\r\nContent-Length: {len(content)}\r\n\r\n"
        self.writer.write(head.encode() + content)
        return orjson.loads(self._crypto.decrypt(await self._read_encrypted()))["stream"]

    async def _read_encrypted(self) -> bytes:
        status, *fields = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        assert status == b"http/1.1 200 ok"
        length = next(int(field[15:]) for field in fields if field.startswith(b"content-length:"))
        return orjson.loads(await self._reader.readexactly(length))["encrypt"].encode()


def make_bot() -> rawbot.Bot:
    """Answer every other message in a task of its own."""
    bot = rawbot.Bot()

    async def answer_later(event: rawbot.Event, reply: rawbot.Stream) -> None:
        await asyncio.sleep(0)
        reply.write(event.text)

    @bot.on_message
    def answer(event: rawbot.Event, reply: rawbot.Stream):
        if event.text.endswith("0"):
            return answer_later(event, reply)
        reply.write(event.text)
        return None

    return bot


async def talk(server: rawbot.Server) -> None:
    """Hold the conversations, `USERS` of them at once."""
    numbers = iter(range(CONVERSATIONS))

    async def live(name: str) -> int:
        user = LeanUser(name, *await asyncio.open_connection("127.0.0.1", server.port))
        held = 0
        for number in numbers:
            assert await user.say(f"message {number}") == f"message {number}"
            held += 1
        user.writer.close()
        await user.writer.wait_closed()
        return held

    assert sum(await asyncio.gather(*(live(f"lean-{n}") for n in range(USERS)))) == CONVERSATIONS


def assert_empty(server: rawbot.Server, endpoint: rawbot.WeComEndpoint) -> None:
    streams, engine = endpoint.streams, server._engine
    assert (len(streams), streams.open_streams, streams.unsettled, streams.bytes_held) == (0, 0, 0, 0)
    assert (len(streams._in_flight), len(endpoint._remembered), endpoint.deliveries.waiting()) == (0, 0, 0)
    assert (len(engine.connections), len(engine.wheel)) == (0, 0)
    for dispatcher in engine._dispatchers.values():
        assert (dispatcher.running, len(dispatcher._lanes)) == (0, 0)
    assert engine.sending == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    gc.collect()
    alive = [thing for thing in gc.get_objects() if type(thing) is rawbot.Stream]
    assert not any(stream.sender.startswith("lean-") for stream in alive)


def test_ten_thousand_conversations_leave_nothing_behind():
    endpoint = make_endpoint()

    async def run() -> None:
        async with rawbot.serve(make_app(make_bot(), endpoint), port=0) as server:
            await talk(server)
            assert len(endpoint.streams) == CONVERSATIONS  # as long as the platform may still ask
            assert endpoint.unsettled() == 0
            await until(lambda: not server._engine.connections)  # the last closings are on their way
            endpoint.tick(time.time() + LATER)
            assert endpoint.failures.total() == 0
            assert_empty(server, endpoint)

    in_time(run())
